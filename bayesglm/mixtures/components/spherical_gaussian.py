"""Gaussian whose columns are independent and equally wide, in sds of each column, with a normal-gamma prior.

tau ~ Gamma(shape, rate),   mu_j | tau ~ Normal(mean_j, 1 / (kappa tau)),   x_j ~ Normal(mu_j, 1 / tau)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from bayesglm.mixtures.component import Array, Component, Drawn, Expected, Layout, Params, Symbolic, describe_numbers, filled
from bayesglm.mixtures.components.diagonal_gaussian import write_columns
from bayesglm.mixtures.components.gaussian import KAPPA, WITHIN, check_spread, joint_student_t

_SHAPE = 1.5


def _prior(data: Array, levels: int) -> Params:  # noqa: ARG001 - the contract's
    mean = np.nanmean(data, axis=0)[None]
    return {"mean": mean, "kappa": np.full_like(mean, KAPPA), "shape": np.array([_SHAPE]),
            "rate": np.array([WITHIN / 2 * np.nanvar(data, axis=0).mean()])}


def _features(data: Array, levels: int) -> Array:  # noqa: ARG001 - the contract's
    values = np.where(np.isnan(data), 0.0, data)
    return np.hstack([values, ~np.isnan(data), (values**2).sum(axis=1, keepdims=True)])


def _update(prior: Params, counts: Array, sums: Array) -> Params:  # noqa: ARG001 - counted column by column
    size = prior["mean"].shape[1]
    total, held, square = sums[:, :size], sums[:, size:2 * size], sums[:, 2 * size]
    m0, k0 = prior["mean"], prior["kappa"]
    kappa = k0 + held
    mean = (k0 * m0 + total) / kappa
    rate = prior["rate"] + 0.5 * ((k0 * m0**2 - kappa * mean**2).sum(axis=1) + square)
    return {"mean": mean, "kappa": kappa, "shape": prior["shape"] + held.sum(axis=1) / 2, "rate": rate}


def _natural(params: Params) -> tuple[Array, Array]:
    mean, shape, rate = params["mean"], params["shape"], params["rate"]
    precision = (shape / rate)[:, None]
    log_precision = (digamma(shape) - np.log(rate))[:, None]
    each = 0.5 * (log_precision - np.log(2 * np.pi) - 1 / params["kappa"] - precision * mean**2)
    return np.zeros(len(mean)), np.hstack([precision * mean, each, -0.5 * precision])


def _divergence(prior: Params, params: Params) -> Array:
    k0, kappa = prior["kappa"], params["kappa"]
    a0, a, b0, b = prior["shape"], params["shape"], prior["rate"], params["rate"]
    away = k0 * (params["mean"] - prior["mean"]) ** 2
    of_mean = 0.5 * (k0 / kappa - 1 + np.log(kappa / k0) + (a / b)[:, None] * away).sum(axis=1)
    of_precision = (a - a0) * digamma(a) - gammaln(a) + gammaln(a0) + a0 * np.log(b / b0) + a * (b0 / b - 1)
    return np.asarray(of_mean + of_precision)


def _expected(prior: Params, params: Params) -> Expected:
    return Expected(*_natural(params), _divergence(prior, params))


def _variance(params: Params) -> Array:
    """Return the squared scales of the predictive Student-t, shape (component, column)."""
    return np.asarray((params["rate"] / params["shape"])[:, None] * (1 + 1 / params["kappa"]))


def _predictive(params: Params, data: Array) -> Array:
    held, df, variance = ~np.isnan(data), 2 * params["shape"], _variance(params)
    values, size, found = np.where(held, data, 0.0), held.sum(axis=1), np.empty((len(data), len(df)))
    for k, nu in enumerate(df):
        square = ((values - params["mean"][k]) ** 2 / variance[k] * held).sum(axis=1)
        constant = gammaln((nu + size) / 2) - gammaln(nu / 2) - size / 2 * np.log(nu * np.pi) - held @ np.log(variance[k]) / 2
        found[:, k] = constant - (nu + size) / 2 * np.log1p(square / nu)
    return found


def _exported(params: Params, layout: Layout) -> tuple[str, Mapping[str, Array]]:  # noqa: ARG001 - the contract's
    size = params["mean"].shape[1]
    root = np.zeros((len(params["mean"]), size, size))
    root[:, range(size), range(size)] = np.sqrt(_variance(params))
    return "joint", joint_student_t(2 * params["shape"], params["mean"], root)


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array,  # noqa: ARG001 - the contract's
              rng: np.random.Generator) -> Array:
    df = 2 * params["shape"][labels]
    noise = rng.standard_normal((len(labels), params["mean"].shape[1])) * np.sqrt(df / rng.chisquare(df))[:, None]
    return np.asarray(params["mean"][labels] + np.sqrt(_variance(params))[labels] * noise)


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    precision = (rng.gamma(params["shape"], size=(size, len(params["shape"]))) / params["rate"])[..., None]
    noise = rng.standard_normal((size, *params["mean"].shape))
    mean = params["mean"] + noise / np.sqrt(params["kappa"] * precision)
    return (Drawn("mean", {"feature": layout.names}, layout.center + layout.scale * mean),
            Drawn("sd", {"feature": layout.names}, layout.scale / np.sqrt(precision)))


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    variance = (params["rate"] / (params["shape"] - 1))[:, None] * np.ones_like(params["mean"])
    return describe_numbers(params["mean"], variance, layout)


def _write(prior: Params, data: Array, layout: Layout, count: int, name: str) -> tuple[Any, tuple[Drawn, ...]]:
    shape, one = (count, data.shape[1]), np.ones((count, 1))
    tau = pm.Gamma(f"{name}precision", alpha=one[:, 0] * prior["shape"], beta=one[:, 0] * prior["rate"], shape=(count,))
    precision = tau[:, None] * np.ones(shape)
    mean = pm.Normal(f"{name}mean", mu=one * prior["mean"], tau=prior["kappa"] * precision, shape=shape)
    return write_columns(data, layout, mean, precision, name)


def _start(prior: Params, params: Params) -> Mapping[str, Array]:  # noqa: ARG001 - the contract's
    return {"precision": params["shape"] / params["rate"], "mean": params["mean"]}


MEMBER = Component(
    name="spherical_gaussian", label="Gaussian with equally wide columns", kinds=("numeric",), joint=True, scaled=True,
    check=check_spread, prior=_prior, coordinates=lambda data, levels: filled(data), features=_features,
    base=lambda data: np.zeros(len(data)), update=_update, expected=_expected,
    predictive=_predictive, simulate=_simulate, draw=_draw, describe=_describe,
    parameters=lambda size, levels, components: components * (size + 1),
    source="Bernardo and Smith (2000), Bayesian Theory, appendix A", exported=_exported,
    symbolic=Symbolic(_write, _start),
)
