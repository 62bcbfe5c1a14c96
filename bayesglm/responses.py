"""Responses: draws of rates, expected and predicted responses for coded rows, a chunk of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, qmc

from bayesglm.fitted import Fitted
from bayesglm.rows import (
    CHUNK_ROWS,
    Groups,
    Rows,
    States,
    chunks,
    linear_predictor,
    parameters,
    states,
)

Array = NDArray[np.float64]
Chunk = tuple[NDArray[np.intp], dict[str, Array]]
NODES = {1: 21, 2: 11}  # of Gauss and Hermite in each dimension; beyond that, points of a Sobol sequence
SOBOL_POINTS = 2**9


@cache
def quadrature(dimensions: int) -> tuple[Array, Array]:
    """Return points and weights of the mean over independent standard normals.

    Parameters
    ----------
    dimensions : int
        Their number; one or two have the nodes of Gauss and Hermite, more the points of a Sobol sequence.

    Returns
    -------
    points : array, shape (point, dimension)
        Where to evaluate.
    weights : array, shape (point,)
        They sum to one.

    Examples
    --------
    >>> points, weights = quadrature(1)
    >>> round(float(weights @ np.exp(points[:, 0])), 6) == round(float(np.exp(0.5)), 6)
    True
    """
    if dimensions not in NODES:
        points = norm.ppf(qmc.Sobol(dimensions, scramble=False).random(SOBOL_POINTS) + 0.5 / SOBOL_POINTS)
        return points, np.full(SOBOL_POINTS, 1.0 / SOBOL_POINTS)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES[dimensions])
    every = list(product(range(len(nodes)), repeat=dimensions))
    return nodes[every], np.prod(weights[every], axis=1) / weights.sum() ** dimensions


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """The draws of a prediction, computed chunk by chunk.

    Attributes
    ----------
    fitted, rows : Fitted, Rows
        The posterior and the rows.
    which : int array
        Draws to use.
    groups : str
        How group effects enter.
    seed : int
        For new levels and predictive draws.
    per : float
        The rate's unit.
    quantities : tuple of str
        What to compute.
    """

    fitted: Fitted
    rows: Rows
    which: NDArray[np.intp]
    groups: Groups
    seed: int
    per: float
    quantities: tuple[str, ...]

    def chunks(self) -> Iterator[Chunk]:
        """Yield (rows, {quantity: draws of shape (sample, row) or (sample, row, level)}); the same at every call."""
        integrated = self._states(fresh=False)
        fresh = self._states(fresh=True) if self.groups == "population" and "predicted" in self.quantities else integrated
        for take in chunks(self.rows.size, len(self.which)):
            yield take, self._chunk(take, integrated, fresh)

    def _states(self, *, fresh: bool) -> dict[str, States]:
        """Collect the states of all predictors; the same random numbers at every call."""
        predictors = self.fitted.specification.predictors
        own = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(0,))).spawn(len(predictors))
        return {
            each.parameter: states(self.fitted, each, coded, self.which, self.groups, rng, fresh=fresh)
            for each, coded, rng in zip(predictors, self.rows.coded, own, strict=True)
        }

    def _chunk(
        self, take: NDArray[np.intp], integrated: Mapping[str, States], fresh: Mapping[str, States],
    ) -> dict[str, Array]:
        family, trials = self.fitted.specification.family, self.rows.trials
        n = None if trials is None else trials[take]
        values: dict[str, Array] = {}
        if "rate" in self.quantities:
            first = family.parameters[0].name
            if self.fitted.specification.response_levels:
                values["rate"] = self._average(take, integrated, lambda p: family.mean(p, n), exposed=False)
            else:
                values["rate"] = self._average(take, integrated, lambda p: p[first], exposed=False) * self.per
        if "expected" in self.quantities:
            values["expected"] = self._average(take, integrated, lambda p: family.mean(p, n), exposed=True)
        if "predicted" in self.quantities:
            values["predicted"] = self._predicted(take, self._etas(take, fresh)[0], n)
        return {name: self._without_exposure(draws, take, name) for name, draws in values.items()}

    def _predicted(self, take: NDArray[np.intp], etas: Mapping[str, Array], trials: Array | None) -> Array:
        """Draw responses, every ``CHUNK_ROWS`` rows from a seed of their own: the size of a chunk changes nothing."""
        numbers = self._numbers(take, etas, exposed=True)
        drawn = np.empty((len(self.which), len(take)))
        for begin in range(0, len(take), CHUNK_ROWS):
            part = slice(begin, begin + CHUNK_ROWS)
            rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(1, int(take[begin]) // CHUNK_ROWS)))
            own = {name: each if each.shape[-1] == 1 else each[:, part] for name, each in numbers.items()}
            drawn[:, part] = self.fitted.specification.family.draw(rng, own, None if trials is None else trials[part])
        return drawn

    def _etas(self, take: NDArray[np.intp], states_of: Mapping[str, States]) -> tuple[dict[str, Array], dict[str, Array]]:
        patterns, back = np.unique(self.rows.patterns.index[take], return_inverse=True)
        etas, variances = {}, {}
        for each, coded in zip(self.fitted.specification.predictors, self.rows.coded, strict=True):
            eta, variance = linear_predictor(states_of[each.parameter], coded, patterns)
            etas[each.parameter], variances[each.parameter] = eta[:, back], variance[:, back]
        return etas, variances

    def _numbers(self, take: NDArray[np.intp], etas: Mapping[str, Array], *, exposed: bool) -> dict[str, Array]:
        return parameters(self.fitted, self.rows, etas, take, self.which, exposed=exposed)

    def _average(
        self, take: NDArray[np.intp], states_of: Mapping[str, States], value: Callable[[dict[str, Array]], Array], *,
        exposed: bool,
    ) -> Array:
        """E over the integrated groups of value(parameters), a dimension for each predictor that has some."""
        etas, variances = self._etas(take, states_of)
        random = [name for name, variance in variances.items() if variance.any()]
        if not random:
            return value(self._numbers(take, etas, exposed=exposed)) + np.zeros((len(self.which), len(take)) if not
                                                                               self.fitted.specification.response_levels else 1)
        total: Array | float = 0.0
        for point, weight in zip(*quadrature(len(random)), strict=True):
            shifted = dict(etas)
            for name, z in zip(random, point, strict=True):
                shifted[name] = etas[name] + z * np.sqrt(variances[name])
            total = total + weight * value(self._numbers(take, shifted, exposed=exposed))
        return np.asarray(total)

    def _without_exposure(self, draws: Array, take: NDArray[np.intp], name: str) -> Array:
        """Set expected and predicted responses of rows without exposure to 0: nothing is recorded there."""
        if self.rows.exposure is None or name == "rate":
            return draws
        return np.where(self.rows.exposure[..., take] > 0, draws, 0.0)
