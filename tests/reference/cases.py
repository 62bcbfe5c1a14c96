"""Cases: a model in brms notation with its data and the posterior that Stan found, put into this package's words."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import bayesglm as bg
from bayesglm.design import Predictor
from bayesglm.fitted import Fitted
from bayesglm.formulation import find_family
from bayesglm.priors import LKJ, Beta, Exponential, Gamma, HalfCauchy, HalfNormal, HalfStudentT, Normal, Prior, StudentT

DATA = Path(__file__).parent / "data"
Array = NDArray[np.float64]

FAMILIES = {"negbinomial": "negative_binomial", "zero_inflated_negbinomial": "zero_inflated_negative_binomial",
            "hurdle_negbinomial": "hurdle_negative_binomial", "student": "student_t", "Gamma": "gamma"}
# A distributional parameter in brms, and the parameter here: shape is the negative binomial's k and the gamma's shape.
PARAMETERS = {"zi": ("zero_probability",), "hu": ("zero_probability",), "shape": ("concentration", "shape"),
              "phi": ("phi",), "sigma": ("sigma",), "nu": ("nu",)}
# What brms turns characters of a level into when it names a coefficient.
RENAMED = {"+": "P", "-": "M", "*": "MU", "/": "D", "^": "E", "=": "EQ", "&": "A"}
NOT_PARAMETERS = ("lp__", "lprior")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A model and its reference posterior.

    Attributes
    ----------
    name : str
        Name of its files.
    model : Model
        The model, with the priors of the case.
    posterior : data frame
        One line for each parameter, indexed by its brms name: mean, sd, q05, q95.
    """

    name: str
    model: bg.Model
    posterior: pd.DataFrame


def names() -> list[str]:
    """Every case that lies in the folder."""
    return sorted(path.stem for path in DATA.glob("*.json"))


@cache
def read_case(name: str) -> Case:
    """Read a case by name."""
    told = json.loads((DATA / f"{name}.json").read_text())
    posterior = pd.DataFrame(told["parameters"]).set_index("name").drop(index=list(NOT_PARAMETERS), errors="ignore")
    table = read_csv(DATA / f"{name}.csv")
    family = FAMILIES.get(told["family"], told["family"])
    formula, others = told["formula"], dict(told["pforms"] or {})
    main, one_sided = formula.split("~", 1), {key: text.split("~", 1)[1] for key, text in others.items()}
    references = {column: level for column in text_columns(table, [main[1], *one_sided.values()])
                  if (level := reference_level(column, table, posterior.index)) is not None}
    known = [each.name for each in find_family(family).parameters]
    model = bg.Model(
        f"{main[0].strip()} ~ {right_side(main[1], references)}", table, family,
        formulas={parameter(key, known): "~ " + right_side(text, references) for key, text in one_sided.items()},
        priors=dict(prior for each in in_order(told["priors"]) for prior in priors(each, known, one_sided, posterior.index)),
    )
    return Case(name, model, posterior)


def in_order(told: Mapping[str, Mapping[str, str]] | Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Return the lines of the prior table, those of whole classes first."""
    lines = list(told.values()) if isinstance(told, Mapping) else list(told)
    return sorted(lines, key=lambda line: bool(line.get("coef") or line.get("group")))


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table that R wrote: what stands in quotes is text, also where it is all digits."""
    with path.open(newline="") as file:
        header = next(csv.reader(file))
        first = next(csv.reader(file, quoting=csv.QUOTE_NONE))
    text = {name: str for name, cell in zip(header, first, strict=True) if cell.startswith('"')}
    return pd.read_csv(path, dtype=text)


def text_columns(table: pd.DataFrame, formulas: Sequence[str]) -> list[str]:
    """Return the text columns that some formula names outside a group."""
    outside = " ".join(_GROUP.sub(" ", text) for text in formulas)
    text = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    return [name for name in text if re.search(_word(name), outside)]


_GROUP = re.compile(r"(\|\|?[^)]*\))")


def _word(name: str) -> str:
    return rf"(?<![\w.\"]){re.escape(name)}(?![\w.\"])"


def reference_level(column: str, table: pd.DataFrame, parameters: Sequence[str]) -> str | None:
    """Return the level that no coefficient names; None where each has one (there is no intercept)."""
    parts = {part for name in parameters if name.startswith("b_") for part in re.sub(r"^b_", "", name).split(":")}
    parts |= {re.sub(r"^(zi|hu|shape|phi|sigma|nu|mu[^_]*)_", "", part) for part in parts}
    left = [level for level in sorted(set(table[column].astype(str))) if cleaned(f"{column}{level}") not in parts]
    if len(left) > 1:
        raise ValueError(f"{column}: {left} have no coefficient")
    return left[0] if left else None


def right_side(text: str, references: Mapping[str, str]) -> str:
    """Return the right side of a brms formula with the plain intercept and with the references of its text columns."""
    text = " ".join(text.split())
    text, found = re.subn(r"^0 \+ Intercept\b\s*\+?\s*", "", text)
    pieces = _GROUP.split(text)
    for name, level in references.items():
        coded = f'C({name}, reference="{level}")'
        pieces[::2] = [re.sub(_word(name), coded, piece) for piece in pieces[::2]]
    return "".join(pieces) or ("1" if found else "0")


def cleaned(name: str) -> str:
    """Return a name as brms writes it: signs become letters, brackets and blanks go."""
    return re.sub(r"[^\w.:]", "", "".join(RENAMED.get(sign, sign) for sign in name))


def parameter(told: str, known: Sequence[str]) -> str:
    """Return the family's parameter for one of brms'."""
    return next(name for name in PARAMETERS.get(told, (told,)) if name in known)


def priors(
    told: Mapping[str, str], known: Sequence[str], predicted: Mapping[str, str], parameters: Sequence[str],
) -> list[tuple[str, Prior]]:
    """Return names and priors of one line of the prior table."""
    kind, dpar, coef = told["class"], told.get("dpar", ""), told.get("coef", "")
    prior = prior_of(told["prior"], positive=kind in ("sd", *PARAMETERS))
    if kind in PARAMETERS:
        return [] if kind in predicted else [(parameter(kind, known), prior)]
    prefix = prefix_of(dpar, known)
    if kind == "b":
        return [(prefix + name, prior) for name in ([coef] if coef else class_members(dpar, parameters))]
    if kind not in ("sd", "cor"):
        raise ValueError(f"prior class {kind!r}")
    return [(f"{prefix}{kind}" + (f"_{told['group']}" if told.get("group") else ""), prior)]


def class_members(dpar: str, parameters: Sequence[str]) -> list[str]:
    """Return what the prior of brms' class b is for: the uncentred intercept is one of the coefficients there."""
    part = f"b_{dpar}_" if dpar else f"b_(?!(?:{'|'.join(PARAMETERS)})_)"
    coefs = [name for name in parameters if re.match(part, name)]
    intercepts = [name for name in coefs if name.endswith("_Intercept")]
    return ["Intercept"] * bool(intercepts) + ["common"] * (len(coefs) > len(intercepts))


def prefix_of(dpar: str, known: Sequence[str]) -> str:
    """Return what the variables of a predicted parameter start with."""
    if not dpar:
        return ""
    if dpar.startswith("mu"):
        return f"{dpar.removeprefix('mu')}_"
    return {"zero_probability": "zero_"}.get(name := parameter(dpar, known), f"{name}_")


def prior_of(text: str, *, positive: bool) -> Prior:
    """Return the prior that brms writes as ``normal(0, 2.5)``; on a scale it is its positive half."""
    kind, inside = re.fullmatch(r"\s*(\w+)\((.*)\)\s*", text).groups()
    numbers = [float(each) for each in inside.split(",")]
    if positive and kind in ("normal", "student_t", "cauchy") and numbers[-2] != 0:
        raise ValueError(f"{text} cut at 0")
    whole = {"normal": Normal, "student_t": StudentT, "exponential": Exponential, "lkj": LKJ, "lkj_corr_cholesky": LKJ,
             "beta": Beta, "gamma": Gamma}
    half = {"normal": lambda mu, sigma: HalfNormal(sigma), "student_t": lambda nu, mu, sigma: HalfStudentT(nu, sigma),
            "cauchy": lambda mu, beta: HalfCauchy(beta)}
    return (half if positive and kind in half else whole)[kind](*numbers)


def draws_by_name(fitted: Fitted) -> dict[str, Array]:
    """Return the draws of a fit by brms names, each of shape (chain, draw)."""
    found: dict[str, Array] = {}
    specification = fitted.specification
    hurdle = specification.family.name.startswith("hurdle")
    told = {"zero_probability": "hu" if hurdle else "zi", "concentration": "shape"}
    for each in specification.constant():
        found[told.get(each.name, each.name)] = _values_of(fitted, each.name)
    for place, predictor in enumerate(specification.predictors):
        dpar = "" if predictor.prefix == "" else told.get(predictor.parameter, predictor.parameter)
        if specification.response_levels:
            dpar = f"mu{cleaned(specification.response_levels[place + 1])}"
        found |= _predictor_draws(fitted, predictor, dpar)
    return found


def _predictor_draws(fitted: Fitted, predictor: Predictor, dpar: str) -> dict[str, Array]:
    part, found = f"{dpar}_" if dpar else "", {}
    if predictor.intercept:
        found[f"b_{part}Intercept"] = _values_of(fitted, predictor.name("Intercept"))
    for j, name in enumerate(predictor.coef):
        for order in permutations(cleaned(name).split(":")):
            found[f"b_{part}{':'.join(order)}"] = _values_of(fitted, predictor.name("beta"))[..., j]
    for block in predictor.blocks:
        group, effects = block.name.split(".")[0], [part + cleaned(effect) for effect in block.effects]
        sd = _values_of(fitted, predictor.name(f"sd_{block.name}"))
        state = _values_of(fitted, f"effect_{predictor.name(block.name)}")
        owner = f"{group}__{dpar}" if dpar else group
        for j, effect in enumerate(effects):
            found[f"sd_{group}__{effect}"] = sd[..., j]
            for i, level in enumerate(block.levels):
                label = level.replace(" ", ".").replace(":", "_")
                found[f"r_{owner}[{label},{effect.removeprefix(part)}]"] = state[..., i, j]
        if predictor.name(f"cor_{block.name}") in fitted.draws["posterior"]:
            cor = _values_of(fitted, predictor.name(f"cor_{block.name}"))
            for i, j in permutations(range(len(effects)), 2):
                found[f"cor_{group}__{effects[i]}__{effects[j]}"] = cor[..., i, j]
    return found


def _values_of(fitted: Fitted, name: str) -> Array:
    return fitted.draws["posterior"][name].transpose("chain", "draw", ...).to_numpy()
