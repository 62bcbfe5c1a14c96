"""Stability: whether parts of the rows and other seeds give the same components, and how well they describe the rows left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.mixtures.check import FITTED_ROWS, Examined
from bayesglm.mixtures.columns import rows_of
from bayesglm.mixtures.expectation import assign
from bayesglm.mixtures.learning import Source, learn
from bayesglm.mixtures.membership import rand_index
from bayesglm.mixtures.scoring import log_density

NAME = "stability"
RESTARTS = 3
ROWS = 2000
FEWEST = 60
LEARNT = 0.7
SAME = 0.8


def _run(held: Examined, seed: int) -> CheckResult:
    fit = held.fit
    if fit.table is None or not held.whole:
        return not_applicable(NAME, FITTED_ROWS)
    if fit.table.rows < FEWEST:
        return not_applicable(NAME, f"it takes at least {FEWEST} rows")
    rng, lines = np.random.default_rng(seed), []
    for _ in range(RESTARTS):
        rows = rng.permutation(fit.table.rows)[:ROWS]
        cut = int(LEARNT * len(rows))
        first, second = (fit.table.take(np.sort(each)) for each in (rows[:cut], rows[cut:]))
        number = int(rng.integers(0, 2**31))
        found = learn(fit.priors, fit.parts, Source(first, first.rows), number, 1)
        again = replace(fit, found=found, seed=number)
        weights = again.weights
        numbers = [[part.numbers(each) for part in fit.parts] for each in (first, second)]
        inside, outside = (float(log_density(fit.parts, again.posterior, weights, each).mean()) for each in numbers)
        labels = [assign(each.posterior.natural, each.posterior.params, rows_of(fit.parts, numbers[1]))[0].argmax(axis=0)
                  for each in (fit, again)]
        lines.append({"components": again.posterior.size, "score inside": inside, "score outside": outside,
                      "rand index": rand_index(*labels)})
    table = pd.DataFrame(lines)
    least, counts = float(table["rand index"].min()), sorted(set(table["components"]))
    optimism = float((table["score inside"] - table["score outside"]).mean())
    shown = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    verdict: Verdict = "pass" if least >= SAME else "warn"
    finding = (f"{RESTARTS} fits to {LEARNT:.0%} of the rows found {shown} components (the fit: {fit.posterior.size}); "
               f"adjusted Rand index with the fit on rows left out at least {least:.2f}; these rows score {abs(optimism):.3f} "
               f"nats {'below' if optimism > 0 else 'above'} those learnt from")
    advice = "" if verdict == "pass" else (
        "Components overlap, or are pieces of a shape that is not theirs: read them as a description of the density, not as "
        "kinds of rows; transform skewed columns, or use more rows.")
    return CheckResult(NAME, verdict, finding, advice, table)


MEMBER = Check(
    name=NAME, question="Do other seeds and parts of the rows give the same components?", run=_run,
    source="Hubert and Arabie (1985), Journal of Classification 2, 193",
)
