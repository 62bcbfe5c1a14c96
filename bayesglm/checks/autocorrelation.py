"""Autocorrelation: whether residuals follow each other in time.

Pearson residuals of each series and time, r_t = sum (y - mean) / sqrt(sum variance) over the rows there, at posterior
draws:

    rho_1 = sum r_t r_(t-1) / sum r_t^2

pooled over series, against the same number for replicates drawn from the same parameters. Only neighbours that are not
further apart than usual are paired. A dispersion parameter absorbs spread and never serial dependence; where that is
left, sums and means over several times have intervals that are too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.checks.replicates import (
    ALARM,
    LEVEL,
    Array,
    Replicate,
    Units,
    collect,
    say_p,
    two_sided,
    units_of,
    with_data,
)
from bayesglm.fitted import Fitted
from bayesglm.predict import interval_names

NAME = "autocorrelation"
FAR = 0.3  # an excess correlation beyond this fails
FEWEST = 10


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Units gathered by series and time.

    Attributes
    ----------
    names : tuple of str
        Columns that divide the rows into series; empty for a single one.
    member : sparse array, shape (unit, cell)
        1 where the unit belongs to the series and time of the cell; cells stand by series, then time.
    earlier, later : int array
        Neighbouring cells.
    """

    names: tuple[str, ...]
    member: sp.csc_array
    earlier: NDArray[np.intp]
    later: NDArray[np.intp]


def series_of(fitted: Fitted, units: Units) -> Series:
    """Return the series of a fit: one for each combination of grouping factors and context labels."""
    problem = fitted.data()
    table, data, roles = problem.patterns.table, problem.observations, fitted.specification.roles
    keys: dict[str, NDArray[np.generic]] = {}
    for predictor in fitted.specification.predictors:
        for block, basis in zip(predictor.blocks, predictor.code(table).bases, strict=True):
            if block.role == "group":
                keys.setdefault(block.name, basis.index[units.pattern])
    keys |= {name: data.labels[name][units.rows].astype(str) for name in roles.context}
    series = np.zeros(units.size, np.int64)
    for key in keys.values():
        codes, found = pd.factorize(key)
        series = pd.factorize(series * len(found) + codes)[0].astype(np.int64)
    times, moment = np.unique(data.labels[str(roles.time)][units.rows], return_inverse=True)
    cells, cell = np.unique(series * len(times) + moment, return_inverse=True)
    member = sp.csc_array((np.ones(units.size), (np.arange(units.size), cell)), shape=(units.size, len(cells)))
    clock = times.astype("datetime64[us]").astype(np.float64) if times.dtype.kind == "M" else (
        times.astype(np.float64) if times.dtype.kind in "iuf" else np.arange(len(times), dtype=np.float64))
    same = np.diff(cells // len(times)) == 0
    gap = np.diff(clock[cells % len(times)])
    usual = np.median(gap[same]) if same.any() else 0.0
    earlier = np.flatnonzero(same & (gap <= 1.5 * usual))
    return Series(tuple(keys), member, earlier, earlier + 1)


def lag_one(residuals: Array, series: Series) -> Array:
    """Return the lag-1 autocorrelation of residuals of shape (sample, cell), neighbours against their own size."""
    before, after = residuals[:, series.earlier], residuals[:, series.later]
    size = np.sqrt((before**2).sum(axis=1) * (after**2).sum(axis=1))
    return np.asarray(np.divide((before * after).sum(axis=1), size, out=np.zeros_like(size), where=size > 0))


def _run(fitted: Fitted, seed: int) -> CheckResult:
    specification, units = fitted.specification, units_of(fitted.data())
    family = specification.family
    if specification.roles.time is None:
        return not_applicable(NAME, "no column was named as the time of the rows")
    if specification.response_levels:
        return not_applicable(NAME, "residuals of a category have no sign")
    series = series_of(fitted, units)
    if len(series.earlier) < FEWEST:
        return not_applicable(NAME, f"only {len(series.earlier)} pairs of neighbouring times, at least {FEWEST} are "
                                    "needed")

    def statistics(each: Replicate) -> dict[str, Array]:
        shape = each.drawn.shape
        mean = np.broadcast_to(family.mean(each.numbers, units.trials), shape)
        variance = np.broadcast_to(family.variance(each.numbers, units.trials), shape) @ series.member
        sd = np.sqrt(np.where(variance > 0, variance, np.inf))
        return {"observed": lag_one(((units.observed - mean) @ series.member) / sd, series),
                "drawn": lag_one(((each.drawn - mean) @ series.member) / sd, series)}

    found = collect(fitted, units, seed, statistics)
    if not all(np.isfinite(each).all() for each in found.values()):
        return not_applicable(NAME, f"the variance of the {family.label} family is infinite at some posterior draws")
    return _result(fitted, series, found["observed"], found["drawn"])


def _result(fitted: Fitted, series: Series, observed: Array, drawn: Array) -> CheckResult:
    time = str(fitted.specification.roles.time)
    rho, expected = float(observed.mean()), float(drawn.mean())
    p = float(two_sided(np.asarray((drawn > observed).mean()), np.asarray((drawn == observed).mean())))
    verdict: Verdict = "pass" if p >= ALARM else "fail" if abs(rho - expected) > FAR else "warn"
    low, high = interval_names("predicted", LEVEL)
    ends = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    table = pd.DataFrame([{"statistic": "lag-1 autocorrelation", "observed": rho, "pairs": len(series.earlier),
                           "predicted_mean": expected, low: ends[0], high: ends[1], "p": p}])
    within = f" within {', '.join(series.names)}" if series.names else ""
    finding = (f"residuals at neighbouring values of {time}{within} correlate by {rho:.2f} over {len(series.earlier)} "
               f"pairs, the model predicts {ends[0]:.2f} to {ends[1]:.2f} (90 %), {say_p(p, len(drawn))}")
    advice = "" if verdict == "pass" else (
        f"Rows near in {time} share something the formula lacks: add season(), ar({time}) or rw({time}), or a "
        "covariate that moves in time. Until then intervals of sums over several times are too narrow."
        if rho > expected else
        f"Residuals alternate in {time}: look for windows that count the same events twice or swap events between "
        "neighbours, and for a time effect that follows single rows.")
    return CheckResult(NAME, verdict, finding, advice, table)


MEMBER = Check(
    name=NAME, question="Do residuals follow each other in time?", run=with_data(NAME, _run),
    source="Box and Pierce (1970), Journal of the American Statistical Association 65, 1509; Gelman, Meng and Stern "
           "(1996), Statistica Sinica 6, 733",
)
