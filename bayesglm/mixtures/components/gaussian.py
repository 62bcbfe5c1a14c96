"""Gaussian with full covariance and a normal-Wishart prior.

Lambda ~ Wishart(psi^-1, nu),   mu | Lambda ~ Normal(mean, (kappa Lambda)^-1),   x ~ Normal(mu, Lambda^-1)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from bayesglm.data.faults import raise_where
from bayesglm.errors import ColumnTypeError, OptionError
from bayesglm.mixtures.component import (
    Array,
    Component,
    Drawn,
    Expected,
    Latent,
    Layout,
    Params,
    Symbolic,
    describe_numbers,
    filled,
)
from bayesglm.mixtures.gaps import complete, completed_sums, distance, patterns, upper
from bayesglm.mixtures.scorer import joint
from bayesglm.mixtures.wishart import start_gaussians, write_gaussians

WITHIN = 0.1  # prior variance within a component, in variances of the column
KAPPA = 0.05  # prior rows behind the mean: components spread about as far as the column does
_LARGEST = 1e150


def check_spread(name: str, values: Array) -> None:
    """Raise where a column has no spread, or numbers whose squares float64 cannot hold."""
    raise_where(np.abs(values) > _LARGEST, ColumnTypeError, "{} numbers beyond 1e150", column=name, values=values,
                rule="squares must be finite", fix="Count in larger units or give transform={...: 'log'}.")
    if np.nanmax(values) - np.nanmin(values) <= 1e-12 * np.nanmax(np.abs(values)):
        raise OptionError("the column is constant", column=name, value=float(np.nanmax(values)),
                          rule="a Gaussian needs a column that varies", fix=f"Leave {name!r} out of the columns.")


def wishart_prior(data: Array, levels: int) -> Params:  # noqa: ARG001 - the contract's
    """Return a normal-Wishart prior as wide as the columns."""
    size = data.shape[1]
    return {"mean": np.nanmean(data, axis=0)[None], "kappa": np.array([KAPPA]), "nu": np.array([size + 2.0]),
            "psi": WITHIN * np.diag(np.nanvar(data, axis=0))[None]}


def products(data: Array, levels: int) -> Array:  # noqa: ARG001 - the contract's
    """Return values and the products of pairs."""
    return np.hstack([data, upper(data)])


def posterior_of(prior: Params, counts: Array, sums: Array) -> tuple[Array, Array, Array]:
    """Return means, kappa and scatter about the mean, prior included, for sums of `products`."""
    size = prior["mean"].shape[1]
    square = np.zeros((len(counts), size, size))
    i, j = np.triu_indices(size)
    square[:, i, j] = square[:, j, i] = sums[:, size:size + len(i)]
    m0, k0 = prior["mean"], prior["kappa"]
    kappa = k0 + counts
    mean = (k0[:, None] * m0 + sums[:, :size]) / kappa[:, None]
    return mean, kappa, k0[:, None, None] * _outer(m0) + square - kappa[:, None, None] * _outer(mean)


def _update(prior: Params, counts: Array, sums: Array) -> Params:
    mean, kappa, scatter = posterior_of(prior, counts, sums)
    return {"mean": mean, "kappa": kappa, "nu": prior["nu"] + counts, "psi": prior["psi"] + scatter}


def _outer(x: Array) -> Array:
    return np.asarray(x[:, :, None] * x[:, None, :])


@dataclass(frozen=True, slots=True, eq=False)
class Scatter:
    """What the scatter matrices of normal-Wishart posteriors give, any axes in front.

    Attributes
    ----------
    inverse : array, shape (..., column, column)
        Of psi.
    log_det : array, shape (...)
        log |psi|.
    expected_log_det : array, shape (...)
        E[log |Lambda|].
    """

    inverse: Array
    log_det: Array
    expected_log_det: Array


def scatter_of(params: Params) -> Scatter:
    """Return inverses and determinants of posteriors, taken once for all that needs them."""
    size = params["mean"].shape[-1]
    log_det = np.asarray(2 * np.log(np.diagonal(np.linalg.cholesky(params["psi"]), axis1=-2, axis2=-1)).sum(axis=-1))
    halves = (params["nu"][..., None] - np.arange(size)) / 2
    return Scatter(np.linalg.inv(params["psi"]), log_det, np.asarray(digamma(halves).sum(axis=-1) + size * np.log(2) - log_det))


def natural(params: Params, scatter: Scatter) -> tuple[Array, Array]:
    """Return expected natural parameters of `products`."""
    mean, size = params["mean"], params["mean"].shape[1]
    precision = params["nu"][:, None, None] * scatter.inverse
    linear = np.einsum("kij,kj->ki", precision, mean)
    constant = 0.5 * (scatter.expected_log_det - size * np.log(2 * np.pi) - size / params["kappa"] - (mean * linear).sum(axis=1))
    i, j = np.triu_indices(size)
    return constant, np.hstack([linear, precision[:, i, j] * np.where(i == j, -0.5, -1.0)])


def _log_normaliser(nu: Array, log_det: Array, size: int) -> Array:
    gammas = size * (size - 1) / 4 * np.log(np.pi) + gammaln((nu[..., None] - np.arange(size)) / 2).sum(axis=-1)
    return np.asarray(nu / 2 * log_det - nu * size / 2 * np.log(2) - gammas)


def divergences(prior: Params, params: Params, scatter: Scatter) -> tuple[Array, Array]:
    """Return the divergence of the means given the precisions, and that of the precisions, any axes in front."""
    size, inverse = params["mean"].shape[-1], scatter.inverse
    k0, kappa, nu0, nu = prior["kappa"], params["kappa"], prior["nu"], params["nu"]
    away = params["mean"] - prior["mean"]
    square = (away * (inverse @ away[..., None])[..., 0]).sum(axis=-1)
    of_mean = 0.5 * (size * (k0 / kappa - 1 + np.log(kappa / k0)) + k0 * nu * square)
    trace = (prior["psi"] * inverse).sum(axis=(-2, -1))
    before = np.linalg.slogdet(prior["psi"])[1]
    of_precision = (_log_normaliser(nu, scatter.log_det, size) - _log_normaliser(nu0, before, size)
                    + (nu - nu0) / 2 * scatter.expected_log_det - nu * size / 2 + nu / 2 * trace)
    return of_mean, of_precision


def _expected(prior: Params, params: Params) -> Expected:
    scatter = scatter_of(params)
    of_mean, of_precision = divergences(prior, params, scatter)
    return Expected(*natural(params, scatter), np.asarray(of_mean + of_precision))


def _completions(params: Params | None, data: Array) -> tuple[Array, Array]:
    """Return means and expected precisions by which rows are completed; standard normal as a start."""
    if params is None:
        return np.zeros(data.shape[1]), np.eye(data.shape[1])
    return params["mean"], params["nu"][:, None, None] * np.linalg.inv(params["psi"])


def _expect_missing(params: Params | None, data: Array) -> tuple[Array, Callable[[Array], Array]]:
    size, (i, j) = data.shape[1], np.triu_indices(data.shape[1])
    mean, precision = _completions(params, data)
    constant = np.zeros(1) if params is None else 0.5 * (scatter_of(params).expected_log_det - size / params["kappa"])
    groups = [(rows, data[np.ix_(rows, held)], held, complete(mean, precision, held)) for rows, held in patterns(data)]
    logs = np.empty((len(constant), len(data)))
    for rows, part, held, done in groups:
        level = constant - 0.5 * (held.sum() * np.log(2 * np.pi) + done.log_det)
        logs[:, rows] = level[:, None] - 0.5 * distance(part, mean[..., held], done.precision)

    def sums(responsibilities: Array) -> Array:
        found = np.zeros((len(responsibilities), size + len(i) + 2))
        for rows, part, held, done in groups:
            weight = responsibilities[:, rows]
            count, first, second = completed_sums(done, part, weight, weight.sum(axis=1))
            entropy = 0.5 * (size - held.sum()) * (1 + np.log(2 * np.pi)) - 0.5 * done.log_det
            found += np.hstack([first, second[:, i, j], (count * entropy)[:, None], count[:, None]])
        return found

    return logs, sums


def _scale(params: Params) -> tuple[Array, Array]:
    """Return degrees of freedom and scale matrices of the predictive Student-t."""
    df = params["nu"] - params["mean"].shape[1] + 1
    return df, params["psi"] * ((params["kappa"] + 1) / (params["kappa"] * df))[:, None, None]


def predictive(params: Params, data: Array) -> Array:
    """Return the log density of a multivariate Student-t, over the columns that a row has."""
    df, scale = _scale(params)
    found = np.empty((len(data), len(df)))
    for rows, held in patterns(data):
        root = np.linalg.cholesky(scale[:, held][:, :, held])
        found[rows] = joint(joint_student_t(df, params["mean"][:, held], root))(data[np.ix_(rows, held)])
    return found


def exported(params: Params, layout: Layout) -> tuple[str, Mapping[str, Array]]:  # noqa: ARG001 - the contract's
    """Return the multivariate Student-t as the scorer takes it."""
    df, scale = _scale(params)
    return "joint", joint_student_t(df, params["mean"], np.linalg.cholesky(scale))


def joint_student_t(df: Array, mean: Array, root: Array) -> Mapping[str, Array]:
    """Return a multivariate Student-t with Cholesky factors of its scale as the scorer takes it."""
    size = mean.shape[1]
    constant = gammaln((df + size) / 2) - gammaln(df / 2) - size / 2 * np.log(df * np.pi)
    log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return {"df": df, "mean": mean, "root": root, "constant": constant - log_det}


def simulate(params: Params, labels: NDArray[np.intp], exposure: Array,  # noqa: ARG001 - the contract's
              rng: np.random.Generator) -> Array:
    """Draw rows from multivariate Student-t."""
    df, scale = _scale(params)
    root = np.linalg.cholesky(scale)
    normal = rng.standard_normal((len(labels), params["mean"].shape[1]))
    stretch = np.sqrt(df[labels] / rng.chisquare(df[labels]))
    return np.asarray(params["mean"][labels] + stretch[:, None] * np.einsum("nij,nj->ni", root[labels], normal))


def draw_roots(nu: Array, psi: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw roots of inverse Wishart matrices by Bartlett's decomposition, shape (draw, component, column, column)."""
    count, d = psi.shape[:2]
    lower = np.tril(rng.standard_normal((size, count, d, d)), -1)
    lower[..., range(d), range(d)] = np.sqrt(rng.chisquare(nu[:, None] - np.arange(d), (size, count, d)))
    # With W = psi^-1 = U U', U = inv(chol)', Lambda = U A A' U'; its inverse's root is chol inv(A)'.
    return np.asarray(np.linalg.cholesky(psi) @ np.linalg.inv(lower).swapaxes(-1, -2))


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    return draws_given(params, draw_roots(params["nu"], params["psi"], size, rng), layout, rng)


def draws_given(params: Params, root: Array, layout: Layout, rng: np.random.Generator) -> tuple[Drawn, ...]:
    """Draw means given roots of covariances; both in the units of the columns."""
    size, (count, d) = len(root), params["mean"].shape
    noise = (root @ rng.standard_normal((size, count, d, 1)))[..., 0]
    mean = params["mean"] + noise / np.sqrt(params["kappa"])[:, None]
    covariance = root @ root.swapaxes(-1, -2) * np.outer(layout.scale, layout.scale)
    names = layout.names
    return (Drawn("mean", {"feature": names}, layout.center + layout.scale * mean),
            Drawn("covariance", {"feature": names, "feature_other": names}, covariance))


def describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    """Return means and sds at the expected covariance."""
    size = params["mean"].shape[1]
    variance = np.diagonal(params["psi"], axis1=1, axis2=2) / (params["nu"] - size - 1)[:, None]
    return describe_numbers(params["mean"], variance, layout)


def symbolic(*, tied: bool) -> Symbolic:
    """Return how Gaussians are written for PyMC."""
    return Symbolic(partial(write_gaussians, tied=tied), partial(start_gaussians, tied=tied))


_WHOLE = Component(
    name="gaussian", label="Gaussian with full covariance", kinds=("numeric",), joint=True, scaled=True,
    check=check_spread, prior=wishart_prior, coordinates=lambda data, levels: filled(data), features=products,
    base=lambda data: np.zeros(len(data)), update=_update, expected=_expected,
    predictive=predictive, simulate=simulate, draw=_draw, describe=describe,
    parameters=lambda size, levels, components: components * (size + size * (size + 1) // 2),
    source="Bishop (2006), Pattern Recognition and Machine Learning, section 10.2", exported=exported,
    symbolic=symbolic(tied=False),
)


def with_missing(whole: Component) -> Component:
    """Return the component for columns with missing values, which are integrated out."""
    def expected(prior: Params, params: Params) -> Expected:
        found = whole.expected(prior, params)
        one = np.ones((len(found.natural), 1))
        return Expected(np.zeros_like(found.constant), np.hstack([found.natural, one, found.constant[:, None]]), found.divergence)

    latent = Latent(width=lambda size: size + size * (size + 1) // 2 + 2, expect=_expect_missing)
    return replace(
        whole, name=f"{whole.name}_with_missing", label=f"{whole.label}, missing values integrated out",
        features=lambda data, levels: np.empty((len(data), 0)), expected=expected, latent=latent,
        source="Ghahramani and Jordan (1994), Advances in Neural Information Processing Systems 6, 120-127")


MEMBER = replace(_WHOLE, missing=with_missing(_WHOLE))
