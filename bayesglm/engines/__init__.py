"""Engines: how a posterior is drawn."""

from bayesglm.engines.advi import ADVI
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.fullrank_advi import FullRankADVI
from bayesglm.engines.laplace import Laplace
from bayesglm.engines.nuts import Nuts
from bayesglm.engines.pymc import PyMC

__all__ = ["ADVI", "Engine", "FullRankADVI", "Laplace", "Nuts", "PyMC", "Run"]
