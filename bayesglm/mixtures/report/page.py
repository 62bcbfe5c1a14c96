"""The page of a mixture: the sections of its report, in the frame that all reports share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayesglm.checks.check import CheckResult
from bayesglm.data.table import Table
from bayesglm.mixtures.check import PANEL, examined, frame_of, run_checks
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.report.page import Front, lay_out, made_from, sections, write_page
from bayesglm.report.standing import standing
from bayesglm.report.wording import counted
from bayesglm.versions import installed_versions

FOLDER = "bayesglm.mixtures.report.sections"


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a section may draw on.

    Attributes
    ----------
    fit : FittedMixture
        The fit.
    table : Table, optional
        Rows to hold it against and to take examples from.
    checks : sequence of CheckResult
        What the checks found.
    seed : int
        Of what is drawn.
    own : bool
        Whether the rows are those it was fitted to.
    """

    fit: FittedMixture
    table: Table | None
    checks: Sequence[CheckResult]
    seed: int
    own: bool = True

    @property
    def frame(self) -> pd.DataFrame | None:
        """The rows as a data frame with the columns of the fit; None stands for the fitted rows."""
        return None if self.own or self.table is None else frame_of(self.fit, self.table)

    @property
    def whole(self) -> pd.DataFrame:
        """The rows as a data frame with the columns of the fit; empty where there are none."""
        return pd.DataFrame() if self.table is None else frame_of(self.fit, self.table)


def material_of(fit: FittedMixture, data: Any = None, *, seed: int = 0) -> Material:
    """Return what the sections draw on, with the checks run once."""
    return Material(fit, examined(fit, data).table, run_checks(fit, data, seed), seed, data is None)


def render(material: Material, *, title: str = "", question: str = "") -> str:
    """Return the report as HTML text; the same for the same material."""
    names = [name for part in material.fit.parts for name in part.layout.names]
    told = title or f"{counted(material.fit.posterior.size, 'component')} of {', '.join(names)}"
    versions = {"bayesglm": installed_versions().get("bayesglm", "")}
    front = Front(told, question, standing(material.checks, PANEL), made_from(versions, ""))
    return lay_out(front, sections(FOLDER), material)


def write_report(fit: FittedMixture, data: Any, path: Path, *, title: str, question: str, seed: int) -> Path:
    """Write the report of a fit to a file and return its path."""
    return write_page(render(material_of(fit, data, seed=seed), title=title, question=question), path)
