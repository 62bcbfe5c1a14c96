"""Engines: how a posterior is drawn."""

from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.laplace import Laplace
from bayesglm.engines.nuts import Nuts
from bayesglm.engines.pymc import PyMC

__all__ = ["Engine", "Laplace", "Nuts", "PyMC", "Run"]
