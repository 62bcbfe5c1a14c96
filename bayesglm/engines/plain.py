"""Plain: any compiled ``pm.Model`` as a target, on its unconstrained space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.density import Density
from bayesglm.engines.target import Target

Array = NDArray[np.float64]


def plain_target(density: Density, starts: Array, goals: Mapping[str, float]) -> Target:
    """Return the target of a density.

    Parameters
    ----------
    density : Density
        The compiled density.
    starts : array, shape (chain, size)
        Where the chains begin, on the unconstrained space.
    goals : mapping
        Variable to the effective draws wanted; those that the density does not have are left out.
    """
    wanted = {name: goal for name, goal in goals.items() if name in density.expanded}
    return Target(density.size, density.native(), starts, density.expand, density.dims, density.coords, wanted)


def flat_starts(density: Density, start: Mapping[str, float], *, chains: int, seed: int) -> Array:
    """Return a start for each chain: uniform within 1 of 0, or of the value that is named for a variable."""
    at = np.concatenate([np.full(shape, start.get(name, 0.0)).ravel() for name, shape in density.shapes.items()])
    return np.asarray(at + np.random.default_rng(seed).uniform(-1, 1, (chains, at.size)))
