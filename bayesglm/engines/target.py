"""Target: a log density, where to start, what its draws mean, and how many are wanted; and how chains adapt to it.

Engines make targets; `bayesglm.engines.sampling.sample` draws from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.chains import PythonDensity, library
from bayesglm.engines.native import Native

Array = NDArray[np.float64]
Expanded = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A log density and what its draws mean.

    Attributes
    ----------
    size : int
        Number of unconstrained coordinates.
    density : Native or callable
        The log density, up to a constant: compiled (see `bayesglm.engines.native.native`), or a function that makes one
        ``q -> (value, gradient)`` for each chain.
    starts : array, shape (chain, size)
        Where each chain begins; the gradient there must not be 0.
    expand : callable
        Flat draws, shape (n, size), to variables of the model, shape (n, ...).
    dims : mapping
        Variable to its dims.
    coords : mapping
        Dim to its labels.
    goals : mapping
        Variable to the bulk and tail effective draws each of its elements should have.
    single : frozenset of str
        Variables whose draws are kept in float32.
    """

    size: int
    density: Native | PythonDensity
    starts: Array
    expand: Callable[[Array], Expanded]
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    coords: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    single: frozenset[str] = frozenset()

    def dims_of(self, name: str, rank: int) -> tuple[str, ...]:
        """Return the dims of a variable, made up as ArviZ does where the target names none."""
        return self.dims.get(name) or tuple(f"{name}_dim_{i}" for i in range(rank))


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How a chain finds its step size and mass matrix in the warm-up.

    The defaults are for a target near a standard normal: on one of 90 coordinates, whose sds differ by factors of about e, draws
    after 100 warm-up draws are as good as after 1,000, at 7 evaluations each; a ``target_accept`` of 0.9 takes 14.

    Attributes
    ----------
    tune : int
        Warm-up draws.
    form : {"diag", "low_rank"}
        Form of the mass matrix.
    target_accept : float
        Mean acceptance the step size aims at.
    initial_step : float
        First step size.
    max_treedepth : int
        Most doublings of a trajectory.
    options : mapping
        Further settings of nutpie by name, such as ``early_window``.
    """

    tune: int = 100
    form: Literal["diag", "low_rank"] = "diag"
    target_accept: float = 0.8
    initial_step: float = 0.5
    max_treedepth: int = 10
    options: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, *, seed: int, draws: int) -> Any:
        """Return nutpie's settings of one chain."""
        kinds = library().PyNutsSettings
        found = {"diag": kinds.Diag, "low_rank": kinds.LowRank}[self.form](seed)
        found.update({"num_tune": self.tune, "num_draws": draws, "num_chains": 1, "target_accept": self.target_accept,
                      "initial_step": self.initial_step, "maxdepth": self.max_treedepth, **self.options})
        return found
