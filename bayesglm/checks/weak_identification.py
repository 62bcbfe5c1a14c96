"""Weak identification: whether the data can tell zero inflation from a small mean and from spread.

All three make zeros. Where counts are small, a larger zero probability with a larger mean or with less spread fits as
well as a smaller one, and they wander together along a ridge. Predictions are then still sound, and none of the
parameters is.
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
TIED = 0.8  # rank correlation from which two parameters count as one
RELATED, FACTOR = 0.5, 10.0  # or this correlation, with a dispersion whose 90 % interval spans such a factor


def level_of(fitted: Fitted, parameter: Parameter) -> tuple[str, Array, bool] | None:
    """Return name and draws of a parameter's level, and whether they are logs: the constant, or a formula's intercept."""
    for predictor in fitted.specification.predictors:
        if predictor.parameter == parameter.name:
            centred = predictor.name("Intercept_centered")
            name = centred if centred in fitted.draws["posterior"] else predictor.name("Intercept")
            return (name, fitted.stacked(name), True) if predictor.intercept else None
    return parameter.name, fitted.stacked(parameter.name), False


def span(draws: Array, *, logs: bool) -> float:
    """Return the factor between the ends of the 90 % interval."""
    low, high = np.quantile(draws, [0.05, 0.95])
    return float(np.exp(high - low) if logs else high / max(low, np.finfo(np.float64).tiny))


def _run(fitted: Fitted, seed: int) -> CheckResult:
    del seed
    family = fitted.specification.family
    if not family.with_role("zero") or not family.with_role("dispersion"):
        return not_applicable(NAME, f"the {family.label} family has no zero probability beside a dispersion")
    lines = []
    for parameter in family.with_role("zero"):
        zero = level_of(fitted, parameter)
        for role in ("dispersion", "mean"):
            for other in family.with_role(role):
                level = level_of(fitted, other)
                if zero is None or level is None or np.ptp(zero[1]) == 0 or np.ptp(level[1]) == 0:
                    continue
                lines.append({
                    "first": zero[0], "second": level[0],
                    "correlation": float(stats.spearmanr(zero[1], level[1]).statistic),
                    "span": span(level[1], logs=level[2]) if role == "dispersion" else np.nan,
                })
    if not lines:
        return not_applicable(NAME, "there is no intercept or constant to compare, or its draws do not vary")
    return _result(pd.DataFrame(lines))


def _result(table: pd.DataFrame) -> CheckResult:
    size, factor = table["correlation"].abs().to_numpy(), table["span"].to_numpy()
    weak = (size > TIED) | ((size > RELATED) & (factor > FACTOR))
    worst = table.iloc[int(np.argmax(np.where(weak, size + 1.0, size)))]
    finding = f"the posterior rank correlation of {worst['first']} and {worst['second']} is {worst['correlation']:.2f}"
    if worst["span"] > FACTOR:
        finding += f", and {worst['second']} is known to a factor of {worst['span']:.0f} only"
    if not weak.any():
        return CheckResult(NAME, "pass", f"{finding}: the data tell them apart", "", table)
    return CheckResult(NAME, "warn", f"inflation and k weakly identified: {finding}", _ADVICE, table)


_ADVICE = ("Read predictions and not these parameters. Compare with the family without zero inflation and keep the "
           "simpler "
           "one where it predicts as well, give one of them an informative prior, or collect windows with larger "
           "means.")

MEMBER = Check(
    name=NAME, question="Can the data tell zero inflation from a small mean and from spread?", run=_run,
    source="Hilbe (2011), Negative Binomial Regression, section 11.3",
)
