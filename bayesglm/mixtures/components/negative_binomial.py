"""Negative binomial counts: the concentration on a grid, the rest conjugate given it, so that nothing is approximated.

A count over exposure e is the sum of independent counts over its parts, each with mean and concentration in proportion:

    x | p, c ~ NegativeBinomial(c e, p),   p | c ~ Beta(1 + c / m, 1),   c uniform on a grid;   mean e c (1 - p) / p

With log p(x) = log Gamma(x + c e) - log Gamma(c e) - log x! + c e log p + x log(1 - p), the features are x, e and the gamma
functions at each c. With m the mean rate of the data, the prior of the mean tends to that of a Poisson rate as c grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy.special import betaln, digamma, gammaln, softmax

from bayesglm.mixtures.component import Array, Component, Drawn, Expected, Layout, Params, Symbolic
from bayesglm.mixtures.components.poisson import (
    check_counts,
    check_some,
    counts_and_exposure,
    describe_counts,
    mean_rate,
    over_cells,
    root_rates,
    with_exposure,
    without_exposure,
)
from bayesglm.mixtures.grid import choose, describe_grid, start_place, write_place
from bayesglm.mixtures.scorer import BetaNegativeBinomial

CONCENTRATIONS = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 25.0, 50.0, 100.0, 300.0])
_NEGLIGIBLE = 1e-20  # probability on the grid that no count shows


def _prior(data: Array, levels: int) -> Params:  # noqa: ARG001 - the contract's
    mean = mean_rate(data)[:, :, None]
    grid = np.ones_like(mean) * CONCENTRATIONS
    return {"success": 1 + grid / mean, "failure": np.ones_like(mean), "share": np.full(grid.shape, 1 / len(CONCENTRATIONS))}


def _gammas(counts: Array, exposure: Array) -> Array:
    """Return log Gamma(x + c e) - log Gamma(c e), shape (..., grid); 0 where nothing was exposed."""
    size = np.where(exposure > 0, exposure, 1.0)[..., None] * CONCENTRATIONS
    return np.where(exposure[..., None] > 0, gammaln(counts[..., None] + size) - gammaln(size), 0.0)


def _features(data: Array, levels: int) -> Array:  # noqa: ARG001 - the contract's
    counts, exposure = counts_and_exposure(data)
    return np.hstack([counts, exposure, _gammas(counts, exposure).reshape(len(data), -1)])


def _base(data: Array) -> Array:
    return np.asarray(-gammaln(counts_and_exposure(data)[0] + 1).sum(axis=1))


def _update(prior: Params, counts: Array, sums: Array) -> Params:  # noqa: ARG001 - missing counts have no exposure
    size = prior["failure"].shape[1]
    total, exposed = sums[:, :size, None], sums[:, size:2 * size, None]
    success = prior["success"] + CONCENTRATIONS * exposed
    failure = prior["failure"] + total
    evidence = sums[:, 2 * size:].reshape(success.shape) + betaln(success, failure) - betaln(prior["success"], prior["failure"])
    return {"success": success, "failure": failure, "share": softmax(np.log(prior["share"]) + evidence, axis=2)}


def _expected_logs(params: Params) -> tuple[Array, Array]:
    """Return E[log p] and E[log(1 - p)] at each concentration."""
    a, b = params["success"], params["failure"]
    total = digamma(a + b)
    return digamma(a) - total, digamma(b) - total


def _expected(prior: Params, params: Params) -> Expected:
    share, (log_p, log_q) = params["share"], _expected_logs(params)
    each = [(share * log_q).sum(axis=2), (share * CONCENTRATIONS * log_p).sum(axis=2), share.reshape(len(share), -1)]
    a0, b0, a, b = prior["success"], prior["failure"], params["success"], params["failure"]
    of_p = betaln(a0, b0) - betaln(a, b) + (a - a0) * log_p + (b - b0) * log_q
    of_grid = np.where(share > 0, np.log(np.where(share > 0, share, 1.0) / prior["share"]), 0.0)
    return Expected(np.zeros(len(share)), np.hstack(each), np.asarray((share * (of_p + of_grid)).sum(axis=(1, 2))))


def _pairs(params: Params) -> Mapping[str, Array]:
    """Return each component's columns at each concentration that is not negligible as the scorer takes them, column by column."""
    share = params["share"].swapaxes(0, 1)
    at = np.nonzero(share > _NEGLIGIBLE)
    held = {name: np.broadcast_to(params[name], params["share"].shape).swapaxes(0, 1)[at] for name in ("success", "failure")}
    return {"column": at[0].astype(np.float64), "component": at[1].astype(np.float64), "concentration": CONCENTRATIONS[at[2]],
            **held, "log_share": np.log(share[at])}


def _predictive(params: Params, data: Array) -> Array:
    """Beta negative binomial at each concentration, then their mixture."""
    pairs = dict(_pairs(params))
    column = pairs.pop("column")
    by_column = [{name: values[column == j] for name, values in pairs.items()} for j in range(params["share"].shape[1])]
    return over_cells(data, [BetaNegativeBinomial(**each) for each in by_column])


def _exported(params: Params, layout: Layout) -> tuple[str, Mapping[str, Array]]:
    return "negative_binomial", {**_pairs(params), "fixed": without_exposure(layout)}


def _drawn(params: Params, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return draws of concentrations and of means over exposure 1, shape (draw, component, column)."""
    at = choose(params["share"], size, rng)
    a, b = (np.take_along_axis(np.broadcast_to(params[name], params["share"].shape)[None], at[..., None], axis=3)[..., 0]
            for name in ("success", "failure"))
    concentration = CONCENTRATIONS[at]
    odds = rng.gamma(b) / rng.gamma(a)
    return concentration, concentration * odds


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array, rng: np.random.Generator) -> Array:
    held = {name: np.broadcast_to(values, params["share"].shape)[labels] for name, values in params.items()}
    concentration, mean = (each[0] for each in _drawn(held, 1, rng))
    size = concentration * exposure
    return with_exposure(rng.poisson(rng.gamma(size) * mean / concentration), exposure)


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    concentration, mean = _drawn(params, size, rng)
    labels = {"count_feature": layout.names}
    return (Drawn("rate", labels, mean / layout.exposure_unit), Drawn("concentration", labels, concentration))


def _mean(params: Params) -> Array:
    """Return the expected mean over exposure 1, shape (component, column)."""
    return np.asarray((params["share"] * CONCENTRATIONS * params["failure"] / (params["success"] - 1)).sum(axis=2))


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    """Return moments at the mean exposure, by the expected mean, and the concentration there."""
    shown: dict[str, Array] = {}
    share = params["share"]
    mean = _mean(params)
    widen = (share / CONCENTRATIONS).sum(axis=2)
    for j, name in enumerate(layout.names):
        shown |= describe_counts(layout, j, mean[:, j], mean[:, j] + widen[:, j] * mean[:, j] ** 2)
        shown |= describe_grid(f"{name}_concentration", CONCENTRATIONS, share[:, j])
    return shown


def _write(prior: Params, data: Array, layout: Layout, count: int, name: str) -> tuple[Any, tuple[Drawn, ...]]:
    """Write mean rates, which hardly depend on the concentrations, in place of p = c / (c + rate); cells once each."""
    counts, exposure = counts_and_exposure(data)
    shape = (count, counts.shape[1])
    c = write_place(CONCENTRATIONS, name, shape)
    rate = pm.HalfFlat(f"{name}rate", shape=shape)
    log_p, log_q = pt.log(c) - pt.log(c + rate), pt.log(rate) - pt.log(c + rate)
    per_mean = (prior["success"][:, :, 0] - 1) / CONCENTRATIONS[0]
    of_p = pt.log1p(c * per_mean) + c * per_mean * log_p  # Beta(1 + c / m, 1), and below -dp / d rate
    pm.Potential(f"{name}rate_prior", (of_p + pt.log(c) - 2 * pt.log(c + rate)).sum())
    logs: Any = 0.0
    for j in range(shape[1]):
        cells, place = np.unique(counts[:, j] + 1j * exposure[:, j], return_inverse=True)
        x, e = cells.real[:, None], cells.imag[:, None]
        size = c[:, j] * np.where(e > 0, e, 1.0)
        gammas = (pt.gammaln(x + size) - pt.gammaln(size)) * (e > 0)
        logs = logs + (gammas + e * c[:, j] * log_p[:, j] + x * log_q[:, j])[place]
    labels = {"count_feature": layout.names}
    return logs, (Drawn("rate", labels, rate / layout.exposure_unit), Drawn("concentration", labels, c))


def _start(prior: Params, params: Params) -> Mapping[str, Array]:  # noqa: ARG001 - the contract's
    return {"place": start_place(params["share"]), "rate": _mean(params)}


MEMBER = Component(
    name="negative_binomial", label="Negative binomial counts", kinds=("numeric",), joint=True, scaled=False,
    check=check_some, prior=_prior, coordinates=lambda data, levels: root_rates(data), features=_features, base=_base,
    update=_update, expected=_expected, predictive=_predictive, simulate=_simulate, draw=_draw,
    describe=_describe, parameters=lambda size, levels, components: 2 * components * size,
    source="Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, sections 5.1 and 6.2",
    check_values=check_counts, exposed=True,
    exported=_exported, symbolic=Symbolic(_write, _start),
)
