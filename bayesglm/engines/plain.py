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
