"""Engines: how a posterior is drawn."""

from bayesglm.engines.advi import ADVI
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.fullrank_advi import FullRankADVI
from bayesglm.engines.jax import JAX
from bayesglm.engines.laplace import Laplace
from bayesglm.engines.map import MAP
from bayesglm.engines.minibatch_advi import MinibatchADVI
from bayesglm.engines.nuts import Nuts
from bayesglm.engines.pymc import PyMC
from bayesglm.engines.pymc_advi import PyMCADVI

__all__ = ["ADVI", "JAX", "MAP", "Engine", "FullRankADVI", "Laplace", "MinibatchADVI", "Nuts", "PyMC", "PyMCADVI", "Run"]
