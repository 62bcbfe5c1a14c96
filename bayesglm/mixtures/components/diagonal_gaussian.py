"""Gaussian with independent columns and normal-gamma priors.

tau_j ~ Gamma(shape, rate_j),   mu_j | tau_j ~ Normal(mean_j, 1 / (kappa tau_j)),   x_j ~ Normal(mu_j, 1 / tau_j)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from bayesglm.mixtures.component import Array, Component, Drawn, Layout, Params, describe_numbers
from bayesglm.mixtures.components.gaussian import KAPPA, WITHIN, check_spread

_SHAPE = 1.5  # the marginal of the full covariance's prior


def _prior(data: Array, levels: int) -> Params:  # noqa: ARG001 - the contract's
    return {"mean": data.mean(axis=0)[None], "kappa": np.array([KAPPA]), "shape": np.array([_SHAPE]),
            "rate": WITHIN / 2 * data.var(axis=0)[None]}


def _update(prior: Params, counts: Array, sums: Array) -> Params:
    size = prior["mean"].shape[1]
    m0, k0 = prior["mean"], prior["kappa"]
    kappa = k0 + counts
    mean = (k0 * m0 + sums[:, :size]) / kappa[:, None]
    rate = prior["rate"] + 0.5 * (k0 * m0**2 + sums[:, size:] - kappa[:, None] * mean**2)
    return {"mean": mean, "kappa": kappa, "shape": prior["shape"] + counts / 2, "rate": rate}


def _natural(params: Params) -> tuple[Array, Array]:
    mean, shape, rate = params["mean"], params["shape"][:, None], params["rate"]
    precision, log_precision = shape / rate, digamma(shape) - np.log(rate)
    each = log_precision - np.log(2 * np.pi) - 1 / params["kappa"][:, None] - precision * mean**2
    return 0.5 * each.sum(axis=1), np.hstack([precision * mean, -0.5 * precision])


def _divergence(prior: Params, params: Params) -> Array:
    k0, kappa = prior["kappa"][:, None], params["kappa"][:, None]
    a0, a, b0, b = prior["shape"][:, None], params["shape"][:, None], prior["rate"], params["rate"]
    of_mean = 0.5 * (k0 / kappa - 1 + np.log(kappa / k0) + k0 * a / b * (params["mean"] - prior["mean"]) ** 2)
    of_precision = (a - a0) * digamma(a) - gammaln(a) + gammaln(a0) + a0 * np.log(b / b0) + a * (b0 / b - 1)
    return np.asarray((of_mean + of_precision).sum(axis=1))


def _scale(params: Params) -> Array:
    widen = (params["kappa"] + 1) / (params["kappa"] * params["shape"])
    return np.asarray(np.sqrt(params["rate"] * widen[:, None]))


def _predictive(params: Params, data: Array) -> Array:
    df, scale = 2 * params["shape"], _scale(params)
    found = np.empty((len(data), len(df)))
    for k, nu in enumerate(df):
        z = (data - params["mean"][k]) / scale[k]
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(scale[k])
        found[:, k] = (constant - (nu + 1) / 2 * np.log1p(z**2 / nu)).sum(axis=1)
    return found


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array,  # noqa: ARG001 - the contract's
              rng: np.random.Generator) -> Array:
    shape = (len(labels), params["mean"].shape[1])
    return np.asarray(params["mean"][labels] + _scale(params)[labels]
                      * rng.standard_t(2 * params["shape"][labels][:, None], shape))


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    shape = (size, *params["mean"].shape)
    precision = rng.gamma(params["shape"][:, None], size=shape) / params["rate"]
    mean = params["mean"] + rng.standard_normal(shape) / np.sqrt(params["kappa"][:, None] * precision)
    return (Drawn("mean", {"feature": layout.names}, layout.center + layout.scale * mean),
            Drawn("sd", {"feature": layout.names}, layout.scale / np.sqrt(precision)))


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    return describe_numbers(params["mean"], params["rate"] / (params["shape"] - 1)[:, None], layout)


MEMBER = Component(
    name="diagonal_gaussian", label="Gaussian with independent columns", kinds=("numeric",), joint=True, scaled=True,
    check=check_spread, prior=_prior, coordinates=lambda data, levels: data,
    features=lambda data, levels: np.hstack([data, data**2]), base=lambda data: np.zeros(len(data)), update=_update,
    natural=_natural, divergence=_divergence, predictive=_predictive, simulate=_simulate, draw=_draw, describe=_describe,
    parameters=lambda size, levels, components: components * (2 * size),
    source="Bernardo and Smith (2000), Bayesian Theory, appendix A",
)
