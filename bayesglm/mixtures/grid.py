"""Grid: a parameter that takes a few values, with a posterior probability for each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
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


def describe_grid(name: str, grid: Array, share: Array) -> Mapping[str, Array]:
    """Return the median of a parameter on a grid and its equal-tailed interval, each (component,), by column names."""
    low, high = interval_names(name, LEVEL)
    return {name: grid[quantile(share, 0.5)], low: grid[quantile(share, (1 - LEVEL) / 2)],
            high: grid[quantile(share, (1 + LEVEL) / 2)]}
