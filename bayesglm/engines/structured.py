"""Structured: a problem of the latent Gaussian class as a target, in transported coordinates.

problem -> layout and likelihood -> optimum of the Laplace marginal -> transport -> target
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.laps import laps
from bayesglm.engines.native import native
from bayesglm.engines.target import Target
from bayesglm.latent.density import Transported, packed, reference_at
from bayesglm.latent.hyper import thetas
from bayesglm.latent.layout import Field, field_of
from bayesglm.latent.likelihood import CellLikelihood, compile_likelihood
from bayesglm.latent.mode import Posterior
from bayesglm.latent.search import search
from bayesglm.latent.variables import dims_of, expand
from bayesglm.specification import Problem, Specification

Array = NDArray[np.float64]
PARAMETER_GOAL, STATE_GOAL = 1_000.0, 400.0
# States with more elements than this are kept in float32: 100,000 levels of two effects and 4,000 draws are 3 GB and not 6.
SINGLE_FROM = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A problem ready to be sampled.

    Attributes
    ----------
    transported : Transported
        The exact log density in transported coordinates.
    modes : int
        How many different optima the searches found.
    definite : bool
        Whether the observed curvature is positive definite at the optimum.
    seconds : mapping
        Where the time went: ``compile``, ``mode``.
    """

    transported: Transported
    modes: int
    definite: bool
    seconds: Mapping[str, float]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        if self.modes == 1:
            return ()
        return (f"{self.modes} different modes were found from several starts: chains may not have visited all in proportion",)

    def expand(self, flat: Array) -> dict[str, Array]:
        """Return all variables of the model at transported coordinates, shape (n, size)."""
        field = self.transported.posterior.field
        t, w, v = self.transported.fields(flat)
        return expand(field, thetas(t, field.hyper), w, v)

    def target(self, starts: Array) -> Target:
        """Return the target with chains that begin at these coordinates, shape (chain, size)."""
        field = self.transported.posterior.field
        dims, coords = dims_of(field)
        return Target(self.transported.size, native(packed, self.transported.arrays), starts, self.expand, dims, coords,
                      goals_of(field.problem.specification), large_states(field))


def prepare(problem: Problem, *, seed: int) -> Prepared:
    """Find the optimum of a problem and the transport there.

    Parameters
    ----------
    problem : Problem
        A model with its data.
    seed : int
        Of the starts of the search.

    Returns
    -------
    Prepared
        The log density in coordinates whose posterior is nearly standard normal, and the way back.

    Examples
    --------
    >>> import bayesglm as bg
    >>> table = {"errors": [3, 0, 2, 5], "requests": [10.0, 5.0, 10.0, 20.0]}
    >>> prepared = prepare(bg.Model("errors ~ 1", table, "poisson", exposure="requests").problem, seed=1)
    >>> value, gradient = prepared.transported(np.zeros(1))
    >>> abs(float(gradient[0])) < 1e-6
    True
    >>> sorted(prepared.expand(np.zeros((5, 1))))
    ['Intercept']
    """
    with laps() as clock:
        likelihood = compile_likelihood(problem)
        _compile(likelihood)
        clock.end("compile")
        posterior = Posterior(field_of(problem), likelihood)
        found = search(posterior, seed)
        transported = Transported(posterior, reference_at(found.best))
        clock.end("mode")
    return Prepared(transported, found.modes, found.best.marginal.definite, clock.seconds)


def _compile(likelihood: CellLikelihood) -> None:
    """Compile every kernel the search needs, so that its time is not the compiler's."""
    eta, constants = np.zeros((len(likelihood.predicted), len(likelihood.pattern))), np.full(len(likelihood.constants), 0.5)
    likelihood.value_and_gradient(eta, constants)
    likelihood.second(eta, constants)
    likelihood.third(eta, constants, np.zeros((len(eta), *eta.shape)))


class InCoordinates(Protocol):
    """A log density of a posterior in transported coordinates."""

    @property
    def posterior(self) -> Posterior:
        """The posterior."""
        ...

    def __call__(self, q: Array) -> tuple[float, Array]:
        """Return the log density and its gradient."""
        ...


def overdispersed(transported: InCoordinates, *, chains: int, seed: int) -> Array:
    """Return starts with t of 4 degrees of freedom and 2 sd in hyperparameters and core, normal in the levels.

    What the search holds, the scales of single coefficients, is drawn like the levels: normal, with its prior's spread.
    """
    rng = np.random.default_rng(seed)
    theta, wide, size = transported.posterior.field.sizes
    starts = np.empty((chains, theta + size + wide))
    held = np.flatnonzero(transported.posterior.field.hyper.held)
    for start in starts:
        start[:theta], start[theta + size:] = 2 * rng.standard_t(4, theta), 2 * rng.standard_t(4, wide)
        start[theta:theta + size] = rng.standard_normal(size)
        start[held] = rng.standard_normal(len(held))
        # Where a parameter overflows, nearer to the mode, which is at 0.
        while not np.isfinite(transported(start)[0]) and np.abs(start).max() > 1e-3:
            start *= 0.7
    return starts


def goals_of(specification: Specification) -> dict[str, float]:
    """Return the effective draws wanted of each reported variable: a correlation's by its partial form, which has no constant."""
    goals = {name: STATE_GOAL if state else PARAMETER_GOAL for name, state in specification.reported().items()}
    for predictor in specification.predictors:
        for block in predictor.blocks:
            for each in block.hyperparameters:
                if each.key == "cor":
                    del goals[predictor.name(each.name)]
                    goals[predictor.name(f"partial_{block.name}")] = PARAMETER_GOAL
    return goals


def large_states(field: Field) -> frozenset[str]:
    """Return the states of blocks that are kept in float32."""
    return frozenset(placed.predictor.name(f"{kind}_{placed.block.name}") for placed in field.placed for kind in ("z", "effect")
                     if len(placed.block.levels) * len(placed.block.effects) > SINGLE_FROM)
