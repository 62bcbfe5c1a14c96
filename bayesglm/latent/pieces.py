"""Pieces: the rows of a problem, some at a time, each a problem of its own with the same specification.

Rows in memory come in a random order. Those of a source come as they stand, read, checked and coded like new data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from bayesglm.data.door import read_table
from bayesglm.data.observations import read_observations
from bayesglm.data.patterns import Patterns, distinct, patterns_of
from bayesglm.data.source import Source
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
