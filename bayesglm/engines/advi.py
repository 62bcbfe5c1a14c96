"""Mean-field variational inference in transported coordinates: seconds for an approximation that is corrected and judged.

Independent normal coordinates q are, by the transport, correlated parameters of the model: group effects know their scale, and
the intercept its ridge.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.approximation import Plan, compiled, corrected, nearest, trace, tree
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.structured import Prepared, prepare
from bayesglm.errors import EngineError
from bayesglm.latent.layout import Field, reason_against
from bayesglm.specification import Problem

Index = NDArray[np.int64]
LEAST = {"points": 20, "iterations": 1, "starts": 1, "proposals": 1_000}


@dataclass(frozen=True, slots=True)
class ADVI(Engine):
    """The nearest normal distribution with independent coordinates, corrected by importance weights.

    Parameters
    ----------
    draws, chains : int
        Draws come as so many chains of so many draws each, as tools expect them; all are independent of each other.
    points : int
        Random numbers of each coordinate, drawn once, in pairs of opposite sign with matched second moments. The random error of
        an sd is at most 1 / sqrt(2 points) of it, 7 % at 100, before the correction.
    iterations : int
        Most steps of a climb of the ELBO; ten are usual, and a climb that needs more than these has not converged.
    starts : int
        Climbs of the ELBO, the first from the mode, the others from overdispersed starts. If none converges, it is climbed twice
        more with new numbers, twice as many each time.
    proposals : int
        Draws of the approximation that are weighted by the exact posterior.
    cores : int, optional
        Threads; by default as many as there are cores. They change no number.

    Notes
    -----
    The draws have a group ``elbo``: the ELBO of every climb by step, and whether it converged.

    Examples
    --------
    >>> ADVI(points=400).settings()["points"]
    400
    """

    draws: int = 250
    chains: int = 4
    points: int = 100
    iterations: int = 200
    starts: int = 2
    proposals: int = 4_000
    cores: int | None = None
    name: ClassVar[str] = "advi"
    exact: ClassVar[bool] = False
    stats: ClassVar[tuple[str, ...]] = ("lp",)
    source: ClassVar[str] = (
        "Kucukelbir et al. (2017), Journal of Machine Learning Research 18(14); Giordano, Ingram and Broderick (2024), Journal "
        "of Machine Learning Research 25(18)")

    def __post_init__(self) -> None:
        """Hold the settings to their rules."""
        Engine.__post_init__(self)
        hold(self)

    def reason_against(self, problem: Problem) -> str:
        """Return why the engine cannot fit this problem; see `Engine.reason_against`."""
        return reason_against(problem)

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the approximation; see `Engine.run`."""
        del progress
        prepared = prepare(problem, seed=seed)
        few = few_coordinates(prepared.transported.posterior.field)
        joint = few if 4 * len(few) <= self.points else few[:0]
        plan = Plan(few[:0], joint, self.points + self.points % 2, self.iterations, self.starts)
        return fitted(prepared, plan, draws=self.draws, chains=self.chains, proposals=self.proposals, seed=seed, cores=self.cores)


def hold(engine: Engine) -> None:
    """Hold the settings of a variational engine to their rules.

    Raises
    ------
    EngineError
        A setting is no whole number, or below the least that makes sense.
    """
    names = {each.name for each in fields(engine)}
    for name, least in LEAST.items():
        if name not in names:
            continue
        value = getattr(engine, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise EngineError(f"{name}={value!r}", column=name, value=value, rule=f"{name} is a whole number, at least {least}",
                              fix=f"Give {name} >= {least}.")


def few_coordinates(field: Field) -> Index:
    """Return the coordinates of hyperparameters and core: those that many others depend on."""
    theta, wide, size = field.sizes
    return np.concatenate([np.arange(theta), np.arange(theta + size, theta + size + wide)])


def fitted(prepared: Prepared, plan: Plan, *, draws: int, chains: int, proposals: int, seed: int, cores: int | None) -> Run:
    """Return the run of a variational engine."""
    begin = time.perf_counter()
    density = compiled(prepared)
    bound = time.perf_counter()
    found = nearest(prepared, density, plan, seed=seed, cores=cores)
    climbed = time.perf_counter()
    drawn = corrected(prepared, density, found, wanted=draws * chains, proposals=proposals, seed=seed, cores=cores)
    sampled = time.perf_counter()
    draws_tree = tree(prepared, drawn, chains=chains)
    draws_tree["elbo"] = trace(found.climbs)
    seconds = {**prepared.seconds, "compile": prepared.seconds["compile"] + bound - begin, "optimise": climbed - bound,
               "sample": sampled - climbed, "expand": time.perf_counter() - sampled}
    return Run(draws_tree, seconds, notes=(*prepared.notes, *found.notes), verdict=drawn.verdict, modes=prepared.modes)


MEMBER = ADVI()
