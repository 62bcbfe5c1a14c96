"""Learning: a table, whole or in pieces, becomes the problem that is searched and climbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesglm.data.batches import Batches
from bayesglm.data.door import read_table
from bayesglm.data.schema import Schema
from bayesglm.data.table import Table
from bayesglm.mixtures.ascent import Climb, Posterior, Problem, ascend
from bayesglm.mixtures.columns import Part, rows_of
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.expectation import Rows
from bayesglm.mixtures.memoised import ascend_in_pieces
from bayesglm.mixtures.projection import Projection
from bayesglm.mixtures.search import MOST_SWEEPS, POLISH, Found, find

SAMPLE = 32_768  # rows that stand for a table in pieces: scales, priors and the search see them
_MOST_LAPS = 100
_MOST_BYTES = 5e8  # of features that are held at once

Tables = Callable[[], Iterator[Table]]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The rows to learn from.

    Attributes
    ----------
    table : Table
        All rows, or a sample of them.
    rows : int
        Number of all rows.
    tables : callable, optional
        ``tables()`` reads all rows once more, piece by piece; None where the table has them all and is small.
    """

    table: Table
    rows: int
    tables: Tables | None = None


def source_of(table: Table, width: int, rows: int) -> Source:
    """Return a table as a source: in pieces of some rows where the features of all would take too much memory."""
    if 8 * width * table.rows <= _MOST_BYTES:
        return Source(table, table.rows)

    def tables() -> Iterator[Table]:
        for start in range(0, table.rows, rows):
            yield table.take(np.arange(start, min(start + rows, table.rows)))

    drawn = np.sort(np.random.default_rng(0).choice(table.rows, min(SAMPLE, table.rows), replace=False))
    return Source(table.take(drawn), table.rows, tables)


def tables_of(batches: Batches, names: Sequence[str], schema: Schema, rows: int, projection: Projection | None) -> Tables:
    """Return what reads pieces as checked tables, held against a schema, with scores where there is a projection."""
    def tables() -> Iterator[Table]:
        for frame in batches.read(rows):
            table = read_table(frame, names, schema)[0]
            yield table if projection is None else projection.extend(table)

    return tables


def empty_problem(priors: Problem) -> Problem:
    """Return a problem without its rows: what is left are the priors."""
    return replace(priors, held=priors.held.take(slice(0, 0)), base=0.0)


def rows_and_bases(parts: Sequence[Part], table: Table) -> tuple[Rows, Array, list[Array]]:
    """Return what coordinate ascent sees of a table, what each row adds to the bound anyway, and the numbers of each part."""
    numbers = [part.numbers(table) for part in parts]
    bases = np.sum([part.component.base(each) for part, each in zip(parts, numbers, strict=True)], axis=0)
    return rows_of(parts, numbers), np.asarray(bases), numbers


def coordinates(parts: Sequence[Part], numbers: Sequence[Array]) -> Array:
    """Return where distances between rows mean something, shape (row, coordinate)."""
    return np.hstack([part.component.coordinates(held, len(part.layout.levels))
                      for part, held in zip(parts, numbers, strict=True)])


def climb_all(priors: Problem, parts: Sequence[Part], source: Source, posterior: Posterior) -> Climb:
    """Climb over all rows of a source, from some parameters and whatever they keep."""
    if source.tables is None:
        held, bases, _ = rows_and_bases(parts, source.table)
        return ascend(replace(priors, held=held, base=priors.base + float(bases.sum())), posterior, MOST_SWEEPS, POLISH)
    tables = source.tables

    def pieces() -> Iterator[tuple[Rows, float]]:
        for table in tables():
            held, bases, _ = rows_and_bases(parts, table)
            yield held, float(bases.sum())

    return ascend_in_pieces(priors, pieces, posterior, _MOST_LAPS, POLISH)


def learn(priors: Problem, parts: Sequence[Part], source: Source, seed: int, starts: int) -> Found:
    """Return the mixture that is found: structure on a subsample, then all rows.

    Parameters
    ----------
    priors : Problem
        A problem without rows.
    parts : sequence of Part
        The parts of a row.
    source : Source
        The rows.
    seed : int
        For the subsample, the starts and the splits.
    starts : int
        How many k-means++ starts from the limit.
    """
    held, bases, numbers = rows_and_bases(parts, source.table)
    problem = replace(priors, held=held, base=float(bases.sum()))
    points = coordinates(parts, numbers)
    if source.tables is None:
        return find(problem, points, bases, seed, starts, lambda posterior: ascend(problem, posterior, MOST_SWEEPS, POLISH))
    return find(problem, points, bases, seed, starts, lambda posterior: climb_all(priors, parts, source, posterior))
