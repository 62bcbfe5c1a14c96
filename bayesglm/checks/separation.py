"""Separation: common effects that the data bound on one side only, so that the prior sets how large they are.

A column separates when every response beyond a cut of it is at one end of its support: no event in any row of a level,
say. The likelihood then rises for ever as the coefficient grows. The prior keeps the posterior proper, and its size is
the prior's answer. Levels of groups are left out: pulling such levels together is what a group is for.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult, not_applicable
from bayesglm.checks.replicates import Array, Units, units_of, with_data
from bayesglm.families.family import Family
from bayesglm.fitted import Fitted

NAME = "separation"
ENDS = {"binary": "events", "successes": "successes", "count": "events"}


def _at_ends(family: Family, units: Units) -> dict[str, Array]:
    """Return which units tell against each end of the support: 1 where the response is not at it."""
    trials = np.ones(units.size) if units.trials is None else units.trials
    none = (units.observed == 0).astype(np.float64)
    if family.support.kind == "count":
        return {"no": 1.0 - none}
    every = (units.observed == trials).astype(np.float64)
    return {"no": 1.0 - none, "every": 1.0 - every}


def one_sided(column: Array, against: Array, *, binary: bool) -> tuple[str, int] | None:
    """Return where no unit tells against an end (a value of an indicator, a side of a cut) and how many are there."""
    telling = column[against > 0]
    if telling.size == 0 or telling.size == column.size:
        return None
    values = np.unique(column)
    if len(values) == 2:
        for value in values[::-1]:
            if not (telling == value).any():
                return f"= {value:g}", int((column == value).sum())
        return None
    if not binary:
        return None
    # A cut that separates completely: the others all lie on the other side of it.
    rest = column[against == 0]
    if rest.max() < telling.min():
        return f"< {telling.min():g}", len(rest)
    if rest.min() > telling.max():
        return f"> {telling.max():g}", len(rest)
    return None


def _run(fitted: Fitted, seed: int) -> CheckResult:
    del seed
    family, problem = fitted.specification.family, fitted.data()
    if family.support.kind not in ENDS:
        return not_applicable(NAME, f"a {family.label} response has no end to pile up at")
    first = fitted.specification.predictors[0]
    if not first.coef:
        return not_applicable(NAME, "the formula has no common effects")
    units = units_of(problem)
    columns = first.code(problem.patterns.table).common[units.pattern]
    event, lines = ENDS[family.support.kind], []
    for j, name in enumerate(first.coef):
        for word, against in _at_ends(family, units).items():
            where = one_sided(columns[:, j], against, binary=family.support.kind == "binary")
            if where is not None:
                said = f"no {event}" if word == "no" else f"nothing but {event}"
                lines.append({"coefficient": name, "where": where[0], "rows": where[1], "responses": said})
    table = pd.DataFrame(lines)
    if not lines:
        return CheckResult(NAME, "pass", f"the data bound all {len(first.coef)} coefficients on both sides")
    one = lines[0]
    finding = (f"{len(table['coefficient'].unique())} of {len(first.coef)} coefficients are bounded on one side only; "
               f"{one['coefficient']} {one['where']}: {one['responses']} in {one['rows']} rows")
    return CheckResult(NAME, "warn", finding, _ADVICE, table)


_ADVICE = ("How far these effects go is the prior's answer: report them as at least so large, give a prior that was "
           "chosen for them, or make the column a group, (1 | column), so that its levels share strength.")

MEMBER = Check(
    name=NAME, question="Are there effects that only the prior bounds?", run=with_data(NAME, _run),
    source="Albert and Anderson (1984), Biometrika 71, 1; Gelman et al. (2008), Annals of Applied Statistics 2, 1360",
)
