"""Grid: a parameter that takes a few values, with a posterior probability for each.

With labels summed out, sums over the values of several components do not factor: K components with G values have G^K terms. As a
PyMC variable the parameter is therefore continuous. Its place t on the grid is uniform from half a step before the first value to
half a step behind the last, and log values are linear between neighbours and beyond the ends. A value of the grid stands for the
places within half a step of it: their probability 1/G is its prior probability, and the prior density of t there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from bayesglm.mixtures.component import Array
from bayesglm.predict import LEVEL, interval_names


def choose(share: Array, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return draws of a place on the grid, shape (draw, ...), for probabilities of shape (..., grid).

    Examples
    --------
    >>> choose(np.array([[0.0, 1.0], [1.0, 0.0]]), 2, np.random.default_rng(1)).tolist()
    [[1, 0], [1, 0]]
    """
    passed = np.cumsum(share, axis=-1)[..., :-1]
    return np.asarray((rng.random((size, *share.shape[:-1]))[..., None] >= passed).sum(axis=-1))


def quantile(share: Array, probability: float) -> NDArray[np.intp]:
    """Return the first place on the grid up to which at least this probability lies, for shares of shape (..., grid).

    Examples
    --------
    >>> quantile(np.array([0.1, 0.3, 0.6]), 0.4).item()
    1
    """
    passed = np.cumsum(share, axis=-1)
    return np.asarray((passed < probability - 1e-12).sum(axis=-1).clip(max=share.shape[-1] - 1))


def write_place(grid: Array, name: str, shape: tuple[int, ...]) -> Any:
    """Write places on a grid inside a model context, ``place`` with a name in front; return the values there."""
    place = pm.Uniform(f"{name}place", np.full(shape, -0.5), np.full(shape, len(grid) - 0.5), shape=shape)
    steps = np.diff(np.log(grid))
    turned = pt.maximum(place[..., None] - np.arange(1.0, len(steps)), np.float64(0)) @ np.diff(steps)
    return pt.exp(np.log(grid[0]) + steps[0] * place + turned)


def start_place(share: Array) -> Array:
    """Return the expected place for probabilities of shape (..., grid)."""
    return np.asarray((share * np.arange(share.shape[-1])).sum(axis=-1))


def describe_grid(name: str, grid: Array, share: Array) -> Mapping[str, Array]:
    """Return the median of a parameter on a grid and its equal-tailed interval, each (component,), by column names."""
    low, high = interval_names(name, LEVEL)
    return {name: grid[quantile(share, 0.5)], low: grid[quantile(share, (1 - LEVEL) / 2)],
            high: grid[quantile(share, (1 + LEVEL) / 2)]}
