"""Zeros: whether there are as many as the fitted family says.

Many zeros alone are no zero inflation: rare events and wide spread give them too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import optimize

from bayesglm.checks.check import Check, CheckResult, not_applicable
from bayesglm.checks.dispersion import families_with_spread
from bayesglm.checks.predictive import can_be_zero
from bayesglm.checks.replicates import LEVEL, Array, Replicate, collect, compare, judge, say_p, units_of, with_data
from bayesglm.families.family import Family
from bayesglm.fitted import Fitted
from bayesglm.predict import interval_names
from bayesglm.registry import discover

NAME = "zeros"
SMALLEST_LOG_K, LARGEST_LOG_K = -8.0, 12.0


def zeros_from_spread(y: Array, mean: Array) -> tuple[float, float]:
    """Return the share of zeros of negative binomial counts with these means and the spread of the data, and its error.

    The concentration k makes sum (y - mu)^2 / (mu + mu^2 / k) equal to n; the share is the mean of (1 + mu / k)^-k. The
    standard error holds that of the share given k and, by the delta method, that of log k.
    """
    kept = mean > 0
    y, mean = y[kept], mean[kept]

    def terms(log_k: float) -> Array:
        return np.asarray((y - mean) ** 2 / (mean + mean**2 / np.exp(log_k)))

    def share(log_k: float) -> float:
        k = np.exp(log_k)
        return float(np.exp(-k * np.log1p(mean / k)).mean())

    def excess(log_k: float) -> float:
        return float(terms(log_k).mean() - 1.0)

    if excess(LARGEST_LOG_K) <= 0:
        at = LARGEST_LOG_K
    else:
        at = SMALLEST_LOG_K if excess(SMALLEST_LOG_K) >= 0 else optimize.brentq(excess, SMALLEST_LOG_K, LARGEST_LOG_K)
    step = 1e-3
    slope = (excess(at + step) - excess(at - step)) / (2 * step)
    error = terms(at).std() / np.sqrt(len(y)) / slope if slope > 1e-6 else 0.0
    change = (share(at + step) - share(at - step)) / (2 * step)
    return share(at), float(np.sqrt(share(at) * (1 - share(at)) / len(y) + (change * error) ** 2))


def _run(fitted: Fitted, seed: int) -> CheckResult:
    family, units = fitted.specification.family, units_of(fitted.data())
    if not can_be_zero(fitted.specification):
        return not_applicable(NAME, f"the {family.label} family gives no counts that can be 0, or has 0 cut off")
    if units.trials is not None and (units.trials <= 1).all():
        return not_applicable(NAME, "with one trial in each row the share of zeros is one minus the mean")

    def statistics(each: Replicate) -> Mapping[str, Array]:
        mean = np.broadcast_to(family.mean(each.numbers, units.trials), each.drawn.shape)
        return {"zeros": (each.drawn == 0).mean(axis=1), "mean": mean.mean(axis=0, keepdims=True) * len(mean)}

    drawn = collect(fitted, units, seed, statistics)
    samples = len(drawn["zeros"])
    observed = float((units.observed == 0).mean())
    found = compare(np.array(observed), drawn["zeros"])
    verdict, more = judge(found.p, found.distance), observed > float(found.mean)
    expected = drawn["mean"].sum(axis=0) / samples
    spread, error = zeros_from_spread(units.observed, expected) if family.support.kind == "count" else (np.nan, np.nan)
    low, high = interval_names("predicted", LEVEL)
    table = pd.DataFrame([{"statistic": "share of zeros", "observed": observed, "predicted_mean": float(found.mean),
                           low: float(found.lower), high: float(found.upper), "p": float(found.p),
                           "zeros_from_spread": spread}])
    finding = (f"{observed:.1%} of the rows are 0, the fitted {family.label} family predicts {float(found.mean):.1%} "
               f"({float(found.lower):.1%} to {float(found.upper):.1%} with 90 %), {say_p(float(found.p), samples)}")
    if verdict == "pass":
        return CheckResult(NAME, verdict, finding, "", table)
    if not more:
        return CheckResult(NAME, verdict, f"{finding}: fewer zeros than the family says", _FEWER, table)
    by_spread = observed <= spread + 3.0 * error and not family.with_role("dispersion")
    reading = "more zeros than the family says, " + (
        "as many as the spread of the counts explains without zero inflation" if by_spread
        else "and more than the spread of the counts explains")
    return CheckResult(NAME, verdict, f"{finding}: {reading}", _advice(family, by_spread=by_spread), table)


_FEWER = ("If a zero cannot be recorded, use a truncated family; if zeros come from a process of their own, a hurdle "
          "family; otherwise look for rows that are missing because nothing happened in them.")


def _advice(family: Family, *, by_spread: bool) -> str:
    if family.with_role("zero"):
        return "Let the zero probability depend on covariates or groups with a zero formula."
    if by_spread:
        return (f"Use a family with a dispersion, {' or '.join(families_with_spread(family))}, and check again: zeros "
                "that come with wide spread are no zero inflation.")
    known = discover("bayesglm.families", Family)
    others = [name for name in (f"zero_inflated_{family.name}", f"hurdle_{family.name}") if name in known]
    named = " or ".join(others) or "a family with a zero part"
    return (f"First make sure that missing windows were not recorded as zeros. Then use {named}: zero-inflated if "
            "some rows can never have an event, hurdle if zeros come from a process of their own.")


MEMBER = Check(
    name=NAME, question="Are there as many zeros as the fitted family says?", run=with_data(NAME, _run),
    source="Lambert (1992), Zero-inflated Poisson regression, Technometrics 34, 1; Gelman et al. (2013), Bayesian "
           "Data Analysis, section 6.3",
)
