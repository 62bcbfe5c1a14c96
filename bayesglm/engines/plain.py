"""Plain: any compiled ``pm.Model`` as a target, on its unconstrained space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.density import LOCK_FREE_NUMBERS, Density, without_lock
from bayesglm.engines.target import Target

Array = NDArray[np.float64]


def plain_target(
    density: Density, start: Mapping[str, float], *, chains: int, seed: int, goals: Mapping[str, float],
) -> tuple[Target, int | None]:
    """Return the target of a density, and how many chains may run at a time: one where an evaluation is too short to share.

    Parameters
    ----------
    density : Density
        The compiled density.
    start : mapping
        Variable to the value around which chains begin; 0 for all others.
    chains, seed : int
        Number of chains; of their starts, uniform within 1 on the unconstrained space.
    goals : mapping
        Variable to the effective draws wanted.
    """
    at = flat_start(density, start)
    shared = density.numbers > LOCK_FREE_NUMBERS
    run = without_lock(density) if shared else density
    run(at)
    starts = at + np.random.default_rng(seed).uniform(-1, 1, (chains, at.size))
    target = Target(density.size, lambda: run, starts, density.expand, density.dims, density.coords,
                    {name: goal for name, goal in goals.items() if name in density.expanded})
    return target, None if shared else 1


def flat_start(density: Density, start: Mapping[str, float]) -> Array:
    """Return the flat vector where sampling starts: 0 for every coordinate, except those named."""
    parts = [np.full(shape, start.get(name, 0.0)) for name, shape in density.shapes.items()]
    return np.concatenate([part.ravel() for part in parts])
