"""Mirror: the same posterior with some scales on the other side of 0, and approximations made symmetric by it.

A scale whose prior density at 0 is positive is sampled on the whole line and reported as its absolute value. Turning its sign,
with that of its standardised effects and of their partial correlations, changes neither the posterior density nor a reported
value. An approximation that stands on one side of 0 is read on both: with the images g of the turns, a group,

    q'(x) = mean over g of q(g x)          weights p(x) / q'(x) at draws of q

have the posterior's expectation for everything that is reported, and are even where p / q is not: near 0, and beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from bayesglm.latent.density import Transported
from bayesglm.latent.hyper import SIGNED
from bayesglm.latent.layout import Field
from bayesglm.latent.transport import Reference

Array = NDArray[np.float64]
MOST_SCALES = 6
NEAR = 8.0  # sds; the image of a scale further from 0 has no density to speak of


@dataclass(frozen=True, slots=True, eq=False)
class Mirror:
    """Images of transported coordinates.

    Attributes
    ----------
    reference : Reference
        Of the transport.
    signs : array, shape (image, size)
        1 or -1 for hyperparameters on the real line and for each coordinate of the field; the first image is the point itself.
    """

    reference: Reference
    signs: Array

    def image(self, q: Array, signs: Array) -> Array:
        """Return an image of points of shape (draw, size)."""
        size = len(self.reference.t)
        t = self.reference.t + q[:, :size] @ self.reference.turn.T
        turned = solve_triangular(self.reference.turn, (signs[:size] * t - self.reference.t).T, lower=True).T
        return np.concatenate([turned, signs[size:] * q[:, size:]], axis=1)

    def nearest(self, log_density: Callable[[Array], Array], q: Array) -> Array:
        """Return that image of each point, shape (draw, size), which has the highest density under an approximation."""
        best, highest = q, log_density(q)
        for signs in self.signs[1:]:
            image = self.image(q, signs)
            density = log_density(image)
            best = np.where((density > highest)[:, None], image, best)
            highest = np.maximum(highest, density)
        return best

    def log_density(self, log_density: Callable[[Array], Array], q: Array) -> Array:
        """Return the log of q' for the log density of an approximation, at points of shape (draw, size)."""
        found = log_density(q)
        for signs in self.signs[1:]:
            found = np.logaddexp(found, log_density(self.image(q, signs)))
        return np.asarray(found - np.log(len(self.signs)))


def mirror(transported: Transported) -> Mirror:
    """Return the images under turns of the scales nearest to 0, at most `MOST_SCALES` of them."""
    field, reference = transported.posterior.field, transported.reference
    sd = np.sqrt((reference.turn**2).sum(axis=1))
    distance = np.where(field.hyper.way == SIGNED, np.abs(reference.t) / sd, np.inf)
    near = [int(k) for k in np.argsort(distance, kind="stable")[:MOST_SCALES] if distance[k] < NEAR]
    subsets = chain.from_iterable(combinations(near, n) for n in range(len(near) + 1))
    return Mirror(reference, np.array([_signs(field, set(each)) for each in subsets]))


def _signs(field: Field, turned: set[int]) -> Array:
    """Return the sign of each coordinate, in the order of q: hyperparameters, sparse part, core."""
    theta_size, wide, size = field.sizes
    theta, sparse, core = np.ones(theta_size), np.ones(size), np.ones(wide)
    for placed in field.placed:
        sign = np.array([-1.0 if int(k) in turned else 1.0 for k in placed.sd])
        theta[placed.sd] = sign
        row, column = np.triu_indices(len(sign), 1)
        if placed.partial.size:
            theta[placed.partial] = sign[row] * sign[column]
        if placed.core is not None:
            core[placed.core] = sign
        elif placed.sparse is not None:
            places = placed.sparse
            signs = np.broadcast_to(sign[:places.shape[1]], places.shape)
            sparse[places[places >= 0]] = signs[places >= 0]
    return np.concatenate([theta, sparse, core])
