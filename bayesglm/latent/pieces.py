"""Pieces: the rows of a problem, some at a time, each a problem of its own with the same specification.

Rows in memory come in a random order. Those of a source come as they stand, read, checked and coded like new data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from bayesglm.data.door import read_table
from bayesglm.data.observations import read_observations
from bayesglm.data.patterns import Patterns, distinct, patterns_of
from bayesglm.data.source import Source
from bayesglm.data.table import Table
from bayesglm.specification import Problem

Index = NDArray[np.intp]
_SHORTEST = 0.5  # of a piece


def count_rows(problem: Problem) -> int:
    """Return how many rows there are, those included that add nothing to the likelihood."""
    return len(problem.observations.response) if problem.source is None else problem.source.rows


def pieces(problem: Problem, rows: int, seed: int) -> Iterator[Problem]:
    """Yield all rows once, about so many at a time.

    Parameters
    ----------
    problem : Problem
        Specification and data.
    rows : int
        Rows of a piece; the last may have fewer.
    seed : int
        Of the order, where the rows are in memory.

    Examples
    --------
    >>> import bayesglm as bg
    >>> problem = bg.Model("y ~ x", {"y": [1, 0, 4], "x": [0.1, 0.5, 0.3]}, "poisson").problem
    >>> sorted(float(y) for piece in pieces(problem, 2, seed=1) for y in piece.observations.response)
    [0.0, 1.0, 4.0]
    """
    if problem.source is None:
        count = count_rows(problem)
        order = np.random.default_rng([seed, 6]).permutation(count)
        for some in np.array_split(order, -(-count // rows)):
            yield some_rows(problem, np.sort(some))
        return
    for frame in _even(problem.source, rows):
        piece = _read(problem, problem.source, frame)
        if piece is not None:
            yield piece


def random_rows(problem: Problem, most: int, seed: int) -> Problem:
    """Return at most so many rows, each as likely as any other; of a source, those of its sample that are.

    Parameters
    ----------
    problem : Problem
        Specification and data.
    most : int
        How many.
    seed : int
        For the draw.
    """
    rows = np.arange(len(problem.observations.response)) if problem.source is None else np.flatnonzero(problem.source.random)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng([seed, 7]).choice(rows, most, replace=False))
    return some_rows(problem, rows)


def some_rows(problem: Problem, rows: Index) -> Problem:
    """Return some of the rows in memory."""
    data, patterns = problem.observations, problem.patterns
    first, index = distinct([patterns.index[rows]], len(rows))
    exposure, trials = (None if each is None else each[rows] for each in (data.exposure, data.trials))
    some = replace(data, response=data.response[rows], exposure=exposure, trials=trials, weights=data.weights[rows],
                   labels={name: labels[rows] for name, labels in data.labels.items()}, findings=())
    counts = np.bincount(index, some.weights * some.informative, minlength=len(first))
    return Problem(problem.specification, some, Patterns(patterns.table.take(patterns.index[rows][first]), index, counts))


def covering(problem: Problem, rows: int, seed: int) -> Problem:
    """Return a few of all rows that read every level that any row reads, and any two that a row reads together.

    Parameters
    ----------
    problem : Problem
        Specification and data.
    rows, seed : int
        As for `pieces`.

    Examples
    --------
    >>> import bayesglm as bg
    >>> table = {"y": [1, 0, 4, 2], "g": ["a", "b", "a", "b"], "h": ["c", "c", "c", "d"]}
    >>> few = covering(bg.Model("y ~ 1 + (1 | g) + (1 | h)", table, "poisson").problem, 2, seed=1)
    >>> len(few.observations.response)
    3
    """
    seen: dict[tuple[int, int], NDArray[np.int64]] = {}
    found: list[Problem] = []
    for piece in pieces(problem, rows, seed):
        bases = [basis for predictor in problem.specification.predictors for basis in predictor.code(piece.patterns.table).bases]
        new = np.zeros(piece.patterns.table.rows, np.bool_)
        for a, first in enumerate(bases):
            for b, second in enumerate(bases[:a + 1]):
                together = first.index.astype(np.int64) * second.known + second.index
                codes, at = np.unique(together, return_index=True)
                known = seen.setdefault((a, b), np.zeros(0, np.int64))
                new[at[~np.isin(codes, known, assume_unique=True)]] = True
                seen[a, b] = np.union1d(known, codes)
        new[0] |= not found
        _, row_of = np.unique(piece.patterns.index, return_index=True)
        if new.any():
            found.append(some_rows(piece, row_of[new]))
    return _joined(found)


def _joined(problems: Sequence[Problem]) -> Problem:
    """Return the rows of several problems of one specification as one."""
    first = problems[0]
    tables = [each.patterns.table for each in problems]
    columns = {name: replace(column, values=np.concatenate([table[name].values for table in tables]))
               for name, column in first.patterns.table.columns.items()}
    shift = np.cumsum([0, *(table.rows for table in tables)])
    index = np.concatenate([each.patterns.index + begin for each, begin in zip(problems, shift, strict=False)])
    counts = np.concatenate([each.patterns.counts for each in problems])
    data = [each.observations for each in problems]
    given = {name: [values for each in data if (values := getattr(each, name)) is not None]
             for name in ("response", "exposure", "trials", "weights")}
    joined: dict[str, Any] = {name: np.concatenate(values) for name, values in given.items() if values}
    rows = replace(data[0], labels={}, **joined)
    return Problem(first.specification, rows, Patterns(Table(columns, int(shift[-1])), index, counts))


def _even(source: Source, rows: int) -> Iterator[Any]:
    """Yield data frames of so many rows, however short those of the source are; the last has half to one and a half of them."""
    held: list[Any] = []
    count = 0
    for piece in source.batches.read(rows):
        held.append(nw.from_native(piece, eager_only=True))
        count += len(held[-1])
        while count >= (1.0 + _SHORTEST) * rows:
            whole = nw.concat(held, how="vertical")
            yield whole[:rows].to_native()
            held, count = [whole[rows:]], count - rows
    if held:
        yield nw.concat(held, how="vertical").to_native()


def _read(problem: Problem, source: Source, frame: Any) -> Problem | None:
    """Return rows of a source as a problem; None where nothing in them adds to the likelihood."""
    specification, family = problem.specification, problem.specification.family
    roles = specification.roles
    table, _ = read_table(frame, source.columns, source.schema)
    sizes = [name for name in (roles.exposure, roles.weights, roles.trials) if isinstance(name, str)]
    if any(not table[name].values.any() for name in sizes):
        return None
    read = read_observations(table, roles, family.support, family_name=family.name, takes_exposure=family.exposure,
                             takes_trials=family.trials, schema=source.schema)
    return Problem(specification, read, patterns_of(table, source.predictors, read.weights * read.informative))
