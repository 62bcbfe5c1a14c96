"""Gaussian with independent columns and normal-gamma priors.

tau_j ~ Gamma(shape, rate_j),   mu_j | tau_j ~ Normal(mean_j, 1 / (kappa tau_j)),   x_j ~ Normal(mu_j, 1 / tau_j)

A missing value adds nothing to its column, so rows are counted column by column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from bayesglm.mixtures.component import Array, Component, Drawn, Expected, Layout, Params, Symbolic, describe_numbers, filled
from bayesglm.mixtures.components.gaussian import KAPPA, WITHIN, check_spread

_SHAPE = 1.5  # the marginal of the full covariance's prior


def _prior(data: Array, levels: int) -> Params:  # noqa: ARG001 - the contract's
    mean = np.nanmean(data, axis=0)[None]
    return {"mean": mean, "kappa": np.full_like(mean, KAPPA), "shape": np.full_like(mean, _SHAPE),
            "rate": WITHIN / 2 * np.nanvar(data, axis=0)[None]}


def _features(data: Array, levels: int) -> Array:  # noqa: ARG001 - the contract's
    values = np.where(np.isnan(data), 0.0, data)
    return np.hstack([values, values**2, ~np.isnan(data)])


def _update(prior: Params, counts: Array, sums: Array) -> Params:  # noqa: ARG001 - counted column by column
    total, square, held = np.split(sums, 3, axis=1)
    m0, k0 = prior["mean"], prior["kappa"]
    kappa = k0 + held
    mean = (k0 * m0 + total) / kappa
    rate = prior["rate"] + 0.5 * (k0 * m0**2 + square - kappa * mean**2)
    return {"mean": mean, "kappa": kappa, "shape": prior["shape"] + held / 2, "rate": rate}


def _natural(params: Params) -> tuple[Array, Array]:
    mean, shape, rate = params["mean"], params["shape"], params["rate"]
    precision, log_precision = shape / rate, digamma(shape) - np.log(rate)
    each = 0.5 * (log_precision - np.log(2 * np.pi) - 1 / params["kappa"] - precision * mean**2)
    return np.zeros(len(mean)), np.hstack([precision * mean, -0.5 * precision, each])


def _divergence(prior: Params, params: Params) -> Array:
    k0, kappa = prior["kappa"], params["kappa"]
    a0, a, b0, b = prior["shape"], params["shape"], prior["rate"], params["rate"]
    of_mean = 0.5 * (k0 / kappa - 1 + np.log(kappa / k0) + k0 * a / b * (params["mean"] - prior["mean"]) ** 2)
    of_precision = (a - a0) * digamma(a) - gammaln(a) + gammaln(a0) + a0 * np.log(b / b0) + a * (b0 / b - 1)
    return np.asarray((of_mean + of_precision).sum(axis=1))


def _expected(prior: Params, params: Params) -> Expected:
    return Expected(*_natural(params), _divergence(prior, params))


def _scale(params: Params) -> Array:
    return np.asarray(np.sqrt(params["rate"] * (params["kappa"] + 1) / (params["kappa"] * params["shape"])))


def _predictive(params: Params, data: Array) -> Array:
    held, df, scale = ~np.isnan(data), 2 * params["shape"], _scale(params)
    values, found = np.where(held, data, 0.0), np.empty((len(data), len(df)))
    for k, nu in enumerate(df):
        z = (values - params["mean"][k]) / scale[k]
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(scale[k])
        found[:, k] = ((constant - (nu + 1) / 2 * np.log1p(z**2 / nu)) * held).sum(axis=1)
    return found


def _exported(params: Params, layout: Layout) -> tuple[str, Mapping[str, Array]]:  # noqa: ARG001 - the contract's
    df, scale = 2 * params["shape"], _scale(params)
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi) - np.log(scale)
    return "independent", {"df": df, "mean": params["mean"], "scale": scale, "constant": constant}


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array,  # noqa: ARG001 - the contract's
              rng: np.random.Generator) -> Array:
    return np.asarray(params["mean"][labels] + _scale(params)[labels] * rng.standard_t(2 * params["shape"][labels]))


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    shape = (size, *params["mean"].shape)
    precision = rng.gamma(params["shape"], size=shape) / params["rate"]
    mean = params["mean"] + rng.standard_normal(shape) / np.sqrt(params["kappa"] * precision)
    return (Drawn("mean", {"feature": layout.names}, layout.center + layout.scale * mean),
            Drawn("sd", {"feature": layout.names}, layout.scale / np.sqrt(precision)))


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    return describe_numbers(params["mean"], params["rate"] / (params["shape"] - 1), layout)


def _write(prior: Params, data: Array, layout: Layout, count: int, name: str) -> tuple[Any, tuple[Drawn, ...]]:
    shape, one = (count, data.shape[1]), np.ones((count, 1))
    precision = pm.Gamma(f"{name}precision", alpha=one * prior["shape"], beta=one * prior["rate"], shape=shape)
    mean = pm.Normal(f"{name}mean", mu=one * prior["mean"], tau=prior["kappa"] * precision, shape=shape)
    return write_columns(data, layout, mean, precision, name)


def write_columns(data: Array, layout: Layout, mean: Any, precision: Any, name: str) -> tuple[Any, tuple[Drawn, ...]]:
    """Return log densities of independent columns, shape (row, component), with means and sds."""
    held = pm.Data(f"{name}held", (~np.isnan(data)).astype(np.float64))[:, None, :]
    away = pm.Data(f"{name}data", np.where(np.isnan(data), 0.0, data))[:, None, :] - mean
    logs = (0.5 * held * (pt.log(precision) - np.log(2 * np.pi) - precision * away**2)).sum(axis=-1)
    return logs, (Drawn("mean", {"feature": layout.names}, layout.center + layout.scale * mean),
                  Drawn("sd", {"feature": layout.names}, layout.scale / pt.sqrt(precision)))


def _start(prior: Params, params: Params) -> Mapping[str, Array]:  # noqa: ARG001 - the contract's
    return {"precision": params["shape"] / params["rate"], "mean": params["mean"]}


MEMBER = Component(
    name="diagonal_gaussian", label="Gaussian with independent columns", kinds=("numeric",), joint=True, scaled=True,
    check=check_spread, prior=_prior, coordinates=lambda data, levels: filled(data), features=_features,
    base=lambda data: np.zeros(len(data)), update=_update,
    expected=_expected, predictive=_predictive, simulate=_simulate, draw=_draw, describe=_describe,
    parameters=lambda size, levels, components: components * (2 * size),
    source="Bernardo and Smith (2000), Bayesian Theory, appendix A", exported=_exported,
    symbolic=Symbolic(_write, _start),
)
