"""Predictive statistics: whether rows of the mixture look like the observed ones, column by column and pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.checks.replicates import ALARM, FAR, LEVEL, compare
from bayesglm.mixtures.check import Examined
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.scoring import exposure_of, simulate
from bayesglm.predict import interval_names

NAME = "predictive"
REPLICATES = 200
ROWS = 2000
MOST = 3  # pieces of advice, for the furthest statistics
_ADVICE = {
    "tails": "tails are not the components': put skewed columns on the log scale, or use student_t components",
    "largest": "there are rows further out than the components reach: look at them, or use student_t components",
    "smallest": "there are rows further out than the components reach: look at them, or use student_t components",
    "skewness": "the column leans to one side where components do not: put it on the log scale",
    "mean": "the window lies elsewhere than the fitted rows: see score_change and update",
    "sd": "the spread is not the components': more components, another kind, or a window unlike the fitted rows",
    "correlation": "columns go together otherwise than the components say: use a full covariance",
    "joint tails": "columns are extreme together more or less often than the components say",
    "share": "levels are not as frequent as the components say: a window unlike the fitted rows",
}


def _of_column(part: Part, j: int, x: Array) -> Iterator[tuple[str, str, float]]:
    name = part.layout.names[j]
    x = x[~np.isnan(x)]
    if part.layout.levels:
        for code, level in enumerate(part.layout.levels):
            yield "share", f"{name}={level}", float((x == code).mean())
        return
    if len(x) < 3:
        return
    sd = x.std()
    z = (x - x.mean()) / (sd if sd > 0 else 1.0)
    yield "mean", name, float(x.mean())
    yield "sd", name, float(sd)
    yield "skewness", name, float(np.cbrt((z**3).mean()))
    yield "tails", name, float(np.log((z**4).mean() + 1e-12))
    if part.component.scaled:
        yield "largest", name, float(np.log1p(max(z.max(), 0.0)))
        yield "smallest", name, float(np.log1p(max(-z.min(), 0.0)))


def _of_pair(first: tuple[str, Array], second: tuple[str, Array]) -> Iterator[tuple[str, str, float]]:
    x, y = first[1], second[1]
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    if len(x) < 3 or not x.std() or not y.std():
        return
    name = f"{first[0]}, {second[0]}"
    yield "correlation", name, float(np.corrcoef(x, y)[0, 1])
    far = np.abs(x - np.median(x)), np.abs(y - np.median(y))
    if far[0].std() and far[1].std():
        yield "joint tails", name, float(np.corrcoef(*far)[0, 1])


def statistics(parts: Sequence[Part], numbers: Sequence[Array]) -> dict[tuple[str, str], float]:
    """Return statistics of rows by (statistic, columns); skewness is its cube root, tails log kurtosis, extremes log sds."""
    found: dict[tuple[str, str], float] = {}
    columns: list[tuple[str, Array]] = []
    for part, each in zip(parts, numbers, strict=True):
        for j, name in enumerate(part.layout.names):
            found |= {(kind, of): value for kind, of, value in _of_column(part, j, each[:, j])}
            if not part.layout.levels:
                columns.append((name, each[:, j]))
    for i, first in enumerate(columns):
        for second in columns[i + 1:]:
            found |= {(kind, of): value for kind, of, value in _of_pair(first, second)}
    return found


def _run(held: Examined, seed: int) -> CheckResult:
    if held.table is None:
        return not_applicable(NAME, "the fit has no rows at hand: give them as data")
    fit, rng = held.fit, np.random.default_rng(seed)
    table = held.table.take(np.sort(rng.choice(held.table.rows, min(ROWS, held.table.rows), replace=False)))
    numbers = [part.numbers(table) for part in fit.parts]
    gaps = [np.isnan(each) for each in numbers]
    exposures = [exposure_of(part, each) for part, each in zip(fit.parts, numbers, strict=True)]
    observed = statistics(fit.parts, numbers)
    drawn = []
    for each in rng.integers(0, 2**31, REPLICATES):
        rows = simulate(fit.parts, fit.posterior, fit.weights, table.rows, int(each), exposures)
        made = [np.where(gap, np.nan, row) for gap, row in zip(gaps, rows, strict=True)]
        drawn.append(statistics(fit.parts, made))
    keys = [key for key in observed if all(key in each for each in drawn)]
    if not keys:
        return not_applicable(NAME, "there are too few rows for any statistic")
    return judged(keys, np.array([observed[key] for key in keys]), np.array([[each[key] for key in keys] for each in drawn]))


def judged(keys: Sequence[tuple[str, str]], observed: Array, drawn: Array) -> CheckResult:
    """Return the verdict on statistics against replicates of shape (replicate, statistic), all of them together.

    The furthest statistic is held against the furthest of each replicate, so that many statistics raise no alarm by their number.
    """
    found = compare(observed, drawn)
    sd = drawn.std(axis=0)
    away = np.abs(np.divide(drawn - drawn.mean(axis=0), sd, out=np.zeros_like(drawn), where=sd > 0)).max(axis=1)
    distance = np.abs(found.distance)
    worst = int(distance.argmax())
    p = float((away >= distance[worst]).mean())
    verdict: Verdict = "pass" if p >= ALARM else "fail" if distance[worst] >= FAR else "warn"
    order = np.argsort(-distance, kind="stable")
    off = [keys[j][0] for j in order if found.p[j] < ALARM and distance[j] >= 0.8 * np.quantile(away, 0.99)]
    low, high = interval_names("predicted", LEVEL)
    table = pd.DataFrame({"statistic": [kind for kind, _ in keys], "columns": [of for _, of in keys], "observed": found.observed,
                          "predicted_mean": found.mean, low: found.lower, high: found.upper, "p": found.p})
    kind, of = keys[worst]
    finding = (f"furthest of {len(keys)} statistics: {kind} of `{of}`, {distance[worst]:.1f} sds from what rows of the mixture "
               f"have; as far or further in {p:.1%} of {len(drawn)} replicates")
    advice = "; ".join(list(dict.fromkeys(_ADVICE[each] for each in off))[:MOST]) if verdict != "pass" else ""
    return CheckResult(NAME, verdict, finding, advice[:1].upper() + advice[1:] + "." if advice else "", table.iloc[order])


MEMBER = Check(
    name=NAME, question="Do rows of the mixture look like the observed ones, by column and by pair?", run=_run,
    source="Gelman, Meng and Stern (1996), Posterior predictive assessment of model fitness, Statistica Sinica 6, 733",
)
