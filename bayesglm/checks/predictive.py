"""Posterior predictive statistics: whether the model produces responses like the ones observed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult
from bayesglm.checks.replicates import (
    ALARM,
    LEVEL,
    Array,
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

NAME = "predictive"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
RESPONSES = ("quantile", "minimum", "maximum")  # statistics that are responses themselves
_SPREAD = "the spread is not the family's: see the dispersion check; a missing covariate or group has the same effect"
_TAIL = "the tail is not the family's: look for a few extreme rows, a missing covariate, or a family with heavier tails"
_ZEROS = "zeros are not the family's: see the zeros check"
_MEAN = "the overall level is off: a prior pulls it, or an effect is forced to one value; look at the prior table"
_SHAPE = "the shape in the middle is not the family's: look at the PIT plot and at the groups"
ADVICE = {"mean": _MEAN, "variance": _SPREAD, "zeros": _ZEROS, "minimum": _TAIL, "maximum": _TAIL}


def response_statistics(specification: Specification, y: Array) -> Mapping[str, Array]:
    """Return statistics of responses of shape (sample, unit), each of shape (sample,).

    A category has the share of each level, a yes or no its mean; all others mean, variance, extremes, quantiles, and
    the share of zeros where the family can give one.
    """
    support = specification.family.support
    if specification.response_levels:
        levels = enumerate(specification.response_levels)
        return {f"share of {level}": (y == code).mean(axis=1) for code, level in levels}
    if support.kind == "binary":
        return {"mean": y.mean(axis=1)}
    found = {"mean": y.mean(axis=1), "variance": y.var(axis=1), "maximum": y.max(axis=1)}
    if can_be_zero(specification):
        found["zeros"] = (y == 0).mean(axis=1)
    else:
        found["minimum"] = y.min(axis=1)
    ends = np.quantile(y, QUANTILES, axis=1, method="inverted_cdf" if support.discrete else "linear")
    return found | {f"quantile {q:g}": end for q, end in zip(QUANTILES, ends, strict=True)}


def can_be_zero(specification: Specification) -> bool:
    """Whether the family is discrete and has 0 in its support."""
    support = specification.family.support
    return support.kind in ("count", "successes") and support.lower <= 0 and specification.family.zero is not None


def _run(fitted: Fitted, seed: int) -> CheckResult:
    specification, units = fitted.specification, units_of(fitted.data())
    observed = response_statistics(specification, units.observed[None, :])
    drawn = collect(fitted, units, seed, lambda each: response_statistics(specification, each.drawn))
    whole = specification.family.support.discrete
    found = {name: compare(observed[name][0], draws, whole=whole and name.startswith(RESPONSES))
             for name, draws in drawn.items()}
    low, high = interval_names("predicted", LEVEL)
    table = pd.DataFrame([
        {"statistic": name, "observed": float(each.observed), "predicted_mean": float(each.mean),
         low: float(each.lower), high: float(each.upper), "p": float(each.p)}
        for name, each in found.items()
    ])
    verdict = judge(np.array([each.p for each in found.values()]), np.array([each.distance for each in found.values()]))
    samples = len(next(iter(drawn.values())))
    worst = min(found, key=lambda name: (float(found[name].p), -abs(float(found[name].distance))))
    one = found[worst]
    off = [name for name, each in found.items() if each.p < ALARM]
    finding = (f"{len(off)} of {len(found)} statistics of {specification.roles.response} lie outside what the model "
               f"predicts (p < {ALARM:g}); the furthest is {worst}: observed {float(one.observed):.4g}, predicted "
               f"{float(one.lower):.4g} to {float(one.upper):.4g} (90 %), {say_p(float(one.p), samples)}")
    advice = "; ".join(dict.fromkeys(ADVICE.get(name, _SHAPE) for name in off))
    return CheckResult(NAME, verdict, finding, advice[:1].upper() + advice[1:] + "." if advice else "", table)


MEMBER = Check(
    name=NAME, question="Does the model produce responses like the ones observed?", run=with_data(NAME, _run),
    source="Gelman, Meng and Stern (1996), Posterior predictive assessment of model fitness, Statistica Sinica 6, 733",
)
