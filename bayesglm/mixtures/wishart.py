"""Wishart: normal-Wishart components as PyMC variables, without a matrix to invert in the density.

With psi = L L' and B lower triangular, B_ii^2 ~ ChiSquared(nu - d + 1 + i) for i = 0, ..., d - 1 and standard normal entries
below, Lambda = (B L^-1)' (B L^-1) ~ Wishart(psi^-1, nu): Bartlett's decomposition from the last column on. So B L^-1 (x - mu)
is white.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesglm.mixtures.component import Array, Drawn, Layout, Params
from bayesglm.mixtures.gaps import patterns

LOG_TWO_PI = np.log(2 * np.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """Centers and scatter matrices of components as PyMC variables.

    Attributes
    ----------
    mean : variable, shape (component, column)
        Centers.
    covariance : variable, shape (component or 1, column, column)
        Scatter matrices, inverse to the precisions.
    lower : variable, shape (component or 1, column, column)
        B.
    inverse : array, shape (column, column)
        L^-1 of the prior.
    log_det : variable, shape (component or 1,)
        log |B L^-1|, half that of the precision.
    """

    mean: Any
    covariance: Any
    lower: Any
    inverse: Array
    log_det: Any

    def quantities(self, layout: Layout, center: str, spread: str) -> tuple[Drawn, Drawn]:
        """Return centers and scatter matrices in the units of the columns, under these names."""
        names, size = layout.names, len(layout.names)
        wide = pt.broadcast_to(self.covariance * np.outer(layout.scale, layout.scale), (self.mean.shape[0], size, size))
        return (Drawn(center, {"feature": names}, layout.center + layout.scale * self.mean),
                Drawn(spread, {"feature": names, "feature_other": names}, wide))

    def log_densities(self, data: Array, name: str, radial: Callable[[Any, int], Any]) -> Any:
        """Return log densities, shape (row, component), over the columns that a row has.

        Parameters
        ----------
        data : array, shape (row, column)
            Rows, NaN where a value is missing.
        name : str
            In front of the names of data.
        radial : callable
            ``radial(square, size)`` gives the log density for a unit scatter matrix in ``size`` columns at squared distances
            of shape (row, component).
        """
        found = pt.zeros((len(data), self.mean.shape[0]))
        for place, (rows, held) in enumerate(patterns(data)):
            values = pm.Data(f"{name}data_{place}", data[np.ix_(rows, held)])
            if held.all():
                turned = ((values[:, None, :] - self.mean) @ self.inverse.T)[:, :, None, :]
                square, level = ((self.lower * turned).sum(axis=-1) ** 2).sum(axis=-1), self.log_det
            else:
                root = pt.linalg.cholesky(self.covariance[:, held][:, :, held])
                apart = (values[:, None, :] - self.mean[:, held])[..., None]
                square = ((pt.linalg.inv(root) @ apart)[..., 0] ** 2).sum(axis=-1)
                level = -pt.log(pt.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
            found = found[rows].set(level + radial(square, int(held.sum())))
        return found


def write_normal_wishart(prior: Params, count: int, size: int, name: str, *, tied: bool = False) -> Written:
    """Write centers and scatter matrices with a normal-Wishart prior inside a model context.

    Parameters
    ----------
    prior : mapping
        Normal-Wishart prior of one component.
    count, size : int
        Numbers of components and columns.
    name : str
        In front of the names of variables.
    tied : bool
        Whether all share one scatter matrix.
    """
    lower, log_det = _lower(prior, 1 if tied else count, size, name)
    base = np.linalg.cholesky(prior["psi"][0])
    inverse = np.linalg.inv(base)
    mean = pm.Flat(f"{name}mean", shape=(count, size))
    k0 = float(prior["kappa"][0])
    away = _whitened(mean - prior["mean"], inverse, lower)
    of_mean = 0.5 * size * (np.log(k0) - LOG_TWO_PI) + log_det - 0.5 * k0 * (away**2).sum(axis=-1)
    pm.Potential(f"{name}mean_prior", of_mean.sum())
    covariance = base @ pt.linalg.inv(pt.swapaxes(lower, -1, -2) @ lower) @ base.T
    return Written(mean, covariance, lower, inverse, log_det)


def write_gaussians(prior: Params, data: Array, layout: Layout, count: int, name: str, *,
                    tied: bool) -> tuple[Any, tuple[Drawn, ...]]:
    """Write means and covariances inside a model context; return log densities, shape (row, component), and both."""
    written = write_normal_wishart(prior, count, len(layout.names), name, tied=tied)
    logs = written.log_densities(data, name, lambda square, size: -0.5 * size * LOG_TWO_PI - 0.5 * square)
    return logs, written.quantities(layout, "mean", "covariance")


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


def start_normal_wishart(prior: Params, mean: Array, precision: Array) -> Mapping[str, Array]:
    """Return values of the variables at means (component, column) and precisions (component or 1, column, column)."""
    size, base = mean.shape[1], np.linalg.cholesky(prior["psi"][0])
    inner = base.T @ precision @ base  # B'B with B lower: the Cholesky factor of its reversal, reversed
    lower = np.linalg.cholesky(inner[:, ::-1, ::-1]).swapaxes(-1, -2)[:, ::-1, ::-1]
    i, j = np.tril_indices(size, -1)
    found = {"mean": mean, "squares": np.diagonal(lower, axis1=1, axis2=2) ** 2}
    return {**found, "below": lower[:, i, j]} if size > 1 else found


def start_gaussians(prior: Params, params: Params, *, tied: bool) -> Mapping[str, Array]:
    """Return values of the variables of Gaussians at the expected precisions."""
    copies = 1 if tied else len(params["mean"])
    precision = params["nu"][:copies, None, None] * np.linalg.inv(params["psi"][:copies])
    return start_normal_wishart(prior, params["mean"], precision)
