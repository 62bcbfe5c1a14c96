"""Search: how many components there are, from the limit down and from one component up; the best bound wins.

Either end alone gets stuck: from the limit down a single Gaussian is left in pieces that no one merge puts together, from
one component up two modes may hide in one. Structure is searched on a subsample, then climbed on all rows. Every end has
random numbers of its own, so that they may run side by side and find the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayesglm.mixtures.ascent import Climb, Posterior, Problem, from_responsibilities
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.moves import GAIN, Search, State, climb, delete, drop_empty, improve, merge, split
from bayesglm.mixtures.starts import kmeans

SUBSAMPLE = 8000
POLISH = 1e-7  # nats a row
MOST_SWEEPS = 500

End = Callable[[Search], State]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found.

    Attributes
    ----------
    climb : Climb
        The ascent on all rows.
    ends : mapping
        What the search found from each end on the subsample: number of components and bound.
    subsample : int
        Rows of the subsample.
    """

    climb: Climb
    ends: Mapping[str, tuple[int, float]]
    subsample: int

    @property
    def starts(self) -> pd.DataFrame:
        """One line for each start: its name, number of components, bound, and how far below the best that is (nats)."""
        table = pd.DataFrame([(name, size, bound) for name, (size, bound) in self.ends.items()],
                             columns=["start", "components", "bound"])
        return table.assign(below_best=table["bound"].max() - table["bound"])


def find(
    problem: Problem, points: Array, bases: Array, seed: int, starts: int, polish: Callable[[Posterior], Climb],
    subsample: int = SUBSAMPLE,
) -> Found:
    """Return the best mixture found.

    Parameters
    ----------
    problem : Problem
        The rows to take the subsample from.
    points : array, shape (row, coordinate)
        Where distances mean something, for the starts.
    bases : array, shape (row,)
        What each row adds to the bound whatever the parameters.
    seed : int
        For the subsample, the starts and the splits.
    starts : int
        How many k-means++ starts from the limit.
    polish : callable
        ``polish(posterior)`` climbs on over all rows.
    subsample : int
        Most rows to search on.
    """
    rng = np.random.default_rng(seed)
    if problem.rows > subsample:
        rows = np.sort(rng.choice(problem.rows, subsample, replace=False))
        part = replace(problem, held=problem.held.take(rows), base=float(bases[rows].sum()))
        best, ends = structure(part, points[rows], seed, starts)
    else:
        best, ends = structure(problem, points, seed, starts)
    return Found(polish(best), ends, min(problem.rows, subsample))


def structure(problem: Problem, points: Array, seed: int, starts: int) -> tuple[Posterior, dict[str, tuple[int, float]]]:
    """Return the mixture of the end with the best bound, and what each end found: components and bound.

    Parameters
    ----------
    problem : Problem
        The rows to search on.
    points : array, shape (row, coordinate)
        Where distances mean something.
    seed : int
        For the starts and the splits.
    starts : int
        How many k-means++ starts from the limit.
    """
    ends: Mapping[str, End] = {"up": _from_one} | {f"down {number + 1}": _from_limit for number in range(starts)}
    searches = [Search(problem, points, np.random.default_rng([seed, place])) for place in range(len(ends))]
    with ThreadPoolExecutor(len(ends)) as pool:
        states = list(pool.map(lambda end, search: end(search), ends.values(), searches))
    best = states[0]
    for state in states[1:]:
        best = state if state.bound > best.bound + GAIN else best
    return best.posterior, {name: (state.posterior.size, state.bound) for name, state in zip(ends, states, strict=True)}


def _from_one(search: Search) -> State:
    posterior, bound = from_responsibilities(search.problem, np.ones((1, search.problem.rows)))
    return drop_empty(search, improve(search, State(posterior, bound), (split, merge, delete)))


def _from_limit(search: Search) -> State:
    start = kmeans(search.points, min(search.problem.limit, search.problem.rows), search.rng)
    posterior, _ = from_responsibilities(search.problem, start)
    return drop_empty(search, improve(search, climb(search.problem, posterior), (merge, delete, split)))
