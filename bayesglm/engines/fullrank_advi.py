"""Full-rank variational inference in transported coordinates: the nearest normal distribution with correlations.

The random numbers are fixed, and the ELBO has an upper bound only where their pairs outnumber the coordinates: with 30 numbers
in 90 dimensions an sd ran to 1,457 times its value. So up to `MOST_DENSE` coordinates all are correlated, with four numbers for
each; beyond, hyperparameters, intercepts and coefficients are, and the levels of groups stay independent given the transport.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bayesglm.engines.advi import few_coordinates, fitted, hold
from bayesglm.engines.approximation import Plan
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.structured import prepare
from bayesglm.errors import EngineError
from bayesglm.latent.layout import reason_against
from bayesglm.specification import Problem

MOST_DENSE = 150
POINTS_EACH = 4  # twice as many pairs as coordinates


@dataclass(frozen=True, slots=True)
class FullRankADVI(Engine):
    """The nearest normal distribution with correlated coordinates, corrected by importance weights.

    Parameters
    ----------
    draws, chains, points, iterations, starts, proposals, cores
        As in `bayesglm.engines.ADVI`; there are at least four points for every coordinate that is correlated.

    Examples
    --------
    >>> FullRankADVI().name
    'fullrank_advi'
    """

    draws: int = 250
    chains: int = 4
    points: int = 100
    iterations: int = 200
    starts: int = 2
    proposals: int = 4_000
    cores: int | None = None
    name: ClassVar[str] = "fullrank_advi"
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
        size, few = prepared.transported.size, few_coordinates(prepared.transported.posterior.field)
        block = np.arange(size) if size <= MOST_DENSE else few
        if len(block) > MOST_DENSE:
            raise EngineError(f"{len(block)} hyperparameters and coefficients", value=len(block),
                              rule=f"fullrank_advi correlates at most {MOST_DENSE} of them",
                              fix="Use engine='advi', whose coordinates are correlated by the transport.")
        points = max(self.points + self.points % 2, POINTS_EACH * len(block))
        plan = Plan(block, block, points, self.iterations, self.starts)
        return fitted(prepared, plan, draws=self.draws, chains=self.chains, proposals=self.proposals, seed=seed, cores=self.cores)


MEMBER = FullRankADVI()
