"""Dispersion: Pearson's chi-square over its degrees of freedom, with the family's own mean and variance.

    X2(y, theta) / n = mean_i (y_i - E[y_i | theta])^2 / Var[y_i | theta]

is taken at posterior draws of theta and held against the same number for replicates drawn from the same theta. At a
posterior draw the expectation of each term is 1 without any correction: what fitting takes from the residuals, the
spread of theta gives back. So the degrees of freedom are the represented rows, and nobody has to count the coefficients
of shrunken groups. For a well-fitted negative binomial the number is 1, while residual variance over mean would be 1 +
mu / k.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.checks.replicates import LEVEL, Array, Replicate, Units, collect, say_p, units_of, with_data
from bayesglm.families.family import Family
from bayesglm.fitted import Fitted
from bayesglm.predict import interval_names
from bayesglm.registry import discover

NAME = "dispersion"
ALARM = 0.01
READING = {"ok": "the dispersion is the family's", "over": "overdispersed", "under": "underdispersed"}
FAR = 1.5  # a ratio beyond this, or below its inverse, fails


def pearson(units: Units, family: Family, each: Replicate) -> dict[str, Array]:
    """Return X2 / n of the observed and of the drawn responses, each of shape (sample,)."""
    mean, variance = family.mean(each.numbers, units.trials), family.variance(each.numbers, units.trials)

    def ratio(y: Array) -> Array:
        square = (y - mean) ** 2
        terms = np.divide(square, variance, out=np.zeros(np.broadcast_shapes(square.shape, variance.shape)),
                          where=np.broadcast_to(variance > 0, square.shape))
        return np.asarray(terms.mean(axis=1))

    return {"observed": ratio(units.observed[None, :]), "drawn": ratio(each.drawn)}


def reason_against(family: Family, units: Units) -> str:
    """Return why the statistic says nothing about this response, empty where it does."""
    if family.support.kind == "category":
        return "a category has no variance apart from its probabilities"
    if family.support.kind == "binary" or (units.trials is not None and (units.trials <= 1).all()):
        return "with one trial in each row the variance follows from the mean"
    return ""


def families_with_spread(family: Family) -> list[str]:
    """Return the families for the same kind of response that have a dispersion and neither a zero part nor a cut."""
    return sorted(
        name for name, each in discover("bayesglm.families", Family).items()
        if each.support.kind == family.support.kind and each.with_role("dispersion") and not each.with_role("zero")
        and each.support.lower == family.support.lower and each.configure is None
    )


def _run(fitted: Fitted, seed: int) -> CheckResult:
    family, units = fitted.specification.family, units_of(fitted.data())
    reason = reason_against(family, units)
    if reason:
        return not_applicable(NAME, reason)
    found = collect(fitted, units, seed, lambda each: pearson(units, family, each))
    if not all(np.isfinite(each).all() for each in found.values()):
        return not_applicable(NAME, f"the variance of the {family.label} family is infinite at some posterior draws")
    observed, drawn = found["observed"], found["drawn"]
    ratio, p = float(observed.mean()), float((drawn > observed).mean() + 0.5 * (drawn == observed).mean())
    verdict, word = _verdict(ratio, p)
    low, high = interval_names("predicted", LEVEL)
    ends = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    table = pd.DataFrame([{"statistic": "Pearson chi-square / df", "observed": ratio, "df": units.size,
                           "predicted_mean": float(drawn.mean()), low: ends[0], high: ends[1], "p": p,
                           "dispersion": word}])
    tail = say_p(min(p, 1 - p), len(drawn))
    finding = (f"Pearson chi-square / df is {ratio:.3g} (about 1 where the family's variance is right, here "
               f"{ends[0]:.3g} to {ends[1]:.3g}), one-sided {tail}: {READING[word]}")
    return CheckResult(NAME, verdict, finding, _advice(family, word), table)


def _verdict(ratio: float, p: float) -> tuple[Verdict, str]:
    if ALARM <= p <= 1 - ALARM:
        return "pass", "ok"
    far = ratio > FAR or ratio < 1 / FAR
    return "fail" if far else "warn", "over" if p < ALARM else "under"


def _advice(family: Family, word: str) -> str:
    if word == "ok":
        return ""
    if word == "under":
        return ("Responses vary less than the family allows, so intervals are too wide: look for rows that repeat "
                "each other, for totals with a ceiling (use trials), or for a prior that holds the dispersion up.")
    others = families_with_spread(family)
    if family.with_role("dispersion") or not others:
        return ("The family has a dispersion of its own and rows still vary more: look for missing covariates or "
                "groups, extreme rows, or let the dispersion have a formula.")
    return ("Intervals are too narrow. First add what is missing from the formula (season, groups, exposure); if the "
            f"spread stays, use a family with a dispersion: {' or '.join(others)}.")


MEMBER = Check(
    name=NAME, question="Do responses vary around their means as much as the family says?", run=with_data(NAME, _run),
    source="McCullagh and Nelder (1989), Generalized Linear Models, section 4.5; Gelman, Meng and Stern (1996), "
           "Statistica Sinica 6, 733",
)
