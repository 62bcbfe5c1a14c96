"""Moves: whether draws of an approximation stay where they are when transitions of the exact posterior act on them.

Draws of the posterior have its distribution after any transition that leaves it invariant. So 400 draws take 3 Hamiltonian
transitions in transported coordinates, and no mean or mean square may change by more than its Monte Carlo error explains:

    score = mean(f(after) - f(before)) / sd(f(after) - f(before)) * sqrt(draws),     f(x) = x and (x - mean)^2

Source: Gorham and Mackey (2015), NeurIPS 28, and Yao, Vehtari, Simpson and Gelman (2018), ICML, for judging an approximation by
exact computations at its own draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bayesglm.engines.evaluations import hamiltonian
from bayesglm.engines.native import Native
from bayesglm.engines.verdict import Drift, columns

Array = NDArray[np.float64]
DRAWS, TRANSITIONS = 400, 3
LENGTH = np.pi / 2  # a quarter turn of a standard normal: what comes after has forgotten what came before
_GOOD_ACCEPTANCE = 0.8
_MOST_HALVINGS = 3
_CHANCE = 0.01


def drift(
    density: Native, q: Array, reported: Callable[[Array], Mapping[str, Array]], *, seed: int, cores: int | None = None,
) -> Drift:
    """Return what transitions of the exact posterior do to draws of an approximation.

    Parameters
    ----------
    density : Native
        The log density of the posterior in coordinates q, near a standard normal.
    q : array, shape (draw, size)
        Independent draws of the approximation; `DRAWS` are enough.
    reported : callable
        Coordinates, shape (n, size), to the variables that users read, shape (n, ...).
    seed : int
        Of the transitions.
    cores : int, optional
        Threads.
    """
    # The longest step that keeps the energy of a standard normal of this size.
    step = min(0.5, 1.2 * q.shape[1] ** -0.25)
    after, acceptance = q, 0.0
    for _ in range(_MOST_HALVINGS + 1):
        after, acceptance = hamiltonian(density, q, transitions=TRANSITIONS, step=step, steps=int(np.ceil(LENGTH / step)),
                                        seed=seed, cores=cores)
        if acceptance >= _GOOD_ACCEPTANCE:
            break
        step /= 2
    labels, values = columns(reported(np.concatenate([q, after])))
    score, place, tests = _largest(values[:len(q)], values[len(q):])
    limit = float(stats.norm.isf(_CHANCE / (2 * tests)))
    return Drift(score, labels[place], limit, acceptance, len(q))


def _largest(before: Array, after: Array) -> tuple[float, int, int]:
    """Return the largest score, the column that has it, and the number of scores."""
    scores = []
    with np.errstate(invalid="ignore"):  # what is not finite has moved beyond all limits
        centre = before.mean(axis=0)
        for power in (1, 2):
            change = (after - centre) ** power - (before - centre) ** power
            error = change.std(axis=0, ddof=1) / np.sqrt(len(change))
            scores.append(np.abs(change.mean(axis=0)) / np.where(error > 0, error, np.inf))
    both = np.nan_to_num(np.array(scores), nan=np.inf)
    return float(both.max()), int(np.argmax(both.max(axis=0))), both.size
