"""Shapes: where the components lie and how wide they are, as center and covariance of jointly described numbers.

They are means over posterior draws, so that every component that draws a center and a matrix or sds has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesglm.mixtures.component import Array, Drawn
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.scorer.transforms import Transform

_DRAWS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Centers and covariances of the columns that one component describes together.

    Attributes
    ----------
    names : tuple of str
        The columns.
    transforms : tuple of Transform
        On whose scale each column is here.
    center : array, shape (component, column)
        In the columns' units, after the transform.
    covariance : array, shape (component, column, column)
        In squares of these.
    scale : array, shape (column,)
        The sd of each column in the fitted rows.
    """

    names: tuple[str, ...]
    transforms: tuple[Transform, ...]
    center: Array
    covariance: Array
    scale: Array

    @property
    def standardised(self) -> Array:
        """Covariances in squared sds of the fitted columns, shape (component, column, column)."""
        return np.asarray(self.covariance / np.outer(self.scale, self.scale))

    @property
    def condition(self) -> Array:
        """Condition number of each standardised covariance, shape (component,): largest over smallest eigenvalue."""
        return np.asarray(np.linalg.cond(self.standardised))


@dataclass(frozen=True, slots=True, eq=False)
class Ellipse:
    """An ellipse that holds a share of a Gaussian.

    Attributes
    ----------
    center : array, shape (2,)
        Its middle.
    axes : array, shape (2, 2)
        Half axes as rows, the longer first: eigenvectors times ``radius * sqrt(eigenvalue)``.
    """

    center: Array
    axes: Array

    def outline(self, points: int = 181) -> Array:
        """Return points on it, shape (point, 2)."""
        angle = np.linspace(0, 2 * np.pi, points)
        return np.asarray(self.center + np.outer(np.cos(angle), self.axes[0]) + np.outer(np.sin(angle), self.axes[1]))


def ellipse(center: Array, covariance: Array, held: float = 0.9) -> Ellipse:
    """Return the ellipse of highest density that holds a share of a Gaussian in two dimensions.

    Parameters
    ----------
    center : array, shape (2,)
        Its mean.
    covariance : array, shape (2, 2)
        Its covariance.
    held : float
        The share.

    Examples
    --------
    >>> found = ellipse(np.zeros(2), np.diag([4.0, 1.0]), held=1 - np.exp(-0.5))
    >>> np.abs(found.axes).round(3).tolist()
    [[2.0, 0.0], [0.0, 1.0]]
    """
    radius = np.sqrt(-2 * np.log1p(-held))  # the chi-square quantile with two degrees of freedom
    values, vectors = np.linalg.eigh(covariance)
    return Ellipse(np.asarray(center), (radius * np.sqrt(np.maximum(values, 0)) * vectors).T[::-1])


def shapes(fit: FittedMixture) -> tuple[Shape, ...]:
    """Return the shape of every part whose components draw a center and a spread."""
    found = []
    for part, params in zip(fit.parts, fit.posterior.params, strict=True):
        rng = np.random.default_rng(fit.seed)
        drawn = part.component.draw(params, part.layout, _DRAWS, rng) if part.component.scaled else ()
        vectors = [each for each in drawn if tuple(each.labels) == ("feature",)]
        matrices = [each for each in drawn if tuple(each.labels) == ("feature", "feature_other")]
        if vectors and (matrices or len(vectors) > 1):
            layout = part.layout
            found.append(Shape(layout.names, layout.transforms, vectors[0].values.mean(axis=0),
                               _covariance(vectors, matrices), layout.scale))
    return tuple(found)


def _covariance(vectors: list[Drawn], matrices: list[Drawn]) -> Array:
    if matrices:
        return np.asarray(matrices[0].values.mean(axis=0))
    variance = (vectors[1].values ** 2).mean(axis=0)
    return np.asarray(variance[:, :, None] * np.eye(variance.shape[1]))
