"""Starts: k-means++ and a few of Lloyd's steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesglm.mixtures.component import Array


def seed_centers(points: Array, count: int, rng: np.random.Generator) -> Array:
    """Return up to ``count`` distinct rows, each drawn with its squared distance to those before it (k-means++).

    Examples
    --------
    >>> points = np.array([[0.0], [0.0], [9.0]])
    >>> np.sort(seed_centers(points, 3, np.random.default_rng(1)).ravel()).tolist()
    [0.0, 9.0]
    """
    centers = [points[rng.integers(len(points))]]
    nearest = ((points - centers[0]) ** 2).sum(axis=1)
    while len(centers) < count and nearest.sum() > 0:
        chosen = points[rng.choice(len(points), p=nearest / nearest.sum())]
        centers.append(chosen)
        nearest = np.minimum(nearest, ((points - chosen) ** 2).sum(axis=1))
    return np.array(centers)


def nearest_center(points: Array, centers: Array) -> NDArray[np.intp]:
    """Return the index of the nearest center for each row."""
    return np.asarray(((centers**2).sum(axis=1) - 2 * points @ centers.T).argmin(axis=1))


def kmeans(points: Array, count: int, rng: np.random.Generator, steps: int = 5) -> Array:
    """Return hard responsibilities (component, row) of at most ``count`` groups, none of them empty."""
    centers = seed_centers(points, count, rng)
    labels = nearest_center(points, centers)
    for _ in range(steps):
        held = np.unique(labels)
        centers = np.array([points[labels == each].mean(axis=0) for each in held])
        labels = nearest_center(points, centers)
    held, labels = np.unique(labels, return_inverse=True)
    return np.asarray(labels == np.arange(len(held))[:, None], dtype=np.float64)
