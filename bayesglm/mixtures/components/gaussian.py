"""Gaussian with full covariance and a normal-Wishart prior.

Lambda ~ Wishart(psi^-1, nu),   mu | Lambda ~ Normal(mean, (kappa Lambda)^-1),   x ~ Normal(mu, Lambda^-1)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from bayesglm.data.faults import raise_where
from bayesglm.errors import ColumnTypeError, OptionError
from bayesglm.mixtures.component import Array, Component, Drawn, Layout, Params, describe_numbers

WITHIN = 0.1  # prior variance within a component, in variances of the column
KAPPA = 0.05  # prior rows behind the mean: components spread about as far as the column does
_LARGEST = 1e150


def check_spread(name: str, values: Array) -> None:
    """Raise where a column has no spread, or numbers whose squares float64 cannot hold."""
    raise_where(np.abs(values) > _LARGEST, ColumnTypeError, "{} numbers beyond 1e150", column=name, values=values,
                rule="squares must be finite", fix="Count in larger units or give transform={...: 'log'}.")
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        raise OptionError("the column is constant", column=name, value=float(values[0]),
                          rule="a Gaussian needs a column that varies", fix=f"Leave {name!r} out of the columns.")


def _prior(data: Array, levels: int) -> Params:  # noqa: ARG001 - the contract's
    size = data.shape[1]
    return {"mean": data.mean(axis=0)[None], "kappa": np.array([KAPPA]), "nu": np.array([size + 2.0]),
            "psi": WITHIN * np.diag(data.var(axis=0))[None]}


def _features(data: Array, levels: int) -> Array:  # noqa: ARG001 - the contract's
    i, j = np.triu_indices(data.shape[1])
    return np.hstack([data, data[:, i] * data[:, j]])


def _update(prior: Params, counts: Array, sums: Array) -> Params:
    size = prior["mean"].shape[1]
    square = np.zeros((len(counts), size, size))
    i, j = np.triu_indices(size)
    square[:, i, j] = square[:, j, i] = sums[:, size:]
    m0, k0 = prior["mean"], prior["kappa"]
    kappa = k0 + counts
    mean = (k0 * m0 + sums[:, :size]) / kappa[:, None]
    psi = prior["psi"] + k0 * _outer(m0) + square - kappa[:, None, None] * _outer(mean)
    return {"mean": mean, "kappa": kappa, "nu": prior["nu"] + counts, "psi": psi}


def _outer(x: Array) -> Array:
    return np.asarray(x[:, :, None] * x[:, None, :])


def _log_det(psi: Array) -> Array:
    return np.asarray(2 * np.log(np.diagonal(np.linalg.cholesky(psi), axis1=1, axis2=2)).sum(axis=1))


def _expected_log_det(params: Params) -> Array:
    size = params["mean"].shape[1]
    halves = (params["nu"][:, None] - np.arange(size)) / 2
    return np.asarray(digamma(halves).sum(axis=1) + size * np.log(2) - _log_det(params["psi"]))


def _natural(params: Params) -> tuple[Array, Array]:
    mean, size = params["mean"], params["mean"].shape[1]
    precision = params["nu"][:, None, None] * np.linalg.inv(params["psi"])
    linear = np.einsum("kij,kj->ki", precision, mean)
    constant = 0.5 * (_expected_log_det(params) - size * np.log(2 * np.pi) - size / params["kappa"] - (mean * linear).sum(axis=1))
    i, j = np.triu_indices(size)
    return constant, np.hstack([linear, precision[:, i, j] * np.where(i == j, -0.5, -1.0)])


def _log_normaliser(nu: Array, psi: Array) -> Array:
    size = psi.shape[1]
    gammas = size * (size - 1) / 4 * np.log(np.pi) + gammaln((nu[:, None] - np.arange(size)) / 2).sum(axis=1)
    return np.asarray(nu / 2 * _log_det(psi) - nu * size / 2 * np.log(2) - gammas)


def _divergence(prior: Params, params: Params) -> Array:
    size, inverse = params["mean"].shape[1], np.linalg.inv(params["psi"])
    k0, kappa, nu0, nu = prior["kappa"], params["kappa"], prior["nu"], params["nu"]
    away = params["mean"] - prior["mean"]
    distance = np.einsum("ki,kij,kj->k", away, inverse, away)
    of_mean = 0.5 * (size * (k0 / kappa - 1 + np.log(kappa / k0)) + k0 * nu * distance)
    trace = np.einsum("kij,kji->k", np.broadcast_to(prior["psi"], inverse.shape), inverse)
    of_precision = (_log_normaliser(nu, params["psi"]) - _log_normaliser(nu0, prior["psi"])
                    + (nu - nu0) / 2 * _expected_log_det(params) - nu * size / 2 + nu / 2 * trace)
    return np.asarray(of_mean + of_precision)


def _scale_root(params: Params) -> tuple[Array, Array]:
    """Return degrees of freedom and Cholesky factor of the scale of the predictive Student-t."""
    df = params["nu"] - params["mean"].shape[1] + 1
    scale = params["psi"] * ((params["kappa"] + 1) / (params["kappa"] * df))[:, None, None]
    return df, np.linalg.cholesky(scale)


def _predictive(params: Params, data: Array) -> Array:
    df, root = _scale_root(params)
    size, found = data.shape[1], np.empty((len(data), len(df)))
    for k, (nu, chol) in enumerate(zip(df, root, strict=True)):
        white = np.linalg.solve(chol, (data - params["mean"][k]).T)
        constant = gammaln((nu + size) / 2) - gammaln(nu / 2) - size / 2 * np.log(nu * np.pi) - np.log(np.diag(chol)).sum()
        found[:, k] = constant - (nu + size) / 2 * np.log1p((white**2).sum(axis=0) / nu)
    return found


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array,  # noqa: ARG001 - the contract's
              rng: np.random.Generator) -> Array:
    df, root = _scale_root(params)
    normal = rng.standard_normal((len(labels), params["mean"].shape[1]))
    stretch = np.sqrt(df[labels] / rng.chisquare(df[labels]))
    return np.asarray(params["mean"][labels] + stretch[:, None] * np.einsum("nij,nj->ni", root[labels], normal))


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    """Draw precisions by Bartlett's decomposition, then means."""
    count, d = params["mean"].shape
    lower = np.tril(rng.standard_normal((size, count, d, d)), -1)
    lower[..., range(d), range(d)] = np.sqrt(rng.chisquare(params["nu"][:, None] - np.arange(d), (size, count, d)))
    # With W = psi^-1 = U U', U = inv(chol)', Lambda = U A A' U'; its inverse's root is chol inv(A)'.
    root = np.linalg.cholesky(params["psi"]) @ np.linalg.inv(lower).swapaxes(-1, -2)
    noise = (root @ rng.standard_normal((size, count, d, 1)))[..., 0]
    mean = params["mean"] + noise / np.sqrt(params["kappa"])[:, None]
    covariance = root @ root.swapaxes(-1, -2) * np.outer(layout.scale, layout.scale)
    names = layout.names
    return (Drawn("mean", {"feature": names}, layout.center + layout.scale * mean),
            Drawn("covariance", {"feature": names, "feature_other": names}, covariance))


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    size = params["mean"].shape[1]
    variance = np.diagonal(params["psi"], axis1=1, axis2=2) / (params["nu"] - size - 1)[:, None]
    return describe_numbers(params["mean"], variance, layout)


MEMBER = Component(
    name="gaussian", label="Gaussian with full covariance", kinds=("numeric",), joint=True, scaled=True,
    check=check_spread, prior=_prior, coordinates=lambda data, levels: data, features=_features,
    base=lambda data: np.zeros(len(data)), update=_update, natural=_natural, divergence=_divergence,
    predictive=_predictive, simulate=_simulate, draw=_draw, describe=_describe,
    parameters=lambda size, levels, components: components * (size + size * (size + 1) // 2),
    source="Bishop (2006), Pattern Recognition and Machine Learning, section 10.2",
)
