"""Honest uncertainty about counts, rates and failures: hierarchical models of a table, checked and reported.

>>> import bayesglm as bg
>>> bg.load_dataset("pump_failures").shape[0]
10
"""

from bayesglm import datasets, engines, families, plots, priors
from bayesglm.datasets import load_dataset
from bayesglm.errors import BayesGLMError
from bayesglm.facade import Fit, Model, load
from bayesglm.mixtures import Mixture, MixtureFit
from bayesglm.unstructured import sample

__version__ = "0.1.0"
__all__ = ["BayesGLMError", "Fit", "Mixture", "MixtureFit", "Model", "__version__", "datasets", "engines", "families", "load",
           "load_dataset", "plots", "priors", "sample"]
