"""Mixtures: which kinds of rows a table holds, what each looks like, and which rows are like none of them."""

from bayesglm.mixtures.mixture import Mixture, MixtureFit

__all__ = ["Mixture", "MixtureFit"]
