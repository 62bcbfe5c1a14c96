"""Too many components: whether merging or leaving out some of them describes the rows better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.mixtures.check import FITTED_ROWS, Examined
from bayesglm.mixtures.learning import coordinates, rows_and_bases
from bayesglm.mixtures.moves import GAIN, Search, climb, delete, merge
from bayesglm.mixtures.sizes import criteria

NAME = "too_many_components"
ROWS = 4000
LEAST = 5.0  # rows of the rarest component among those that are looked at
_MUCH = 10.0  # nats


def _run(held: Examined, seed: int) -> CheckResult:
    fit = held.fit
    if fit.table is None or not held.own:
        return not_applicable(NAME, FITTED_ROWS)
    rng = np.random.default_rng(seed)
    seen = fit.posterior.counts.min() * ROWS >= LEAST * fit.table.rows
    most = ROWS if held.whole and seen else fit.table.rows  # what is kept of earlier rows stands beside all new ones
    table = fit.table.take(np.sort(rng.choice(fit.table.rows, min(most, fit.table.rows), replace=False)))
    rows, bases, numbers = rows_and_bases(fit.parts, table)
    problem = replace(fit.priors, held=rows, base=float(bases.sum()))
    search, start = Search(problem, coordinates(fit.parts, numbers), rng), climb(problem, fit.posterior)
    better = delete(search, merge(search, start))
    gain = better.bound - start.bound
    lines = [("as fitted", start), ("after merging", better)]
    shown = pd.DataFrame([{"mixture": name, "components": state.posterior.size, "bound": state.bound,
                           "BIC": criteria(fit.parts, problem, state.posterior)[0]} for name, state in lines])
    fewer = start.posterior.size - better.posterior.size
    if fewer:
        verdict: Verdict = "fail" if gain > _MUCH else "warn"
        how = f"better than {start.posterior.size}: merging raises the bound by {gain:.1f} nats"
        told = how if gain > GAIN else f"as well as {start.posterior.size}: the others have no rows of their own"
        return CheckResult(NAME, verdict, f"{better.posterior.size} components describe the rows {told}",
                           "Fit again, with max_components well above the number that was found and with more starts.", shown)
    if fit.posterior.size == fit.priors.limit > 1:
        return CheckResult(NAME, "warn", f"all {fit.posterior.size} components that were allowed are in use",
                           "Raise max_components; if that is used up too, a column is not of the components' kind: transform it.",
                           shown)
    return CheckResult(NAME, "pass", f"no merge of the {start.posterior.size} components raises the bound", "", shown)


MEMBER = Check(
    name=NAME, question="Would fewer components describe the rows better?", run=_run,
    source="Corduneanu and Bishop (2001), Variational Bayesian model selection for mixture distributions, AISTATS",
)
