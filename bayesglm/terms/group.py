"""Group effects: intercepts and slopes that vary between the levels of a group, x_g ~ Normal(0, D R D).

D holds the standard deviations of the effects and R their correlation (identity for ``||``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from bayesglm.data.table import Table
from bayesglm.errors import DesignError, LevelError
from bayesglm.formula import GroupTerm
from bayesglm.priors import LKJ, HalfNormal
from bayesglm.terms.common import code_product, learn_product
from bayesglm.terms.identified import check_identified
from bayesglm.terms.scalar import moments, spread
from bayesglm.terms.term import Array, Basis, Block, Coded, Context, Hyperparameter, State, Term, Theta

FARTHEST = 10.0  # sds between 0 and the mean of a column whose slope varies beside an intercept


def group_labels(columns: Sequence[str], table: Table) -> tuple[NDArray[np.intp], list[str]]:
    """Return each row's combination of group levels as codes, and the labels of the combinations, in order of the levels."""
    categories = [table[name].as_category() for name in columns]
    code = np.zeros(table.rows, np.int64)
    for category in categories:
        code = code * max(len(category.levels), 1) + category.values
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    labels = [":".join(category.levels[category.values[row]] for category in categories) for row in first]
    return inverse.reshape(-1), labels


def learn_group(node: GroupTerm, table: Table, context: Context) -> State:
    """Learn the levels of the group and the coding of its effects."""
    _, levels = group_labels(node.group, table)
    name = ":".join(node.group)
    if len(levels) < 2:
        raise LevelError("has one level only", column=name, value=levels[0] if levels else None,
                         rule="a group needs at least two levels to vary", fix="Leave the group out of the formula.")
    inner = Context(context.counts, node.intercept, node.effects)
    if len(set(levels)) < len(levels):
        twice = next(level for i, level in enumerate(levels) if level in levels[:i])
        raise LevelError(f"two combinations of levels that read {twice!r}", column=name, value=twice,
                         rule="combinations are told apart by their levels, joined by colons",
                         fix="Rename a level without a colon.")
    effects = [learn_product(effect, table, inner) for effect in node.effects]
    columns = [code_product(effect, table) for effect in effects]
    names = [name for each in columns for name in each.names]
    values = np.hstack([each.values for each in columns]) if columns else np.zeros((table.rows, 0))
    check_identified(values, tuple(names), intercept=node.intercept)
    sizes = [(1.0, 1.0)] * node.intercept + [_size(*each, context.counts, node) for each in zip(names, values.T, strict=True)]
    return {
        "name": name if node.intercept else f"{name}.{names[0]}", "group": list(node.group), "levels": levels,
        "intercept": node.intercept, "effects": effects, "effect_names": ["Intercept"] * node.intercept + names,
        "spreads": [spread for spread, _ in sizes], "shares": [share for _, share in sizes],
        "correlated": node.correlated and node.intercept + len(names) > 1,
    }


def _size(name: str, values: Array, counts: Array, node: GroupTerm) -> tuple[float, float]:
    """Return spread and share of a slope's column; one that is far from 0 beside a varying intercept is refused."""
    mean, sd = moments(values, counts)
    if not node.intercept:
        return float(np.hypot(mean, sd)) or 1.0, 1.0
    if abs(mean) > FARTHEST * sd:
        raise DesignError(f"has the mean {mean:.4g} and the sd {sd:.4g}", column=name, value=mean,
                          rule="a varying intercept stands where the column is 0, and that is too far from the data to be known",
                          fix=f"Let scale({name}) vary, or a column with its mean taken away.")
    return spread(values, counts)


def code_group(state: State, table: Table) -> Coded:
    """Code the multipliers and the level of each row; unseen levels come after the learnt ones."""
    codes, labels = group_labels(state["group"], table)
    place = {level: i for i, level in enumerate(state["levels"])}
    known = len(place)
    added = tuple(label for label in labels if label not in place)
    place |= {label: known + i for i, label in enumerate(added)}
    index = np.array([place[label] for label in labels], np.intp)[codes]
    columns = [np.ones((table.rows, 1))] * state["intercept"] + [code_product(each, table).values for each in state["effects"]]
    return Coded(bases=(Basis(np.hstack(columns), index, known, added),))


def group_block(state: State) -> Block:
    """Return the prior of a group's effects."""
    name, effects = str(state["name"]), tuple(state["effect_names"])
    sd = Hyperparameter("sd", f"sd_{name}", "sd", effects, HalfNormal(1.0), tuple(state["spreads"]), tuple(state["shares"]))
    cor = Hyperparameter("cor", f"cor_{name}", "cor", effects, LKJ(2.0))
    return Block(
        name=name, levels=tuple(state["levels"]), effects=effects, level_dim=name if state["intercept"] else f"{name}_level",
        effect_dim=f"{name}_effect", hyperparameters=(sd, cor) if state["correlated"] else (sd,),
        innovations=(len(state["levels"]), len(effects)), state=_state, role="group", covariance=covariance,
        precision=lambda theta: sp.csc_array(sp.kron(sp.eye_array(len(state["levels"])), np.linalg.inv(covariance(theta)))),
        extend=lambda rng, x, theta, added: new_levels(rng, theta, len(x), len(added)),
    )


def _state(z: TensorVariable, theta: Theta) -> TensorVariable:
    """X = z L' with L L' = D R D."""
    return z @ theta["cholesky"].T if "cholesky" in theta else z * theta["sd"]


def covariance(theta: Mapping[str, Array]) -> Array:
    """Return D R D, with the draws in front."""
    sd: Array = np.asarray(theta["sd"])
    correlation = theta["cor"] if "cor" in theta else np.eye(sd.shape[-1])
    return np.asarray(sd[..., :, None] * correlation * sd[..., None, :], dtype=np.float64)


def new_levels(rng: np.random.Generator, theta: Mapping[str, Array], draws: int, levels: int) -> Array:
    """Draw the effects of new levels, one for each posterior draw, shape (draws, levels, effects)."""
    sd = np.asarray(theta["sd"])
    z = rng.standard_normal((draws, levels, sd.shape[-1]))
    if "cor" not in theta:
        return z * sd[:, None, :]
    factor = np.linalg.cholesky(np.asarray(theta["cor"]) + 1e-12 * np.eye(sd.shape[-1]))
    return np.asarray(np.einsum("sle,sfe,sf->slf", z, factor, sd), dtype=np.float64)


MEMBER = Term(
    name="group", learn=learn_group, code=code_group, blocks=lambda state: (group_block(state),),
    source="Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapters 12 and 13",
)
