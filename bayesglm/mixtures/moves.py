"""Moves: split, merge and delete components, accepted only where the bound improves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.mixtures.ascent import (
    Posterior,
    Problem,
    ascend,
    from_responsibilities,
    largest_first,
    maximise,
    slices,
)
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.expectation import assign, gather, sweep
from bayesglm.mixtures.kernels import entropy, pair_entropy
from bayesglm.mixtures.starts import kmeans

TOLERANCE = 1e-5  # nats a row: enough to compare structures
_SWEEPS = 60
_INNER = 12  # sweeps inside a split
_TRIED = 4  # merges and deletions tried in full in each round
_LEAST_ROWS = 4.0  # a component with fewer is not split
_EMPTY = 0.5  # components with fewer rows are deleted together; the first component always has more
_WORTH = 0.5  # nats that such components may be worth together: shares of a row raise the bound a little where levels are few
GAIN = 1e-2  # nats that more components must gain; an ascent stops with more still to gain
_TIE = 5e-3  # nats that fewer components may lose: components without rows neither gain nor lose
_ROUNDS = 100


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A mixture of the rows that are searched.

    Attributes
    ----------
    posterior : Posterior
        The parameters.
    bound : float
        The bound.
    """

    posterior: Posterior
    bound: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What a search works on.

    Attributes
    ----------
    problem : Problem
        The rows.
    points : array, shape (row, coordinate)
        Where distances mean something.
    rng : numpy.random.Generator
        For the splits.
    """

    problem: Problem
    points: Array
    rng: np.random.Generator


def climb(problem: Problem, posterior: Posterior, sweeps: int = _SWEEPS) -> State:
    """Return the state at the end of an ascent."""
    found = ascend(problem, posterior, sweeps, TOLERANCE)
    return State(found.posterior, found.bound)


def merge(search: Search, state: State) -> State:
    """Merge pairs as long as that improves the bound."""
    while state.posterior.size > 1:
        better = _first_better(search, state, _merged(search.problem, state.posterior))
        if better is None:
            break
        state = better
    return state


def delete(search: Search, state: State) -> State:
    """Give the rows of the smallest components to the others as long as that improves the bound."""
    state = drop_empty(search, state)
    while state.posterior.size > 1:
        smallest = _free(state.posterior)[:-_TRIED - 1:-1]
        better = _first_better(search, state, [_without(search.problem, state.posterior, np.array([k])) for k in smallest])
        if better is None:
            break
        state = drop_empty(search, better)
    return state


def drop_empty(search: Search, state: State) -> State:
    """Delete all components with less than half a row, unless that costs more than they can be worth."""
    free = _free(state.posterior)
    empty = free[state.posterior.counts[free] < _EMPTY]
    if not len(empty):
        return state
    return _first_better(search, state, [_without(search.problem, state.posterior, empty)], _WORTH) or state


def _free(posterior: Posterior) -> NDArray[np.intp]:
    """Return the components without kept rows, which cannot be given to another component."""
    return np.flatnonzero(posterior.kept[:, 0] == 0)


def split(search: Search, state: State) -> State:
    """Split every component whose two parts give a better bound, then climb; once over all components."""
    responsibilities, _ = assign(state.posterior.natural, state.posterior.params, search.problem.held)
    kept = state.posterior.kept
    _, bound = from_responsibilities(search.problem, responsibilities, kept)
    grown = responsibilities
    for k in range(len(responsibilities)):
        if len(grown) >= search.problem.limit:
            break
        share = divide(search, responsibilities[k], kept[k])
        if share is None:
            continue
        trial = np.vstack([grown, responsibilities[k] * (1 - share)])
        trial[k] *= share
        _, found = from_responsibilities(search.problem, trial, _with_empty(kept, len(trial)))
        if found > bound + GAIN:
            grown, bound = trial, found
    if len(grown) == len(responsibilities):
        return state
    posterior, _ = from_responsibilities(search.problem, grown, _with_empty(kept, len(grown)))
    better = climb(search.problem, posterior)
    return better if better.bound > state.bound + GAIN else state


def improve(search: Search, state: State, moves: tuple[Callable[[Search, State], State], ...]) -> State:
    """Make moves in turn until none improves the bound."""
    for _ in range(_ROUNDS):
        before = state.bound
        for move in moves:
            state = move(search, state)
        if state.bound <= before + GAIN:
            break
    return state


def _first_better(search: Search, state: State, candidates: list[Posterior], tie: float = _TIE) -> State | None:
    """Return the first candidate that is no worse after a climb: at a tie fewer components win."""
    for candidate in candidates:
        found = climb(search.problem, candidate, 3)
        if found.bound > state.bound - tie:
            return climb(search.problem, found.posterior)
    return None


def _with_empty(kept: Array, components: int) -> Array:
    """Return kept sums with components that keep nothing behind them."""
    return np.vstack([kept, np.zeros((components - len(kept), kept.shape[1]))])


def _merged(problem: Problem, posterior: Posterior) -> list[Posterior]:
    """Return the mixtures with one pair merged that have the best bounds at once."""
    responsibilities, _ = assign(posterior.natural, posterior.params, problem.held)
    sums, kept = gather(responsibilities, posterior.params, problem.held), posterior.kept
    first, second = np.triu_indices(len(sums), 1)
    together = problem_value(problem, (sums + kept)[first] + (sums + kept)[second])
    alone = problem_value(problem, sums + kept)
    doubt = entropy(responsibilities)
    mixed = pair_entropy(responsibilities, first, second)
    gain = together - alone[first] - alone[second] + mixed - doubt[first] - doubt[second]
    return [maximise(problem, *(joined(each, first[pair], second[pair]) for each in (sums, kept)))
            for pair in np.argsort(-gain, kind="stable")[:_TRIED]]


def joined(sums: Array, first: int, second: int) -> Array:
    """Return sums or responsibilities, (component, .), with one component added to another: moments are those of both's rows."""
    kept = sums.copy()
    kept[first] += kept[second]
    return np.delete(kept, second, axis=0)


def problem_value(problem: Problem, sums: Array) -> Array:
    """Return what components with these sums add to the bound, apart from weights and entropy: their log evidence."""
    value = np.zeros(len(sums))
    for block, place in slices(problem.blocks):
        params = block.component.update(block.prior, sums[:, 0], sums[:, place])
        expected = block.component.expected(block.prior, params)
        value += sums[:, 0] * expected.constant + (sums[:, place] * expected.natural).sum(axis=1) - expected.divergence
    return value


def _without(problem: Problem, posterior: Posterior, gone: NDArray[np.intp]) -> Posterior:
    params = [{name: np.delete(values, gone, axis=0) for name, values in each.items()} for each in posterior.params]
    sums, _ = sweep(np.delete(posterior.natural, gone, axis=0), params, problem.held)
    return maximise(problem, sums, np.delete(posterior.kept, gone, axis=0))


def _belongs_to_second(problem: Problem, sums: Array, kept: Array) -> bool:
    """Whether kept sums have more evidence together with the second of two parts."""
    first, second = (float(problem_value(problem, sums + _with_empty(kept[None], 2)[order]).sum()) for order in ([0, 1], [1, 0]))
    return second > first


def divide(search: Search, weight: Array, kept: Array) -> Array | None:
    """Return the share of each row that stays with a component, of two parts; what it keeps of other rows stays too."""
    held: NDArray[np.intp] = np.flatnonzero(weight > 0.01)
    if weight.sum() < _LEAST_ROWS or len(held) < 2:
        return None
    share = kmeans(search.points[held], 2, search.rng)
    if len(share) < 2:
        return None
    problem, rows, weight = search.problem, search.problem.held.take(held), weight[held]
    both, trial = _with_empty(kept[None], 2), None
    if kept[0] > 0:
        share = share[::-1 if _belongs_to_second(problem, gather(share * weight, None, rows), kept) else 1]
    for _ in range(_INNER):
        sums = gather(share * weight, None if trial is None else trial.params, rows)
        order = largest_first(sums + both)
        trial = maximise(problem, sums, both)
        both = trial.kept
        before, share = share[order], assign(trial.natural, trial.params, rows)[0]
        if np.abs(share - before).max() < 1e-3:
            break
    return None if trial is None else np.asarray(assign(trial.natural, trial.params, problem.held)[0][both[:, 0].argmax()])
