"""Wishart: normal-Wishart components as PyMC variables, without a matrix to invert in the density.

With psi = L L' and B lower triangular, B_ii^2 ~ ChiSquared(nu - d + 1 + i) for i = 0, ..., d - 1 and standard normal entries
below, Lambda = (B L^-1)' (B L^-1) ~ Wishart(psi^-1, nu): Bartlett's decomposition from the last column on. So B L^-1 (x - mu)
is white.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesglm.mixtures.component import Array, Layout, Params
from bayesglm.mixtures.gaps import patterns

LOG_TWO_PI = np.log(2 * np.pi)


def write_gaussians(prior: Params, data: Array, layout: Layout, count: int, name: str, *, tied: bool) -> Any:
    """Write means and covariances inside a model context; return log densities, shape (row, component).

    Parameters
    ----------
    prior : mapping
        Normal-Wishart prior of one component.
    data : array, shape (row, column)
        Rows, NaN where a value is missing.
    layout : Layout
        For means and covariances in the units of the columns.
    count : int
        Number of components.
    name : str
        In front of the names of variables.
    tied : bool
        Whether all share one covariance.
    """
    size, copies = data.shape[1], 1 if tied else count
    lower, log_det = _lower(prior, copies, size, name)
    inverse = np.linalg.inv(np.linalg.cholesky(prior["psi"][0]))
    mean = pm.Flat(f"{name}mean", shape=(count, size))
    k0 = float(prior["kappa"][0])
    away = _whitened(mean - prior["mean"], inverse, lower)
    of_mean = 0.5 * size * (np.log(k0) - LOG_TWO_PI) + log_det - 0.5 * k0 * (away**2).sum(axis=-1)
    pm.Potential(f"{name}mean_prior", of_mean.sum())
    base = np.linalg.cholesky(prior["psi"][0])
    covariance = base @ pt.linalg.inv(pt.swapaxes(lower, -1, -2) @ lower) @ base.T
    model = pm.modelcontext(None)
    model.add_coords({"feature": layout.names, "feature_other": layout.names})
    pm.Deterministic("mean", layout.center + layout.scale * mean, dims=("component", "feature"))
    spread = pt.broadcast_to(covariance * np.outer(layout.scale, layout.scale), (count, size, size))
    pm.Deterministic("covariance", spread, dims=("component", "feature", "feature_other"))
    return _log_densities(data, mean, covariance, lower, inverse, log_det, name)


def _lower(prior: Params, copies: int, size: int, name: str) -> tuple[Any, Any]:
    """Return B, shape (copy, column, column), and log |B L^-1|."""
    df = np.tile(float(prior["nu"][0]) - size + 1 + np.arange(size), (copies, 1))
    squares = pm.ChiSquared(f"{name}squares", nu=df, shape=(copies, size))
    lower = pt.zeros((copies, size, size))[:, np.arange(size), np.arange(size)].set(pt.sqrt(squares))
    if size > 1:
        i, j = np.tril_indices(size, -1)
        below = pm.Normal(f"{name}below", np.zeros((copies, len(i))), np.ones((copies, len(i))), shape=(copies, len(i)))
        lower = lower[:, i, j].set(below)
    return lower, 0.5 * pt.log(squares).sum(axis=-1) - 0.5 * np.linalg.slogdet(prior["psi"][0])[1]


def _whitened(away: Any, inverse: Array, lower: Any) -> Any:
    """Return B L^-1 times vectors of shape (component, column)."""
    return (lower * (away @ inverse.T)[:, None, :]).sum(axis=-1)


def _log_densities(data: Array, mean: Any, covariance: Any, lower: Any, inverse: Array, log_det: Any, name: str) -> Any:
    found = pt.zeros((len(data), mean.shape[0]))
    for place, (rows, held) in enumerate(patterns(data)):
        values = pm.Data(f"{name}data_{place}", data[np.ix_(rows, held)])
        if held.all():
            turned = ((values[:, None, :] - mean) @ inverse.T)[:, :, None, :]
            square = ((lower * turned).sum(axis=-1) ** 2).sum(axis=-1)
            level = log_det
        else:
            root = pt.linalg.cholesky(covariance[:, held][:, :, held])
            apart = (values[:, None, :] - mean[:, held])[..., None]
            square = ((pt.linalg.inv(root) @ apart)[..., 0] ** 2).sum(axis=-1)
            level = -pt.log(pt.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
        found = found[rows].set(level - 0.5 * held.sum() * LOG_TWO_PI - 0.5 * square)
    return found


def start_gaussians(prior: Params, params: Params, *, tied: bool) -> Mapping[str, Array]:
    """Return values of the variables at the expected precisions."""
    copies = 1 if tied else len(params["mean"])
    size = params["mean"].shape[1]
    precision = params["nu"][:copies, None, None] * np.linalg.inv(params["psi"][:copies])
    base = np.linalg.cholesky(prior["psi"][0])
    inner = base.T @ precision @ base  # B'B with B lower: the Cholesky factor of its reversal, reversed
    lower = np.linalg.cholesky(inner[:, ::-1, ::-1]).swapaxes(-1, -2)[:, ::-1, ::-1]
    i, j = np.tril_indices(size, -1)
    found = {"mean": params["mean"], "squares": np.diagonal(lower, axis1=1, axis2=2) ** 2}
    return {**found, "below": lower[:, i, j]} if size > 1 else found
