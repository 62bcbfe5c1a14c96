"""Memoised ascent: the bound of all rows is climbed piece by piece, exactly, in memory that does not grow with the rows.

For each piece its sums of features and the entropy of its responsibilities are kept. A visit replaces them by those under
the parameters at hand, and the parameters by the best for all sums; neither can lower the bound, which is that of all rows.
Source: Hughes and Sudderth (2013), Advances in Neural Information Processing Systems 26, 1133-1141.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bayesglm.mixtures.ascent import Climb, Posterior, Problem, bound_of, largest_first, maximise
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.expectation import Rows, sweep

Pieces = Callable[[], Iterator[tuple[Rows, float]]]


def ascend_in_pieces(problem: Problem, pieces: Pieces, posterior: Posterior, laps: int, tolerance: float) -> Climb:
    """Climb from some parameters until a lap over all pieces gains less than the tolerance (nats a row).

    Parameters
    ----------
    problem : Problem
        The priors; its rows are not looked at.
    pieces : callable
        ``pieces()`` reads all rows once more: the same pieces in the same order, each with what its rows add to the bound
        whatever the parameters.
    posterior : Posterior
        Where to start, with what it keeps of rows that are not here. The first lap leaves it as it is: a first piece need
        not hold rows of every component.
    laps : int
        Most laps after the first.
    tolerance : float
        Gain of the bound a row below which it stops.

    Returns
    -------
    Climb
        With the bound of all rows after the first lap and after every visit from then on.
    """
    visited = [(*_visit(posterior, rows), base, len(rows)) for rows, base in pieces()]
    sums = np.array([each[0] for each in visited])
    doubts = np.array([each[1] for each in visited])
    whole = replace(problem, base=float(sum(each[2] for each in visited)))
    count = sum(each[3] for each in visited)
    posterior, sums = _best(whole, sums, posterior.kept)
    bounds = [bound_of(whole, posterior, float(doubts.sum()))]
    converged = False
    for _ in range(laps):
        before = bounds[-1]
        for place, (rows, _base) in enumerate(pieces()):
            sums[place], doubts[place] = _visit(posterior, rows)
            posterior, sums = _best(whole, sums, posterior.kept)
            bounds.append(bound_of(whole, posterior, float(doubts.sum())))
        if bounds[-1] - before < tolerance * count:
            converged = True
            break
    return Climb(posterior, tuple(bounds), converged)


def _visit(posterior: Posterior, rows: Rows) -> tuple[Array, float]:
    """Return the sums of features of one piece, and the entropy of its responsibilities."""
    sums, total = sweep(posterior.natural, posterior.params, rows)
    return sums, total - float((sums * posterior.natural).sum())


def _best(problem: Problem, sums: Array, kept: Array) -> tuple[Posterior, Array]:
    """Return the best parameters, largest component first, and the sums of all pieces in that order."""
    whole = sums.sum(axis=0)
    order = largest_first(whole + kept)
    return maximise(problem, whole[order], kept[order]), sums[:, order]
