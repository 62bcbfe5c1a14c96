"""Posterior predictive means and zeros within groups: whether the model fits everywhere or only on the whole.

One p for each group, two-sided and adjusted for how many are looked at: the share of replicates whose furthest group
lies as far from the rest as this one (the step-down's first step of Westfall and Young). Groups that move together are
thus not counted twice, and replicates and data enter alike, so that the chance of any alarm under the model is the
level itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from bayesglm.checks.check import Check, CheckResult, not_applicable
from bayesglm.checks.predictive import can_be_zero
from bayesglm.checks.replicates import (
    ALARM,
    LEVEL,
    Array,
    Replicate,
    Units,
    collect,
    compare,
    judge,
    say_p,
    units_of,
    with_data,
)
from bayesglm.fitted import Fitted
from bayesglm.predict import interval_names
from bayesglm.specification import Specification

NAME = "by_group"
MOST_LEVELS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """A way to divide the units.

    Attributes
    ----------
    name : str
        The column or columns.
    levels : array of str
        Labels of the groups that have units.
    share : sparse array, shape (unit, group)
        1 / (units of the group) where the unit belongs to it: values @ share are group means.
    units : array, shape (group,)
        Units of each group.
    """

    name: str
    levels: NDArray[np.str_]
    share: sp.csc_array
    units: Array


def divide(name: str, labels: NDArray[np.str_]) -> Grouping:
    """Return the grouping of units by labels."""
    levels, codes = np.unique(labels, return_inverse=True)
    units = np.bincount(codes).astype(np.float64)
    cells = (1.0 / units[codes], (np.arange(len(codes)), codes))
    return Grouping(name, levels, sp.csc_array(cells, shape=(len(codes), len(levels))), units)


def groupings(fitted: Fitted, units: Units) -> tuple[Grouping, ...]:
    """Return the divisions by grouping factors, categories of the formula and context labels, as far as they divide."""
    found: dict[str, Grouping] = {}
    for name, labels in _labels(fitted, units):
        if name not in found:
            found[name] = divide(name, labels)
    return tuple(each for each in found.values() if 1 < len(each.levels) <= min(MOST_LEVELS, units.size // 2))


def _labels(fitted: Fitted, units: Units) -> Iterator[tuple[str, NDArray[np.str_]]]:
    problem = fitted.data()
    table, data = problem.patterns.table, problem.observations
    for predictor in fitted.specification.predictors:
        for block, basis in zip(predictor.blocks, predictor.code(table).bases, strict=True):
            if block.role == "group":
                yield block.name, np.array(block.levels, dtype=str)[basis.index[units.pattern]]
    for column in table.columns.values():
        if column.kind in ("category", "boolean"):
            yield column.name, column.labels().astype(str)[units.pattern]
    for name in fitted.specification.roles.context:
        yield name, data.labels[name][units.rows].astype(str)


def _statistics(specification: Specification, divided: tuple[Grouping, ...], y: Array) -> dict[str, Array]:
    """Group statistics of responses of shape (sample, unit), as ``statistic | grouping`` to (sample, group)."""
    values: dict[str, Array] = {"mean": y}
    if specification.response_levels:
        values = {f"share of {level}": (y == code) * 1.0 for code, level in enumerate(specification.response_levels)}
    elif can_be_zero(specification):
        values["zeros"] = (y == 0) * 1.0
    return {f"{name}|{position}": np.asarray(each @ one.share)
            for name, each in values.items() for position, one in enumerate(divided)}


def adjusted(observed: Array, drawn: Array, *, root: bool) -> Array:
    """Return a p for each group, adjusted for all of them.

    Parameters
    ----------
    observed : array, shape (group,)
        The statistic.
    drawn : array, shape (sample, group)
        Its replicates.
    root : bool
        Whether distances are taken on the square root, where means of counts vary alike whatever their size.
    """
    together = np.vstack([observed, drawn])
    if root:
        together = np.sqrt(np.maximum(together, 0.0))
    sd = together.std(axis=0)
    distance = np.abs(np.divide(together - together.mean(axis=0), sd, out=np.zeros_like(together), where=sd > 1e-12))
    furthest = distance.max(axis=1)
    return np.asarray((furthest[:, None] >= distance[0] - 1e-12).mean(axis=0))


def _run(fitted: Fitted, seed: int) -> CheckResult:
    specification, units = fitted.specification, units_of(fitted.data())
    divided = groupings(fitted, units)
    if not divided:
        return not_applicable(NAME, "there is no grouping factor, category or context label that divides the rows "
                                    f"into 2 to {MOST_LEVELS} groups")

    def of_replicate(each: Replicate) -> dict[str, Array]:
        return _statistics(specification, divided, each.drawn)

    observed = {name: value[0] for name, value in _statistics(specification, divided, units.observed[None, :]).items()}
    drawn = collect(fitted, units, seed, of_replicate)
    root = specification.family.support.discrete
    joined = np.concatenate([observed[name] for name in drawn])
    everything = adjusted(joined, np.hstack(list(drawn.values())), root=root)
    table, distances = _table(divided, observed, drawn, everything)
    verdict = judge(everything, distances)
    off = table[table["p_adjusted"] < ALARM]
    worst, samples = table.iloc[0], len(next(iter(drawn.values())))
    low, high = interval_names("predicted", LEVEL)
    finding = (f"{len(off)} of {len(table)} group statistics lie outside what the model predicts (adjusted p < "
               f"{ALARM:g}); the furthest is the {worst['statistic']} of {worst['grouping']} {worst['group']}: "
               f"observed {worst['observed']:.4g}, predicted {worst[low]:.4g} to {worst[high]:.4g} (90 %), adjusted "
               f"{say_p(float(worst['p_adjusted']), samples)}")
    return CheckResult(NAME, verdict, finding, _advice(off), table)


def _advice(off: pd.DataFrame) -> str:
    if off.empty:
        return ""
    means = off[off["statistic"] != "zeros"]
    names = ", ".join(dict.fromkeys(str(each) for each in (off if means.empty else means)["grouping"]))
    if means.empty:
        return (f"Only zeros are off: see the zeros check; where it passes, let the zero probability or the dispersion "
                f"differ by {names}.")
    return (f"Let effects differ by {names}: add it to the formula, as a group (1 | name) where it has many levels, or "
            "with a slope where it is there already.")


def _table(
    divided: tuple[Grouping, ...], observed: dict[str, Array], drawn: dict[str, Array], everything: Array,
) -> tuple[pd.DataFrame, Array]:
    """Return the evidence, furthest group first, and the distances in the order of the adjusted p."""
    low, high = interval_names("predicted", LEVEL)
    parts, distances = [], []
    for name, draws in drawn.items():
        statistic, position = name.rsplit("|", 1)
        one, found = divided[int(position)], compare(observed[name], draws)
        distances.append(found.distance)
        parts.append(pd.DataFrame({
            "statistic": statistic, "grouping": one.name, "group": one.levels, "rows": one.units.astype(np.int64),
            "observed": found.observed, "predicted_mean": found.mean, low: found.lower, high: found.upper, "p": found.p,
        }))
    joined = np.concatenate(distances)
    table = pd.concat(parts, ignore_index=True).assign(p_adjusted=everything)
    order = np.lexsort((-np.abs(joined), everything))
    return table.iloc[order].reset_index(drop=True), joined


MEMBER = Check(
    name=NAME, question="Does the model fit within every group, or only on the whole?", run=with_data(NAME, _run),
    source="Gelman et al. (2013), Bayesian Data Analysis, section 6.3; Westfall and Young (1993), Resampling-Based "
           "Multiple Testing, chapter 2",
)
