"""No-U-Turn sampling by nutpie: in transported coordinates where the model has the structure for it, else as PyMC writes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.density import compile_density
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.plain import flat_starts, plain_target
from bayesglm.engines.sampling import Adaptation, Sampled, Target, sample
from bayesglm.engines.store import create
from bayesglm.engines.structured import Prepared, goals_of, overdispersed, prepare
from bayesglm.errors import EngineError, suggestion
from bayesglm.latent.density import Transported
from bayesglm.latent.hyper import SIGNED
from bayesglm.latent.layout import reason_against
from bayesglm.model import build
from bayesglm.specification import Problem, starting_values

Array = NDArray[np.float64]
FORMS = ("auto", "diag", "low_rank")
MOST_WALLED, NEAR_WALL = 12, 2 / 3  # levels, and the share of that distance from 0 which a steep lower end takes
SHORT, LONG = 100, 800  # warm-up draws of a target near a standard normal, and of any other


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
        Warm-up draws of each chain; by default 100 in transported coordinates and 800 on any other density.
    chains : int
        Number of chains.
    cores : int, optional
        Chains that run at the same time; by default as many as there are cores.
    target_accept : float, optional
        Mean acceptance the step size aims at; by default 0.8 in transported coordinates, 0.9 where a few levels are so well known
        that their sd has a steep lower end, and on any other density. Raise it towards 1 when there are divergences.
    adaptation : {"auto", "diag", "low_rank"}
        Form of the mass matrix. "auto" is diagonal in transported coordinates; elsewhere both are tried and the one is kept whose
        draws are worth more per evaluation.
    max_treedepth : int
        Most doublings of a trajectory.
    most_draws : int
        Where to stop if the goals are not met.
    max_seconds : float, optional
        When to stop sampling with the draws that all chains have; the fit says that it is incomplete.
    store : str, optional
        Directory, ``"draws.zarr"``, to which draws are written as they come; what a killed process wrote can be read.

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
    adaptation: Literal["auto", "diag", "low_rank"] = "auto"
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

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the posterior; see `Engine.run`."""
        reason = reason_against(problem)
        if reason:
            return self._plain(problem, seed=seed, progress=progress, reason=reason)
        prepared = prepare(problem, seed=seed)
        target = prepared.target(overdispersed(prepared.transported, chains=self.chains, seed=seed))
        return self._transported(prepared, target, seed=seed, progress=progress)

    def _transported(self, prepared: Prepared, target: Target, *, seed: int, progress: bool) -> Run:
        """Draw from a target in transported coordinates."""
        accept = 0.9 if walled(prepared.transported) else 0.8
        sampled = self._sample(target, self._forms(SHORT, accept, 0.5, "diag"), seed=seed, progress=progress,
                               transport=prepared.transported.reference._asdict())
        return Run(sampled.tree(target), {**prepared.seconds, "sample": sampled.seconds}, sampled.complete,
                   (*prepared.notes, *sampled.notes), modes=prepared.modes)

    def _plain(self, problem: Problem, *, seed: int, progress: bool, reason: str) -> Run:
        """Draw from the model as PyMC writes it."""
        begin = time.perf_counter()
        density = compile_density(build(problem, over="cell"))
        starts = flat_starts(density, starting_values(problem), chains=self.chains, seed=seed)
        target = plain_target(density, starts, goals_of(problem.specification))
        compiled = time.perf_counter() - begin
        sampled = self._sample(target, self._forms(LONG, 0.9, 0.1, None), seed=seed, progress=progress)
        notes = (f"sampled without transport: {reason}", *sampled.notes)
        return Run(sampled.tree(target), {"compile": compiled, "sample": sampled.seconds}, sampled.complete, notes)

    def _forms(self, tune: int, accept: float, step: float, form: Literal["diag"] | None) -> tuple[Adaptation, ...]:
        """Return the adaptations that are tried."""
        chosen: tuple[Literal["diag", "low_rank"], ...] = (form,) if form else ("low_rank", "diag")
        if self.adaptation != "auto":
            chosen = (self.adaptation,)
        return tuple(
            Adaptation(tune=self.tune or tune, form=each, target_accept=self.target_accept or accept, initial_step=step,
                       max_treedepth=self.max_treedepth) for each in chosen)

    def _sample(
        self, target: Target, forms: tuple[Adaptation, ...], *, seed: int, progress: bool,
        transport: Mapping[str, Array] | None = None,
    ) -> Sampled:
        store = None if self.store is None else create(self.store, target, seed=seed, adaptation=forms[0], transport=transport)
        return sample(target, seed=seed, adaptation=forms if len(forms) > 1 else forms[0], draws=self.draws,
                      most_draws=self.most_draws, cores=self.cores, max_seconds=self.max_seconds, progress=progress, store=store)


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
