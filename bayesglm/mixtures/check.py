"""Check of a mixture: what a question is put to, and how all of them are.

To add a check:

1. Write one file in ``bayesglm/mixtures/checks/`` that ends in ``MEMBER = Check(...)``: its question, ``run`` and source.
2. Run ``pytest tests/mixtures``: the laws run over every member; give yours a planted fault it must fail on.
3. It appears in ``fit.check()`` and in the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesglm.checks.check import Check, CheckResult, Checks
from bayesglm.data.table import Table
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.registry import discover
from bayesglm.report.standing import Panel

__all__ = ["FITTED_ROWS", "PANEL", "Checks", "Examined", "examined", "frame_of", "run_checks"]

FITTED_ROWS = "it asks about the rows that the mixture was fitted to, which are not what it is held against"
PANEL = Panel("bayesglm.mixtures.checks", "fitting diagnostics")


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """What a check of a mixture looks at.

    Attributes
    ----------
    fit : FittedMixture
        The fit.
    table : Table, optional
        The rows it is held against.
    own : bool
        Whether these are rows it learnt from.
    """

    fit: FittedMixture
    table: Table | None
    own: bool

    @property
    def whole(self) -> bool:
        """Whether these are all the rows it learnt from."""
        return self.own and not self.fit.identity.refreshes

    def table_frame(self) -> pd.DataFrame | None:
        """Return the rows as a data frame with the columns of the fit; None stands for the fitted rows."""
        return None if self.own or self.table is None else frame_of(self.fit, self.table)


def frame_of(fit: FittedMixture, table: Table) -> pd.DataFrame:
    """Return the columns of the fit as a data frame."""
    return pd.DataFrame({name: table[name].labels() for name in fit.columns})


def examined(fit: FittedMixture, data: Any = None) -> Examined:
    """Return a fit with the rows to hold it against: those given, else the fitted ones where they are at hand."""
    return Examined(fit, fit.table if data is None else fit.read(data), data is None)


def run_checks(fit: FittedMixture, data: Any, seed: int) -> tuple[CheckResult, ...]:
    """Put every check to a fit, the decisive ones first."""
    held = examined(fit, data)
    members = sorted(discover(PANEL.folder, Check).values(), key=lambda check: (not check.decisive, check.name))
    return tuple(check.run(held, seed) for check in members)
