"""Alert storm: more rows flagged than the threshold means to flag, and what they have in common.

Flagged rows of a series come in bursts, so a number somewhat above the expected one is held against the variance that its bursts
give it; a number far above it is a storm, and one long burst a reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.mixtures.check import Examined, frame_of
from bayesglm.mixtures.comparison import score_change
from bayesglm.mixtures.explain import explain
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.scoring import exposure_of, simulate
from bayesglm.mixtures.thresholds import clustering, runs

NAME = "alert_storm"
RATE = 0.005
ALARM = 0.001
MANY = 3.0
MOST = 0.7
_EXPLAINED = 40
_ROWS = 20_000
_SIMULATED = 5000
_WIDER = 1.3  # times the variance that rows of the mixture have


def _run(held: Examined, seed: int) -> CheckResult:
    if held.table is None:
        return not_applicable(NAME, "the fit has no rows at hand: give them as data")
    fit, table = held.fit, held.table
    if table.rows > _ROWS:  # a stretch, not a sample: neighbours matter
        table = table.take(np.arange(table.rows - _ROWS, table.rows))
    data = frame_of(fit, table)
    flagged = fit.tail_probability(data, seed=seed, size=_SIMULATED) <= RATE
    count, rows = int(flagged.sum()), len(flagged)
    bursts = clustering(flagged)
    alone, p = (float(stats.binom.sf(np.ceil(count / each) - 1, round(rows / each), RATE)) for each in (1.0, bursts))
    storm = alone < ALARM and count > MANY * RATE * rows
    verdict: Verdict = "fail" if storm else "warn" if p < ALARM else "pass"
    causes = list(_causes(held, data, flagged, seed)) if verdict != "pass" else []
    finding = (f"{count} of {rows} rows ({count / rows:.2%}) have a tail probability of at most {RATE:g}, "
               f"where about {RATE * rows:.0f} are expected")
    if causes:
        finding += f"; suspected: {', '.join(name for name, _ in causes)}"
    shown = pd.DataFrame({"suspected": [name for name, _ in causes], "what": [text for _, text in causes]})
    advice = "; ".join(text for _, text in causes)
    return CheckResult(NAME, verdict, finding, advice[:1].upper() + advice[1:] + "." if advice else "", shown)


def _causes(held: Examined, data: pd.DataFrame, flagged: NDArray[np.bool_], seed: int) -> Iterator[tuple[str, str]]:
    """Yield what the flagged rows have in common, the most specific first."""
    fit = held.fit
    rows = np.flatnonzero(flagged)
    some = rows[np.linspace(0, len(rows) - 1, min(_EXPLAINED, len(rows))).astype(int)]
    told = explain(fit, data.iloc[some])
    top = told.groupby("row").first()["feature"].value_counts(normalize=True)
    if top.iloc[0] >= MOST and len(top.index) and len({name for part in fit.parts for name in part.layout.names}) > 1:
        name = str(top.index[0])
        yield "one column", (f"`{name}` makes {top.iloc[0]:.0%} of the flagged rows unusual{_factor(told, name)}: look for a "
                             "changed unit, a broken sensor, or a real shift of this column alone")
    stretches = runs(flagged, gap=2)
    longest = max(last - first + 1 for first, last in stretches)
    if longest >= max(5, 0.3 * len(rows)) and longest < 0.9 * len(flagged):
        first, last = max(stretches, key=lambda each: each[1] - each[0])
        yield "one stretch", (f"rows {first} to {last} are flagged together: one event, such as a deployment or an incident, "
                              "and one alert, not many")
    if held.own:
        yield from _dispersion(fit, data, str(top.index[0]), seed)
    if held.whole:
        yield "model", ("these are the rows it was fitted to: the components do not reach the tails; put skewed columns on the "
                        "log scale, use student_t components, or take the threshold from threshold(rate=), which holds "
                        "whatever the fit")
    elif fit.table is not None:
        change = score_change(fit.score(None), fit.score(data))
        if change.high < 0:
            yield "drift", (f"rows score {-change.change:.2f} nats less than those it was fitted to: learn from them with "
                            "update, if this is the new normal")


def _dispersion(fit: FittedMixture, data: pd.DataFrame, name: str, seed: int) -> Iterator[tuple[str, str]]:
    """Yield a column that varies more than it does in rows of the mixture, over the same exposures."""
    part, numbers = next(pair for pair in zip(fit.parts, fit.numbers(data), strict=True) if name in pair[0].layout.names)
    if part.layout.levels:
        return
    exposures = [exposure_of(each, held) for each, held in zip(fit.parts, fit.numbers(data), strict=True)]
    drawn = simulate(fit.parts, fit.posterior, fit.weights, len(numbers), seed, exposures)[fit.parts.index(part)]
    column = part.layout.names.index(name)
    ratio = float(np.nanvar(numbers[:, column]) / max(drawn[:, column].var(), np.finfo(np.float64).tiny))
    if ratio > _WIDER:
        yield "dispersion", (f"`{name}` has {ratio:.1f} times the variance that rows of the mixture have: describe counts as "
                             "negative_binomial and numbers as student_t, or raise max_components")


def _factor(told: pd.DataFrame, name: str) -> str:
    """Say by which factor the column is off where its values are all about as many times what was expected."""
    of = told[told["feature"] == name]
    value, expected = (pd.to_numeric(of[each], errors="coerce").to_numpy(np.float64) for each in ("value", "expected"))
    good = (expected > 0) & (value > 0)
    if good.sum() < 5:
        return ""
    ratio = np.log10(value[good] / expected[good])
    if ratio.std() > 0.35 or abs(ratio.mean()) < 0.5:
        return ""
    return f" (about {10 ** np.median(ratio):.3g} times what the other columns let expect)"


MEMBER = Check(
    name=NAME, question="Are more rows flagged than the threshold means to flag?", run=_run,
    source="Hyndman (1996), Computing and graphing highest density regions, The American Statistician 50, 120",
)
