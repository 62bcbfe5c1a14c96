"""Convergence: whether coordinate ascent came to rest, and whether its bound never fell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult
from bayesglm.mixtures.check import Examined

NAME = "convergence"
_ROUNDING = 1e-8


def _run(held: Examined, seed: int) -> CheckResult:  # noqa: ARG001 - the contract's
    found = held.fit.found
    bounds = np.array(found.climb.bounds)
    fell = float(np.maximum(0.0, -np.diff(bounds)).max(initial=0.0))
    starts = found.starts
    agree = int((starts["below_best"] < max(1.0, 1e-3 * abs(starts["bound"].max()))).sum())
    table = pd.DataFrame({"start": starts["start"], "components": starts["components"], "bound": starts["bound"],
                          "below best": starts["below_best"]})
    said = (f"{len(bounds) // 2} sweeps to a bound of {bounds[-1]:,.2f}; {agree} of {len(starts)} starts came within a "
            "thousandth of the best bound")
    if fell > _ROUNDING * np.abs(bounds).max():
        return CheckResult(NAME, "fail", f"the bound fell by {fell:.3g} nats, which it never should; {said}",
                           "A column is on a scale that float64 cannot hold beside the others: transform it.", table)
    if not found.climb.converged:
        return CheckResult(NAME, "fail", f"ascent was stopped before it came to rest; {said}",
                           "Fit again from these rows with fewer columns or components that overlap less.", table)
    return CheckResult(NAME, "pass", said, "", table)


MEMBER = Check(
    name=NAME, question="Did coordinate ascent come to rest, and what did its starts find?", run=_run,
    source="Bishop (2006), Pattern Recognition and Machine Learning, section 10.2", decisive=True,
)
