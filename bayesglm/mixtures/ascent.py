"""Coordinate ascent: responsibilities and parameters in turn, each to its optimum, so that the bound never falls.

With the features t(x) of all columns side by side (the first is 1), expected natural parameters eta and weights w,

    log r_nk = t(x_n) . E[eta_k] + E[log w_k] - log normaliser_n,      sums_k = sum_n r_nk t(x_n)

are taken in one pass over the rows; the bound follows from the normalisers and the sums. Sums of rows that are not here any
more (yesterday's, another place's) may be added: such rows stay with the component they were in.
Components stand in order of their size, where stick-breaking weights have their largest bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.mixtures.component import Array, Component, Params
from bayesglm.mixtures.expectation import Rows, gather, sweep
from bayesglm.mixtures.kernels import entropy
from bayesglm.mixtures.weights import Weights

_REFINED = 3  # updates of unobserved variables at fixed responsibilities


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Columns that one kind of component describes.

    Attributes
    ----------
    component : Component
        What describes them.
    prior : mapping
        Its prior.
    levels : int
        Number of levels of a categorical column.
    width : int
        Number of features.
    """

    component: Component
    prior: Params
    levels: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Rows to describe and how.

    Attributes
    ----------
    blocks : tuple of Block
        The parts of a row.
    weights : Weights
        Prior of the weights, with its concentration and the largest number of components.
    concentration : float
        Of the prior of the weights.
    limit : int
        Most components.
    held : Rows
        A 1 and the features of all blocks; blocks with unobserved variables stand last.
    base : float
        What the rows add to the bound whatever the parameters.
    """

    blocks: tuple[Block, ...]
    weights: Weights
    concentration: float
    limit: int
    held: Rows
    base: float

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.held)


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Parameters of a mixture's posterior.

    Attributes
    ----------
    params : tuple of mapping
        Of each block's components.
    weights : mapping
        Of the weights.
    counts : array, shape (component,)
        Rows in each component.
    natural : array, shape (component, feature)
        Expected natural parameters; the first column holds the constants and E[log w].
    divergence : float
        Kullback-Leibler divergence from the prior.
    sums : array, shape (component, feature)
        Sums of features of all rows, from which everything else follows.
    kept : array, shape (component, feature)
        The part of them that belongs to rows which are not here any more.
    """

    params: tuple[Params, ...]
    weights: Params
    counts: Array
    natural: Array
    divergence: float
    sums: Array
    kept: Array

    @property
    def size(self) -> int:
        """Number of components."""
        return len(self.counts)


@dataclass(frozen=True, slots=True, eq=False)
class Climb:
    """Where coordinate ascent ended.

    Attributes
    ----------
    posterior : Posterior
        The parameters.
    bounds : tuple of float
        The bound after every half step.
    converged : bool
        Whether the last sweep gained less than was asked.
    """

    posterior: Posterior
    bounds: tuple[float, ...]
    converged: bool

    @property
    def bound(self) -> float:
        """The last bound."""
        return self.bounds[-1]


def slices(blocks: tuple[Block, ...]) -> Iterator[tuple[Block, slice]]:
    """Yield each block with its features' place; place 0 is the 1."""
    start = 1
    for block in blocks:
        yield block, slice(start, start + block.width)
        start += block.width


def largest_first(sums: Array) -> NDArray[np.intp]:
    """Return the order of components in which the one with most rows is the first."""
    return np.argsort(-sums[:, 0], kind="stable")


def maximise(problem: Problem, sums: Array, kept: Array | None = None) -> Posterior:
    """Return the parameters that are best for these sums of features (component, feature), largest component first.

    Parameters
    ----------
    problem : Problem
        The priors.
    sums : array, shape (component, feature)
        Of the rows at hand.
    kept : array, shape (component, feature), optional
        Of rows that are not here any more.
    """
    kept = np.zeros_like(sums) if kept is None else kept
    order = largest_first(sums + kept)
    kept = kept[order]
    sums = sums[order] + kept
    counts = sums[:, 0]
    weights = problem.weights.update(counts, problem.concentration, problem.limit)
    natural = np.empty_like(sums)
    natural[:, 0] = problem.weights.expected_log(weights)
    divergence, params = problem.weights.divergence(weights), []
    for block, place in slices(problem.blocks):
        each = block.component.update(block.prior, counts, sums[:, place])
        expected = block.component.expected(block.prior, each)
        natural[:, place] = expected.natural
        natural[:, 0] += expected.constant
        divergence += float(expected.divergence.sum())
        params.append(each)
    return Posterior(tuple(params), weights, counts, natural, divergence, sums, kept)


def bound_of(problem: Problem, posterior: Posterior, doubt: float) -> float:
    """Return the bound: expected log density and weights, minus divergence, plus the entropy of the responsibilities."""
    return float((posterior.sums * posterior.natural).sum()) + doubt + problem.base - posterior.divergence


def from_responsibilities(problem: Problem, responsibilities: Array, kept: Array | None = None) -> tuple[Posterior, float]:
    """Return the best parameters for responsibilities (component, row) and kept sums, and the bound."""
    counts = responsibilities.sum(axis=1) + (0 if kept is None else kept[:, 0])
    order = np.argsort(-counts, kind="stable")
    responsibilities, kept = responsibilities[order], None if kept is None else kept[order]
    posterior = maximise(problem, gather(responsibilities, None, problem.held), kept)
    for _ in range(_REFINED if problem.held.hidden else 0):
        posterior = maximise(problem, gather(responsibilities, posterior.params, problem.held), kept)
    return posterior, bound_of(problem, posterior, float(entropy(responsibilities).sum()))


def ascend(problem: Problem, posterior: Posterior, sweeps: int, tolerance: float) -> Climb:
    """Climb from some parameters until a sweep gains less than the tolerance (nats a row).

    Parameters
    ----------
    problem : Problem
        The rows and the priors.
    posterior : Posterior
        Where to start.
    sweeps : int
        Most sweeps, at least one.
    tolerance : float
        Gain of the bound a row below which it stops.

    Returns
    -------
    Climb
        With the bound after each half of each sweep.
    """
    bounds: list[float] = []
    converged = False
    for _ in range(max(sweeps, 1)):
        before = posterior
        sums, total = sweep(before.natural, before.params, problem.held)
        bounds.append(total + float((before.kept * before.natural).sum()) + problem.base - before.divergence)
        posterior = maximise(problem, sums, before.kept)
        doubt = total - float((sums * before.natural).sum())
        bounds.append(bound_of(problem, posterior, doubt))
        if len(bounds) > 2 and bounds[-1] - bounds[-3] < tolerance * problem.rows:
            converged = True
            break
    return Climb(posterior, tuple(bounds), converged)
