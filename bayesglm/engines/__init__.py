"""Engines: how a posterior is drawn."""

from bayesglm.engines.advi import ADVI
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.fullrank_advi import FullRankADVI
from bayesglm.engines.laplace import Laplace
from bayesglm.engines.map import MAP
from bayesglm.engines.nuts import Nuts
from bayesglm.engines.pymc import PyMC
from bayesglm.engines.pymc_advi import PyMCADVI

__all__ = ["ADVI", "MAP", "Engine", "FullRankADVI", "Laplace", "Nuts", "PyMC", "PyMCADVI", "Run"]
