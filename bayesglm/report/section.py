"""Section: the contract of a part of the report.

To add a report section:

1. Write one file in ``bayesglm/report/sections/`` that ends in ``MEMBER = Section(...)``: title, place, ``content``.
2. Run ``pytest tests/report``: the laws render every member on every fixture, twice the same, hostile names escaped.
3. It appears in ``fit.report(path)``.

A section returns content, never HTML text: paragraphs, facts, tables and figures are records, and the page escapes every
string. In texts, what stands between `backticks` is set as code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from bayesglm.checks.check import CheckResult, Verdict
from bayesglm.fitted import Fitted


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside the section."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Short facts, each with its name: (name, text) in order."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A verdict with what was found and what to do about it.

    Attributes
    ----------
    verdict : {"pass", "warn", "fail", "not applicable"}
        Shown as a word and a colour.
    name : str
        What was judged.
    finding, advice : str
        What was found, and what to do about it; advice may be empty.
    """

    verdict: Verdict
    name: str
    finding: str
    advice: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class TableBlock:
    """A table with a caption.

    Attributes
    ----------
    frame : pandas.DataFrame
        Its lines; the index is not shown. Columns of two levels get a heading over each run of equal first levels.
    caption : str
        What it shows: scale, unit, kind and level of intervals.
    formats : mapping
        How to write a column, by its (last) name: a format specification of Python (``",.0f"``), ``"name"`` for identifiers,
        ``"verdict"``, or ``"probability"``. Other numbers get as many decimals as they need.
    across : bool
        Whether the numbers of a line share a unit, so that decimals are chosen line by line; else all columns under one
        heading share them.
    """

    frame: pd.DataFrame
    caption: str
    formats: Mapping[str, str] = field(default_factory=dict)
    across: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture as SVG text made by matplotlib, with a caption and an alternative text."""

    svg: str
    caption: str
    alternative: str


Content = Paragraph | Heading | Facts | Statement | TableBlock | Figure


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a section may draw on: the fit, its check results (made once) and the seed of what is drawn."""

    fitted: Fitted
    checks: Sequence[CheckResult]
    seed: int
    title: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True)
class Section[M]:
    """A part of the report as a record; M is what it draws on: `Material` for the report of a regression.

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
    content: Callable[[M], Sequence[Content]] = field(repr=False)
