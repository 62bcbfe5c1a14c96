"""Check: the contract of a question put to a fit.

To add a check:

1. Write one file in ``bayesglm/checks/`` that ends in ``MEMBER = Check(...)``: its question, ``run`` and source.
2. Run ``pytest tests/checks``: the laws run over every member; give yours a planted fault it must fail on.
3. It appears in ``fit.check()`` and in the report.

A check never raises and never prints: what it found is a value with advice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Verdict = Literal["pass", "warn", "fail", "not applicable"]


@dataclass(frozen=True, slots=True, eq=False)
class CheckResult:
    """What a check found.

    Attributes
    ----------
    name : str
        The check.
    verdict : {"pass", "warn", "fail", "not applicable"}
        The answer.
    finding : str
        One sentence with the decisive numbers, or the reason why the check does not apply.
    advice : str
        What to do; empty when there is nothing to do.
    table : pandas.DataFrame
        The evidence, one line a statistic or parameter.
    """

    name: str
    verdict: Verdict
    finding: str
    advice: str = ""
    table: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, slots=True)
class Check[F]:
    """A question put to a fit, as a record; F is the kind of fit: `Fitted` for a regression.

    Attributes
    ----------
    name : str
        The name users write.
    question : str
        What it asks, in words.
    run : callable
        ``run(fit, seed)`` gives a `CheckResult`.
    source : str
        Where the statistic stands.
    decisive : bool
        Whether a failure means that no number of the fit can be trusted (the report is then watermarked).
    """

    name: str
    question: str
    run: Callable[[F, int], CheckResult]
    source: str
    decisive: bool = False


def not_applicable(name: str, reason: str) -> CheckResult:
    """Return the result of a check that this fit cannot answer."""
    return CheckResult(name, "not applicable", reason)
