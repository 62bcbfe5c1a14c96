"""Engines: how a posterior is drawn."""

from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.nuts import Nuts
from bayesglm.engines.pymc import PyMC

__all__ = ["Engine", "Nuts", "PyMC", "Run"]
