"""Full-rank variational inference in transported coordinates: the nearest normal distribution with correlations.

The random numbers are fixed, and the ELBO has an upper bound only where their pairs outnumber the coordinates: with 30 numbers
in 90 dimensions an sd ran to 1,457 times its value. So up to `MOST_DENSE` coordinates all are correlated, with four numbers for
each; beyond, hyperparameters, intercepts and coefficients are, and the levels of groups stay independent given the transport.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bayesglm.engines.advi import ADVI, few_coordinates
from bayesglm.engines.approximation import Plan
from bayesglm.engines.structured import Prepared
from bayesglm.errors import EngineError

MOST_DENSE = 150
POINTS_EACH = 4  # twice as many pairs as coordinates


@dataclass(frozen=True, slots=True)
class FullRankADVI(ADVI):
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

    name: ClassVar[str] = "fullrank_advi"

    def plan(self, prepared: Prepared) -> Plan:
        """Return how the ELBO is climbed: all coordinates correlated, or those that many depend on."""
        size, few = prepared.transported.size, few_coordinates(prepared.transported.posterior.field)
        block = np.arange(size) if size <= MOST_DENSE else few
        if len(block) > MOST_DENSE:
            raise EngineError(f"{len(block)} hyperparameters and coefficients", value=len(block),
                              rule=f"fullrank_advi correlates at most {MOST_DENSE} of them",
                              fix="Use engine='advi', whose coordinates are correlated by the transport.")
        points = max(self.points + self.points % 2, POINTS_EACH * len(block))
        return Plan(block, block, points, self.iterations, self.starts)


MEMBER = FullRankADVI()
