"""No-U-Turn sampling by nutpie in transported coordinates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from bayesglm.engines.continuation import Continuation, continuation, restored, starts_of, transport_of
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.identity import identity_of
from bayesglm.engines.laps import Laps, laps
from bayesglm.engines.sampling import Adaptation, Target, sample
from bayesglm.engines.structured import Prepared, prepare
from bayesglm.errors import EngineError, suggestion
from bayesglm.latent.density import Transported
from bayesglm.latent.hyper import SIGNED
from bayesglm.specification import Problem

FORMS = ("diag", "low_rank")
MOST_WALLED, NEAR_WALL = 12, 2 / 3  # levels, and the share of that distance from 0 which a steep lower end takes
TUNE = 100  # warm-up draws of a target near a standard normal
# Steps that are accepted with 0.8 become so short, of many coordinates, that a trajectory of the next power of two is far longer
# than half a turn: with 5,000 coordinates 0.65 takes 8 evaluations a draw instead of 14 for the same effective size.
ACCEPT, ACCEPT_AT_WALL, ACCEPT_OF_MANY, MANY = 0.8, 0.9, 0.65, 1_000


@dataclass(frozen=True, slots=True)
class Nuts(Engine):
    """The No-U-Turn sampler.

    Parameters
    ----------
    draws : int, optional
        Kept draws of each chain. By default as many blocks of 250 as it takes for 1,000 effective draws, bulk and tail, of every
        parameter and 400 of every effect of a group, curve or walk, with R-hat near 1, and for 5% and 95% quantiles of all of
        them that are known within 0.1 robust sds; at most ``most_draws``.
    tune : int, optional
        Warm-up draws of each chain; by default 100, and 50 where chains continue those of a store.
    chains : int
        Number of chains.
    cores : int, optional
        Chains that run at the same time; by default as many as there are cores.
    target_accept : float, optional
        Mean acceptance the step size aims at; by default 0.8, or 0.65 from 1,000 coordinates on, where shorter steps take up to
        twice the evaluations for the same effective size, and 0.9 where a few levels are so well known that their sd has a steep
        lower end. Raise it towards 1 when there are divergences.
    adaptation : {"diag", "low_rank"}
        Form of the mass matrix.
    max_treedepth : int
        Most doublings of a trajectory.
    most_draws : int
        Where to stop if the goals are not met.
    max_seconds : float, optional
        When to stop sampling with the draws that all chains have; the fit says that it is incomplete.
    store : str, optional
        Directory, ``"draws.zarr"``, to which draws are written as they come; what a killed process wrote can be read. Where it
        holds a run of the same model and data, this one continues it, with a seed of its own and as a run of its own: its chains
        begin at the stored last draws, with the stored transport and step size. See `bayesglm.engines.store`.

    Examples
    --------
    >>> Nuts(draws=2000).settings()["draws"]
    2000
    """

    draws: int | None = None
    tune: int | None = None
    chains: int = 4
    cores: int | None = None
    target_accept: float | None = None
    adaptation: Literal["diag", "low_rank"] = "diag"
    max_treedepth: int = 10
    most_draws: int = 5_000
    max_seconds: float | None = None
    store: str | None = None
    name: ClassVar[str] = "nuts"
    source: ClassVar[str] = "Hoffman and Gelman (2014), Journal of Machine Learning Research 15, 1593"

    def __post_init__(self) -> None:
        """Hold the settings to their rules."""
        Engine.__post_init__(self)
        if self.adaptation not in FORMS:
            raise EngineError(f"adaptation={self.adaptation!r}", column="adaptation", value=self.adaptation,
                              rule=f"adaptation is one of {', '.join(FORMS)}", fix=suggestion(self.adaptation, FORMS))
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise EngineError(f"max_seconds={self.max_seconds!r}", column="max_seconds", value=self.max_seconds,
                              rule="max_seconds is above 0", fix="Leave it out for no limit.")
        if self.store is not None:
            object.__setattr__(self, "store", os.fspath(self.store))  # settings are texts and numbers

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the posterior; see `Engine.run`."""
        prepared, before = self._prepared(problem, seed)
        with laps(prepared.seconds) as clock:
            target = prepared.target(starts_of(prepared.transported, before, chains=self.chains, seed=seed))
            return self._transported(prepared, before, target, clock, seed=seed, progress=progress)

    def _prepared(self, problem: Problem, seed: int) -> tuple[Prepared, Continuation | None]:
        """Return a problem ready to be sampled, by the transport in the store if there is one, and what else is there."""
        if self.store is None:
            return prepare(problem, seed=seed), None
        before = continuation(self.store, identity_of(problem, self.name), seed=seed, chains=self.chains)
        return prepare(problem, seed=seed) if before.state is None else restored(problem, before.state), before

    def _transported(
        self, prepared: Prepared, before: Continuation | None, target: Target, clock: Laps, *, seed: int, progress: bool,
    ) -> Run:
        """Draw from a target in transported coordinates."""
        accept = acceptance(prepared.transported)
        adaptation = Adaptation(tune=self.tune or TUNE, form=self.adaptation, target_accept=self.target_accept or accept,
                                initial_step=0.5, max_treedepth=self.max_treedepth)
        store = None
        if before is not None:
            adaptation = before.adaptation(adaptation, self.tune)
            store = before.begin(target, seed=seed, adaptation=adaptation, transport=transport_of(prepared))
        sampled = sample(target, seed=seed, adaptation=adaptation, draws=self.draws, most_draws=self.most_draws, cores=self.cores,
                         max_seconds=self.max_seconds, progress=progress, store=store)
        clock.end("sample")
        notes = (*prepared.notes, *(() if before is None else before.notes), *sampled.notes)
        return Run(sampled.tree(target), clock.seconds, sampled.complete, notes, modes=prepared.modes)


def acceptance(transported: Transported) -> float:
    """Return the mean acceptance that the step size aims at."""
    if walled(transported):
        return ACCEPT_AT_WALL
    return ACCEPT_OF_MANY if transported.size >= MANY else ACCEPT


def walled(transported: Transported) -> bool:
    """Return whether a few levels are so well known that the posterior of their sd rises from 0 as from a wall.

    If n levels were known exactly, the sd s would have a density of s^-n exp(-c / s^2), whose mode is sqrt(2 n) sds from 0.
    On 8 groups of 200 large counts a step size for an acceptance of 0.8 gave some divergences with 6 of 8 seeds, 0.9 with none.
    """
    field, reference = transported.posterior.field, transported.reference
    distance = np.abs(reference.t) / np.sqrt((reference.turn**2).sum(axis=1))
    return any(
        len(placed.block.levels) <= MOST_WALLED and distance[k] >= NEAR_WALL * np.sqrt(2 * len(placed.block.levels))
        for placed in field.placed for k in placed.sd if field.hyper.way[k] == SIGNED)


MEMBER = Nuts()
