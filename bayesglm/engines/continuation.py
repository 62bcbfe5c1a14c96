"""Continuation: what a new run takes over from the run before it in its store.

    the run before has            the new one takes over
    draws                         transport, step size, form of the mass matrix, and the last draws, where its chains begin
    none, ended in its warm-up    transport; its chains begin overdispersed, as those of a first run

Chains that have draws are past their warm-up, and go on from where their next draw would have come from. What else a warm-up
finds is handed on as far as nutpie takes it: it is given a step size to begin with, but no mass matrix. That is found again, in
a warm-up half as long, which need not wait for chains to come from far away. Its draws are not kept: while step size and mass
matrix follow the draws, these need not be of the posterior.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.identity import difference
from bayesglm.engines.laps import laps
from bayesglm.engines.store import DrawStore, State, create, hold_seed, holds_something, read_state, run_names
from bayesglm.engines.structured import InCoordinates, Prepared, overdispersed
from bayesglm.engines.target import Adaptation, Target
from bayesglm.errors import EngineError
from bayesglm.latent.density import Transported
from bayesglm.latent.layout import Field, field_of
from bayesglm.latent.likelihood import compile_likelihood
from bayesglm.latent.mode import Posterior
from bayesglm.latent.transport import Reference
from bayesglm.specification import Problem

Array = NDArray[np.float64]
# Of the warm-up of a first run. On 2,000 negative binomial rows in 40 groups, chains that go on have 84 effective draws per 1,000
# evaluations after 50 draws of warm-up, 71 after 25 and 60 after 10, where a first run after 100 has 86; on a hierarchy that is
# sampled as PyMC compiles it, 59 after 200, 47 after 100 and 24 after 50, where a first run after 400 has 52.
SHARE = 0.5
RELATIVE, ABSOLUTE = 1e-9, 1e-6  # how well the log density of stored draws is known again


@dataclass(frozen=True, slots=True, eq=False)
class Continuation:
    """A store that a run is written to, and where the run before stood.

    Attributes
    ----------
    path : str or Path
        The store.
    model : mapping
        What is to be sampled, see `bayesglm.engines.identity`.
    state : State, optional
        Where the run before stood; None in a new directory.
    """

    path: str | Path
    model: Mapping[str, str]
    state: State | None

    @property
    def warm(self) -> State | None:
        """Where chains go on; None where they have to begin from the start."""
        return self.state if self.state is not None and self.state.draws else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of where the run began."""
        if self.state is None:
            return ()
        where, transport = f"{self.state.run} of {self.state.path!r}", "transport and " if self.state.transport else ""
        if self.warm is None:
            return (f"it comes after {where}, which ended in its warm-up: its chains began as those of a first run"
                    f"{', with the stored transport' if transport else ''}",)
        return (f"it continues {where}: its chains began at the last of {self.state.draws:,} draws each, so not overdispersed, "
                f"with the stored {transport}step size; bayesglm.engines.store.read_runs joins the runs",)

    def adaptation(self, first: Adaptation, tune: int | None) -> Adaptation:
        """Return the warm-up for that of a first run: half as long, unless its length is given, from the stored step size."""
        if self.warm is None:
            return first
        return replace(first, tune=tune or round(SHARE * first.tune), initial_step=float(np.median(self.warm.step_size)))

    def begin(
        self, target: Target, *, seed: int, adaptation: Adaptation | Sequence[Adaptation],
        transport: Mapping[str, NDArray[Any]] | None = None,
    ) -> DrawStore:
        """Begin the run in the store, see `bayesglm.engines.store.create`."""
        return create(self.path, target, seed=seed, adaptation=adaptation, transport=transport, model=self.model,
                      continues="" if self.state is None else self.state.run)


def continuation(path: str | Path, model: Mapping[str, str], *, seed: int, chains: int) -> Continuation:
    """Return what a run takes over from the store it is written to.

    Parameters
    ----------
    path : str or Path
        The store.
    model : mapping
        What is to be sampled, see `bayesglm.engines.identity`.
    seed : int
        Of the new run.
    chains : int
        Its chains.

    Raises
    ------
    EngineError
        The store is of another model or other data, has draws of this seed or of another number of chains, or is none.
    """
    if not holds_something(path) or not run_names(path):
        return Continuation(path, model, None)
    state = read_state(path)
    found = difference(state.model, model)
    if found:
        raise EngineError(f"{state.run} of {str(path)!r} is not of this model and data: {found}", column="store", value=str(path),
                          rule="all runs of a store are of one model and the same data, and a new run continues the last one",
                          fix="Give a directory that does not exist, or the model and data of the store.")
    hold_seed(path, seed)
    if state.draws and len(state.last) != chains:
        raise EngineError(f"{state.run} of {str(path)!r} has {len(state.last)} chains, not {chains}", column="chains",
                          value=chains, rule="each chain of a continued run begins where one of the run before ended",
                          fix=f"Give chains={len(state.last)}, or a directory that does not exist.")
    return Continuation(path, model, state)


def last_draws(state: State, density: Callable[[Array], tuple[float, Array]]) -> Array:
    """Return where the stored chains stood, shape (chain, size), if the density there is what it was.

    Raises
    ------
    EngineError
        The log density is another one.
    """
    found = np.array([density(each)[0] for each in state.last])
    wrong = ~np.isclose(found, state.log_density, rtol=RELATIVE, atol=ABSOLUTE)
    if wrong.any():
        chain = int(np.argmax(wrong))
        raise EngineError(f"the log density of the last draw of chain {chain} in {state.run} of {state.path!r} is "
                          f"{found[chain]:.10g} here and was {state.log_density[chain]:.10g}", column="store", value=state.path,
                          rule="chains go on in the density that they began in",
                          fix="Give a directory that does not exist; the model, its data or a library is not what it was.")
    return state.last


def starts_of(transported: InCoordinates, before: Continuation | None, *, chains: int, seed: int) -> Array:
    """Return where chains begin in transported coordinates, shape (chain, size)."""
    if before is not None and before.warm is not None:
        return last_draws(before.warm, transported)
    return overdispersed(transported, chains=chains, seed=seed)


def transport_of(prepared: Prepared) -> dict[str, NDArray[Any]]:
    """Return what `restored` needs of a problem that was prepared."""
    found = {"modes": np.array(prepared.modes), "definite": np.array(prepared.definite)}
    return {**prepared.transported.reference._asdict(), **found}


def restored(problem: Problem, state: State) -> Prepared:
    """Return a problem ready to be sampled with a stored transport: no mode is searched, and what was found is said again.

    Raises
    ------
    EngineError
        The transport is of another layout.
    """
    with laps() as clock:
        posterior = Posterior(field_of(problem), compile_likelihood(problem))
        stored = dict(state.transport)
        modes, definite = int(stored.pop("modes")), bool(stored.pop("definite"))
        expected = _shapes(posterior.field)
        found = {name: np.shape(values) for name, values in stored.items()}
        if found != expected:
            raise EngineError(f"the transport of {state.run} of {state.path!r} has the shapes {found}", column="store",
                              value=state.path, rule=f"here they are {expected}",
                              fix="Give a directory that does not exist; another version of the package wrote this one.")
        reference = Reference(**{name: np.ascontiguousarray(values) for name, values in stored.items()})
        clock.end("mode")
    return Prepared(Transported(posterior, reference), modes, definite, clock.seconds)


def _shapes(field: Field) -> dict[str, tuple[int, ...]]:
    """Return the shapes of `Reference`; compiled code does not look at them again."""
    layout = field.layout
    theta, wide, size, constants = field.hyper.size, len(layout.columns), len(layout.start) - 1, len(layout.constant_theta)
    return {"sparse": (len(layout.row),), "cross": (size, wide), "core": (wide, wide), "b_sparse": (size,), "b_core": (wide,),
            "d_sparse": (constants, size), "d_core": (constants, wide), "t": (theta,), "turn": (theta, theta)}
