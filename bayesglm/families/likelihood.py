"""Likelihood: a PyMC distribution from a log density and a way to draw, both written with PyTensor.

For densities that PyMC has in a form that loses digits or overflows in the tails, or has not at all. The result is an ordinary
distribution: it can be observed, drawn from and predicted with, and compiles without Python objects.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

# Means below this are treated as this, so that their logs and third derivatives are finite; exp(-207).
SMALLEST_MEAN = np.float64(1e-90)


def likelihood(
    name: str, log_density: Callable[..., TensorVariable], random: Callable[..., TensorVariable],
    *parameters: TensorVariable, signature: str | None = None,
) -> TensorVariable:
    """Return an unnamed PyMC distribution.

    Parameters
    ----------
    name : str
        What the model's graph shows.
    log_density : callable
        ``log_density(value, *parameters)``.
    random : callable
        ``random(*parameters, size)``, made of PyMC distributions.
    *parameters : TensorVariable
        Arrays that broadcast.
    signature : str, optional
        Core dimensions of the parameters and the value; all scalars without one.

    Examples
    --------
    >>> def log_density(y, rate):
    ...     return pt.log(rate) - rate * y
    >>> def random(rate, size):
    ...     return pm.Exponential.dist(rate, size=size)
    >>> rv = likelihood("Waiting", log_density, random, pt.as_tensor(np.ones(3)))
    >>> pm.draw(rv, random_seed=1).shape
    (3,)
    """
    return pm.CustomDist.dist(*parameters, dist=random, logp=log_density, class_name=name, signature=signature)


def at_least(value: TensorVariable, least: np.float64 = SMALLEST_MEAN) -> TensorVariable:
    """Return max(value, least)."""
    return pt.maximum(value, least)
