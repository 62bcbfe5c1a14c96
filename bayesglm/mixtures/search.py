"""Search: how many components there are, from the limit down and from one component up; the better bound wins.

Either end alone gets stuck: from the limit down a single Gaussian is left in pieces that no one merge puts together, from
one component up two modes may hide in one. Structure is searched on a subsample, then climbed on all rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayesglm.mixtures.ascent import Climb, Problem, ascend, from_responsibilities
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.moves import GAIN, Search, State, climb, delete, improve, merge, split
from bayesglm.mixtures.starts import kmeans

SUBSAMPLE = 8000
_POLISH = 1e-7  # nats a row
_MOST_SWEEPS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found.

    Attributes
    ----------
    climb : Climb
        The ascent on all rows.
    counts : mapping
        Number of components found from each end, on the subsample.
    subsample : int
        Rows of the subsample.
    """

    climb: Climb
    counts: dict[str, int]
    subsample: int


def find(problem: Problem, points: Array, bases: Array, seed: int, subsample: int = SUBSAMPLE) -> Found:
    """Return the best mixture found.

    Parameters
    ----------
    problem : Problem
        All rows.
    points : array, shape (row, coordinate)
        Where distances mean something, for the starts.
    bases : array, shape (row,)
        What each row adds to the bound whatever the parameters.
    seed : int
        For the subsample, the starts and the splits.
    subsample : int
        Most rows to search on.
    """
    rng = np.random.default_rng(seed)
    if problem.rows > subsample:
        rows = np.sort(rng.choice(problem.rows, subsample, replace=False))
        part = replace(problem, held=problem.held.take(rows), base=float(bases[rows].sum()))
        search = Search(part, points[rows], rng)
    else:
        search = Search(problem, points, rng)
    ends = {"up": _from_one(search), "down": _from_limit(search)}
    best = ends["down"] if ends["down"].bound > ends["up"].bound + GAIN else ends["up"]
    polished = ascend(problem, best.posterior, _MOST_SWEEPS, _POLISH)
    return Found(polished, {name: state.posterior.size for name, state in ends.items()}, search.problem.rows)


def _from_one(search: Search) -> State:
    posterior, bound = from_responsibilities(search.problem, np.ones((1, search.problem.rows)))
    return improve(search, State(posterior, bound), (split, merge, delete))


def _from_limit(search: Search) -> State:
    start = kmeans(search.points, min(search.problem.limit, search.problem.rows), search.rng)
    posterior, _ = from_responsibilities(search.problem, start)
    return improve(search, climb(search.problem, posterior), (merge, delete, split))
