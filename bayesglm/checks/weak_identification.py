"""Weak identification: whether the data can tell a zero probability from a dispersion.

Both make zeros. Where counts are small, a larger zero probability and less spread fit as well as a smaller one and more
spread, and the two wander together along a ridge. Predictions are then still sound, and neither of the two numbers is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from bayesglm.checks.check import Check, CheckResult, not_applicable
from bayesglm.families.family import Parameter
from bayesglm.fitted import Fitted
from bayesglm.rows import Array

NAME = "weak_identification"
MOST = 0.8
WIDE = 0.6  # of the unit interval: a constant zero probability with a wider 90 % interval is hardly known


def level_of(fitted: Fitted, parameter: Parameter) -> tuple[str, Array] | None:
    """Return name and draws of a parameter's level: the constant, or the intercept of its formula."""
    for predictor in fitted.specification.predictors:
        if predictor.parameter == parameter.name:
            name = predictor.name("Intercept")
            return (name, fitted.stacked(name)) if predictor.intercept else None
    return parameter.name, fitted.stacked(parameter.name)


def _run(fitted: Fitted, seed: int) -> CheckResult:
    del seed
    family = fitted.specification.family
    zeros, dispersions = family.with_role("zero"), family.with_role("dispersion")
    if not zeros or not dispersions:
        return not_applicable(NAME, f"the {family.label} family has not both a zero probability and a dispersion")
    first = [each for parameter in zeros if (each := level_of(fitted, parameter)) is not None]
    second = [each for parameter in dispersions if (each := level_of(fitted, parameter)) is not None]
    if not first or not second:
        return not_applicable(NAME, "a formula without an intercept has no level to compare")
    constants = {each.name for each in zeros}
    lines = [
        {"first": name, "second": other, "correlation": float(stats.spearmanr(draws, others).statistic),
         "width": float(np.diff(np.quantile(draws, [0.05, 0.95]))[0]) if name in constants else np.nan}
        for name, draws in first for other, others in second if np.ptp(draws) > 0 and np.ptp(others) > 0
    ]
    if not lines:
        return not_applicable(NAME, "the draws do not vary")
    table = pd.DataFrame(lines)
    worst = table.iloc[int(table["correlation"].abs().to_numpy().argmax())]
    finding = f"the posterior rank correlation of {worst['first']} and {worst['second']} is {worst['correlation']:.2f}"
    wide = bool((table["width"] > WIDE).any())
    if abs(worst["correlation"]) <= MOST and not wide:
        return CheckResult(NAME, "pass", f"{finding}: the data tell them apart", "", table)
    why = ("the data hardly tell them apart" if abs(worst["correlation"]) > MOST else
           "the 90 % interval of the zero probability spans most of its range")
    return CheckResult(NAME, "warn", f"inflation and k weakly identified: {finding}; {why}", _ADVICE, table)


_ADVICE = ("Read predictions and not these two parameters. Compare with the family without zero inflation and keep "
           "the simpler one where it predicts as well, give an informative prior to one of the two, or collect "
           "windows with larger means.")

MEMBER = Check(
    name=NAME, question="Can the data tell zero inflation from dispersion?", run=_run,
    source="Hilbe (2011), Negative Binomial Regression, section 11.3",
)
