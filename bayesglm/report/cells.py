"""Cells: the values of a table as text, each column with the decimals it needs."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesglm.report.section import TableBlock

MISSING = "–"
MINUS = "−"
PROSE = 20
MOST_DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text and its kind, ``number``, ``text``, ``name`` or ``verdict``."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Header:
    """One cell of a table's head: its text, how many columns it spans, and the kind of the column below."""

    text: str
    span: int = 1
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as text.

    Attributes
    ----------
    groups : tuple of Header
        The line above the column names; empty where columns have one level.
    heads : tuple of Header
        Column names.
    lines : tuple of tuple of Cell
        The body.
    """

    groups: tuple[Header, ...]
    heads: tuple[Header, ...]
    lines: tuple[tuple[Cell, ...], ...]


def clean(text: object) -> str:
    r"""Return text with characters that draw nothing, or that reorder what follows, made visible.

    Control characters, unpaired surrogates and explicit changes of direction become U+FFFD; line ends become spaces.

    Examples
    --------
    >>> ascii(clean("a\x00b\u202ec\nd"))
    "'a\\ufffdb\\ufffdc d'"
    """
    spaced = str(text).replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return "".join("\ufffd" if _invisible(character) else character for character in spaced)


def _invisible(character: str) -> bool:
    if unicodedata.category(character) in ("Cc", "Cs"):
        return True
    return unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def grid(block: TableBlock) -> Grid:
    """Return the text of a table."""
    frame = block.frame
    several = frame.columns.nlevels > 1
    names = [str(name[-1]) if several else str(name) for name in frame.columns]
    groups = [str(name[0]) for name in frame.columns] if several else [""] * len(names)
    formats = [block.formats.get(name, "") for name in names]
    columns = [frame.iloc[:, j].tolist() for j in range(frame.shape[1])]
    places = _by_line(columns, formats) if block.across else _by_group(columns, formats, groups)
    cells = [column(values, how, at) for values, how, at in zip(columns, formats, places, strict=True)]
    heads = tuple(Header(clean(name), 1, _kind(column)) for name, column in zip(names, cells, strict=True))
    return Grid(_runs(groups) if several else (), heads, tuple(zip(*cells, strict=True)) if cells else ())


def _by_group(columns: Sequence[Sequence[Any]], formats: Sequence[str], groups: Sequence[str]) -> list[list[int]]:
    """Decimals of each cell where the columns under one heading share a unit."""
    places: list[list[int]] = [[]] * len(columns)
    for group in set(groups):
        members = [j for j, how in enumerate(formats) if groups[j] == group and not how]
        shared = decimals([value for j in members for value in columns[j]])
        lines = [list(line) for line in zip(*(columns[j] for j in members), strict=True)]
        of_line = [shared if _seen(line, shared) else decimals(line) for line in lines]
        for j in range(len(columns)):
            if groups[j] == group:
                places[j] = of_line or [0] * len(columns[j])
    return places


def _seen(line: Sequence[Any], places: int) -> bool:
    """Whether the largest number of a line keeps two digits with so many decimals."""
    sizes = [abs(float(each)) for each in line if _is_number(each) and math.isfinite(each) and each != 0]
    return not sizes or all(each == int(each) for each in sizes) or max(sizes) >= 10.0 ** (1 - places)


def _by_line(columns: Sequence[Sequence[Any]], formats: Sequence[str]) -> list[list[int]]:
    """Decimals of each cell where the numbers of one line share a unit."""
    lines = zip(*(values for values, how in zip(columns, formats, strict=True) if not how), strict=True)
    places = [decimals(line) for line in lines]
    return [places or [0] * len(values) for values in columns]


def _runs(groups: Sequence[str]) -> tuple[Header, ...]:
    runs: list[tuple[str, int]] = []
    for name in groups:
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1] + 1)
        else:
            runs.append((name, 1))
    return tuple(Header(clean(name), span) for name, span in runs)


def _kind(cells: Sequence[Cell]) -> str:
    """Return the kind of a column: that of all its cells, else text; text with long lines is prose."""
    kinds = {cell.kind for cell in cells if cell.text != MISSING}
    kind = kinds.pop() if len(kinds) == 1 else "text"
    return "prose" if kind == "text" and any(len(cell.text) > PROSE for cell in cells) else kind


def column(values: Sequence[Any], how: str, places: Sequence[int]) -> list[Cell]:
    """Return the cells of one column.

    Parameters
    ----------
    values : sequence
        Its values.
    how : str
        See `TableBlock.formats`.
    places : sequence of int
        Decimals of each cell, where the format does not say.

    Examples
    --------
    >>> [cell.text for cell in column([0.251, -12.3, float("nan"), 3], "", [2, 2, 2, 2])]
    ['0.25', '−12.30', '–', '3']
    """
    if how in ("name", "verdict"):
        return [Cell(clean(value), how) for value in values]
    return [_cell(value, how, at) for value, at in zip(values, places, strict=True)]


def decimals(values: Sequence[Any]) -> int:
    """Return how many decimals numbers of one unit need: three digits of the largest, two of all but the smallest quarter.

    Examples
    --------
    >>> decimals([0.25, 12.3]), decimals([1200.5, 350.5]), decimals([3.0, 4.0, "a", None])
    (2, 0, 0)
    """
    sizes = sorted(abs(float(each)) for each in values if _is_number(each) and math.isfinite(each) and each != 0)
    if not sizes or all(each == int(each) for each in sizes):
        return 0
    largest, small = (math.floor(math.log10(each)) + 1 for each in (sizes[-1], sizes[len(sizes) // 4]))
    return max(0, min(max(3 - largest, 2 - small), 5 - largest))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer)


def _cell(value: Any, how: str, places: int) -> Cell:
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return Cell(MISSING, "number" if how else "text")
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", "text")
    if not _is_number(value):
        return Cell(clean(value), "text")
    return Cell(number(float(value), how or _specification(value, places)), "number")


def _specification(value: Any, places: int) -> str:
    if _is_whole(value):
        return ",.0f"
    return f",.{places}f" if places <= MOST_DECIMALS else ".2e"


def number(value: float, how: str) -> str:
    """Return a number as text, with a true minus sign, and a probability never as certain.

    Parameters
    ----------
    value : float
        The number.
    how : str
        A format specification, or ``"probability"``.

    Examples
    --------
    >>> number(-0.5, ".2f"), number(-1e-7, ".2f"), number(0.9999, "probability"), number(0.25, "probability")
    ('−0.50', '0.00', '> 0.999', '0.250')
    """
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if how == "probability":
        if value > 0.999:
            return "> 0.999"
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    text = f"{value:{how}}"
    if not text.strip("-0.,%"):
        text = text.lstrip("-")
    return text.replace("-", MINUS)
