"""Mixtures: which kinds of rows a table holds, what each looks like, and which rows are like none of them."""

from bayesglm.mixtures.fit import MixtureFit
from bayesglm.mixtures.injection import inject
from bayesglm.mixtures.mixture import Mixture
from bayesglm.mixtures.pooling import compare_pooling
from bayesglm.mixtures.scorer.transforms import Transform
from bayesglm.mixtures.sizes import compare_sizes
from bayesglm.mixtures.windows import lag_windows

__all__ = ["Mixture", "MixtureFit", "Transform", "compare_pooling", "compare_sizes", "inject", "lag_windows"]
