"""Section: the contract of a part of the report.

To add a report section:

1. Write one file in ``bayesglm/report/sections/`` that ends in ``MEMBER = Section(...)``: title, place, ``content``.
2. Run ``pytest tests/report``: the laws render every member on every fixture, twice the same, hostile names escaped.
3. It appears in ``fit.report(path)``.

A section returns content, never HTML text: paragraphs, tables and figures are records, and the page escapes every string.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from bayesglm.checks.check import CheckResult
from bayesglm.fitted import Fitted


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class TableBlock:
    """A table with a caption."""

    frame: pd.DataFrame
    caption: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture as SVG text made by matplotlib, with a caption and an alternative text."""

    svg: str
    caption: str
    alternative: str


Content = Paragraph | TableBlock | Figure


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a section may draw on: the fit, its check results (made once) and the seed of what is drawn."""

    fitted: Fitted
    checks: Sequence[CheckResult]
    seed: int
    title: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report as a record.

    Attributes
    ----------
    name : str
        Its anchor in the page.
    title : str
        Its heading.
    place : int
        Sections stand in the order of their places.
    content : callable
        ``content(material)`` gives paragraphs, tables and figures in order; none at all leaves the section out.
    """

    name: str
    title: str
    place: int
    content: Callable[[Material], Sequence[Content]] = field(repr=False)
