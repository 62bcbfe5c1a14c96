"""Mixtures: which kinds of rows a table holds, what each looks like, and which rows are like none of them."""

from bayesglm.mixtures.fit import MixtureFit
from bayesglm.mixtures.mixture import Mixture

__all__ = ["Mixture", "MixtureFit"]
