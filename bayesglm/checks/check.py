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

from bayesglm.errors import unknown

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


@dataclass(frozen=True, slots=True, eq=False)
class Checks:
    """What all checks found."""

    results: tuple[CheckResult, ...]

    def __getitem__(self, name: str) -> CheckResult:
        for result in self.results:
            if result.name == name:
                return result
        raise unknown("check", name, [each.name for each in self.results])

    @property
    def verdict(self) -> str:
        """The worst verdict of all."""
        found = {each.verdict for each in self.results}
        return next((each for each in ("fail", "warn", "pass") if each in found), "not applicable")

    def to_frame(self) -> pd.DataFrame:
        """Return one line for each check."""
        return pd.DataFrame({"verdict": [r.verdict for r in self.results], "finding": [r.finding for r in self.results],
                             "advice": [r.advice for r in self.results]},
                            index=pd.Index([r.name for r in self.results], name="check"))

    def __str__(self) -> str:
        lines = []
        for result in self.results:
            lines.append(f"{result.verdict.upper():<15}{result.name}: {result.finding}")
            if result.advice:
                lines.append(f"{'':<15}{result.advice}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_frame().to_html()


def not_applicable(name: str, reason: str) -> CheckResult:
    """Return the result of a check that this fit cannot answer."""
    return CheckResult(name, "not applicable", reason)
