"""Mean-field variational inference in transported coordinates: seconds for an approximation that is corrected and judged.

Independent normal coordinates q are, by the transport, correlated parameters of the model: group effects know their scale, and
the intercept its ridge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.approximation import Plan, Returned, compiled, corrected, nearest, trace, tree
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.laps import laps
from bayesglm.engines.structured import Prepared, prepare
from bayesglm.latent.layout import Field, reason_against
from bayesglm.specification import Problem

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ADVI(Engine):
    """The nearest normal distribution with independent coordinates, corrected by importance weights.

    Parameters
    ----------
    draws : int, optional
        Draws of each chain; all are independent of each other. By default 250, and more, in steps of 250, where 5% and 95%
        quantiles would else not be known within 0.1 robust sds.
    chains : int
        Draws come as so many chains, as tools expect them.
    points : int
        Random numbers of each coordinate, drawn once, in pairs of opposite sign with matched second moments. The random error of
        an sd is at most 1 / sqrt(2 points) of it, 7 % at 100, before the correction.
    iterations : int
        Most steps of a climb of the ELBO; ten are usual, and a climb that needs more than these has not converged.
    starts : int
        Climbs of the ELBO, the first from the mode, the others from overdispersed starts. If none converges, it is climbed twice
        more with new numbers, twice as many each time.
    proposals : int
        Most draws of the approximation that are weighted by the exact posterior: 4,000, or as many more as quantiles take.
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

    draws: int | None = None
    chains: int = 4
    points: int = 100
    iterations: int = 200
    starts: int = 2
    proposals: int = 20_000
    cores: int | None = None
    name: ClassVar[str] = "advi"
    exact: ClassVar[bool] = False
    kind: ClassVar[str] = "variational"
    stats: ClassVar[tuple[str, ...]] = ("lp",)
    source: ClassVar[str] = (
        "Kucukelbir et al. (2017), Journal of Machine Learning Research 18(14); Giordano, Ingram and Broderick (2024), Journal "
        "of Machine Learning Research 25(18)")

    def reason_against(self, problem: Problem) -> str:
        """Return why the engine cannot fit this problem; see `Engine.reason_against`."""
        return reason_against(problem)

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the approximation; see `Engine.run`."""
        del progress
        prepared = prepare(problem, seed=seed)
        with laps(prepared.seconds) as clock:
            density = compiled(prepared)
            clock.end("compile")
            found = nearest(prepared, density, self.plan(prepared), seed=seed, cores=self.cores)
            clock.end("optimise")
            drawn = corrected(prepared, density, found, returned=Returned.of(self.draws, self.chains, self.proposals),
                              proposals=self.proposals, seed=seed, cores=self.cores)
            clock.end("sample")
            draws = tree(prepared, drawn, chains=self.chains)
            draws["elbo"] = trace(found.climbs)
            clock.end("expand")
        return Run(draws, clock.seconds, notes=(*prepared.notes, *found.notes), verdict=drawn.verdict, modes=prepared.modes)

    def plan(self, prepared: Prepared) -> Plan:
        """Return how the ELBO is climbed: no coordinate correlated, and the few that many depend on drawn without covariance."""
        few = few_coordinates(prepared.transported.posterior.field)
        joint = few if 4 * len(few) <= self.points else few[:0]
        return Plan(few[:0], joint, self.points + self.points % 2, self.iterations, self.starts)


def few_coordinates(field: Field) -> Index:
    """Return the coordinates of hyperparameters and core: those that many others depend on."""
    theta, wide, size = field.sizes
    return np.concatenate([np.arange(theta), np.arange(theta + size, theta + size + wide)])


MEMBER = ADVI()
