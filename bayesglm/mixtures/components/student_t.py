"""Multivariate Student-t: the degrees of freedom on a grid, each with a normal-Wishart posterior of its own.

Every row has a scale of its own, and given scale and degrees of freedom it is Gaussian:

    x | u ~ Normal(mu, (u Lambda)^-1),   u | g ~ Gamma(g / 2, g / 2),   g uniform on a grid,   (mu, Lambda) | g normal-Wishart

The posterior is q(g) q(mu, Lambda | g) prod q(u | g). With D = E[(x - mu)' Lambda (x - mu)], a = (g + d) / 2 and
b = (g + D) / 2, the best q(u | g) is Gamma(a, b). The expected features at each g are E[u], E[u] x, E[u] x x' and

    g/2 log(g/2) - log Gamma(g/2) + log Gamma(a) - a log b + a (1 - g / (2 b)),

whose natural parameter is q(g). Missing values are Gaussian given u and are integrated out with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammaln, softmax

from bayesglm.mixtures.component import Array, Component, Drawn, Expected, Latent, Layout, Params, Symbolic, filled
from bayesglm.mixtures.components.gaussian import (
    Scatter,
    check_spread,
    divergences,
    draw_roots,
    posterior_of,
    scatter_of,
    wishart_prior,
)
from bayesglm.mixtures.gaps import complete, completed_sums, distance, patterns
from bayesglm.mixtures.grid import choose, describe_grid, quantile, start_place, write_place
from bayesglm.mixtures.scorer import scale_mixture
from bayesglm.mixtures.scorer.transforms import inverse
from bayesglm.mixtures.wishart import start_normal_wishart, write_normal_wishart

DEGREES = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 15.0, 30.0, 100.0])
_FEW = 1000  # rows for which no table is worth its making
_NEGLIGIBLE = 1e-20  # probability on the grid that no density shows


def _prior(data: Array, levels: int) -> Params:
    one = wishart_prior(data, levels)
    grid = len(DEGREES)
    return {**{name: np.repeat(values[:, None], grid, axis=1) for name, values in one.items()},
            "share": np.full((1, grid), 1 / grid)}


def _width(size: int) -> int:
    return len(DEGREES) * (2 + size + size * (size + 1) // 2) + 1


def _update(prior: Params, counts: Array, sums: Array) -> Params:
    count, grid = len(counts), len(DEGREES)
    each = sums[:, :-1].reshape(count, grid, -1)
    weight, moments, extra = each[..., 0], each[..., 1:-1], each[..., -1]
    flat = {name: np.broadcast_to(values, (count, *values.shape[1:])).reshape(count * grid, *values.shape[2:])
            for name, values in prior.items()}
    mean, kappa, scatter = posterior_of(flat, weight.ravel(), moments.reshape(count * grid, -1))
    shape = (count, grid)
    held = {"mean": mean.reshape(*shape, -1), "kappa": kappa.reshape(shape), "nu": prior["nu"] + counts[:, None],
            "psi": (flat["psi"] + scatter).reshape(*shape, *scatter.shape[1:])}
    scatter_held = scatter_of(held)
    constant, linear = _natural_given(held, scatter_held)
    at = counts[:, None] * constant + (np.concatenate([weight[..., None], moments], axis=2) * linear).sum(axis=2)
    evidence = at + extra - sum(divergences(prior, held, scatter_held))
    return {**held, "share": softmax(np.log(prior["share"]) + evidence, axis=1)}


def _natural_given(params: Params, scatter: Scatter) -> tuple[Array, Array]:
    """Return, at each g, the constant, and natural parameters of E[u], E[u] x and E[u] x x'."""
    mean, size = params["mean"], params["mean"].shape[2]
    precision = _precision(params, scatter)
    linear = (precision @ mean[..., None])[..., 0]
    i, j = np.triu_indices(size)
    level = -0.5 * (size / params["kappa"] + (mean * linear).sum(axis=2))
    square = precision[..., i, j] * np.where(i == j, -0.5, -1.0)
    return _level(scatter, size), np.concatenate([level[..., None], linear, square], axis=2)


def _level(scatter: Scatter, size: int) -> Array:
    return np.asarray(0.5 * (scatter.expected_log_det - size * np.log(2 * np.pi)))


def _precision(params: Params, scatter: Scatter) -> Array:
    return np.asarray(params["nu"][..., None, None] * scatter.inverse)


def _expected(prior: Params, params: Params) -> Expected:
    share, scatter = params["share"], scatter_of(params)
    constant, linear = _natural_given(params, scatter)
    each = np.concatenate([linear, np.ones((*share.shape, 1))], axis=2) * share[..., None]
    natural = np.hstack([each.reshape(len(share), -1), (share * constant).sum(axis=1, keepdims=True)])
    of_grid = np.where(share > 0, np.log(np.where(share > 0, share, 1.0) / prior["share"]), 0.0)
    divergence = (share * (sum(divergences(prior, params, scatter)) + of_grid)).sum(axis=1)
    return Expected(np.zeros(len(share)), natural, np.asarray(divergence))


def _expect(params: Params | None, data: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return expected log densities, and expected sums given responsibilities; see the module."""
    size, (i, j), grid = data.shape[1], np.triu_indices(data.shape[1]), len(DEGREES)
    mean = np.zeros((1, grid, size)) if params is None else params["mean"]
    scatter = None if params is None else scatter_of(params)
    precision = _precision(params, scatter) if params and scatter else np.broadcast_to(np.eye(size), (1, grid, size, size))
    half = DEGREES[:, None] / 2
    groups, logs = [], np.zeros((len(mean), len(data)))
    for rows, held in patterns(data):
        part, done, gone = data[np.ix_(rows, held)], complete(mean, precision, held), size - held.sum()
        a = half + held.sum() / 2
        at = half * np.log(half) - gammaln(half) + gammaln(a)
        if params is None or scatter is None:
            b = np.broadcast_to(a, (1, grid, len(rows)))
            at = at - a * np.log(b)
        else:
            b = half + (distance(part, mean[..., held], done.precision) + (size / params["kappa"])[..., None]) / 2
            at = at - a * np.log(b)
            level = _level(scatter, size) + 0.5 * (gone * np.log(2 * np.pi) - done.log_det)
            logs[:, rows] = np.einsum("kg,kgn->kn", params["share"], at) + (params["share"] * level).sum(axis=1, keepdims=True)
        entropy = 0.5 * (gone * (1 + np.log(2 * np.pi)) - done.log_det)
        groups.append((rows, part, done, a / b, at + a - half * (a / b) + entropy[..., None]))

    def sums(responsibilities: Array) -> Array:
        found = np.zeros((len(responsibilities), grid, size + len(i) + 2))
        for rows, part, done, scale, extra in groups:
            share = responsibilities[:, None, rows]
            of_scales = (share * extra).sum(axis=2)
            total = np.broadcast_to(share.sum(axis=2), of_scales.shape)
            weight, first, second = completed_sums(done, part, share * scale, total)
            found += np.concatenate([weight[..., None], first, second[..., i, j], of_scales[..., None]], axis=2)
        return np.hstack([found.reshape(len(found), -1), responsibilities.sum(axis=1, keepdims=True)])

    return logs, sums


def _pairs(params: Params, held: NDArray[np.bool_]) -> Mapping[str, Array]:
    """Return each component at each g that is not negligible as the scorer takes it, over the columns that are held."""
    k, g = np.nonzero(params["share"] > _NEGLIGIBLE)
    size, free = int(held.sum()), DEGREES[g]
    df, kappa = (params["nu"] - params["mean"].shape[2] + 1)[k, g], params["kappa"][k, g]
    root = np.linalg.cholesky(params["psi"][k, g][:, held][:, :, held] / df[:, None, None])
    of_x = gammaln((df + size) / 2) - gammaln(df / 2) - size / 2 * np.log(df * np.pi)
    of_u = free / 2 * np.log(free / 2) - gammaln(free / 2)
    log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return {"component": k.astype(np.float64), "df": df, "kappa": kappa, "free": free, "mean": params["mean"][k, g][:, held],
            "root": root, "constant": of_x + of_u - log_det + np.log(params["share"][k, g])}


def _predictive(params: Params, data: Array) -> Array:
    found = np.zeros((len(data), len(params["share"])))
    ready: dict[bytes, Callable[[Array], Array]] = {}
    for rows, held in patterns(data):
        if not held.any():
            continue
        key = held.tobytes()
        if key not in ready:
            ready[key] = scale_mixture(_pairs(params, held), exact=len(rows) < _FEW)
        found[rows] = ready[key](data[np.ix_(rows, held)])
    return found


def _exported(params: Params, layout: Layout) -> tuple[str, Mapping[str, Array]]:
    return "scale_mixture", _pairs(params, np.ones(len(layout.names), np.bool_))


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array,  # noqa: ARG001 - the contract's
              rng: np.random.Generator) -> Array:
    place = choose(params["share"][labels], 1, rng)[0]
    df = (params["nu"] - params["mean"].shape[2] + 1)[labels, place]
    root = np.linalg.cholesky(params["psi"])[labels, place]
    scale = rng.gamma(DEGREES[place] / 2) / (DEGREES[place] / 2)
    stretch = np.sqrt((1 / scale + 1 / params["kappa"][labels, place]) / rng.chisquare(df))
    noise = rng.standard_normal((len(labels), root.shape[1]))
    return np.asarray(params["mean"][labels, place] + stretch[:, None] * np.einsum("nij,nj->ni", root, noise))


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    place, count = choose(params["share"], size, rng), np.arange(len(params["share"]))
    held = {name: params[name][count, place] for name in ("mean", "kappa", "nu", "psi")}
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in held.items()}
    root = draw_roots(flat["nu"], flat["psi"], 1, rng)[0].reshape(held["psi"].shape)
    noise = (root @ rng.standard_normal((*held["mean"].shape, 1)))[..., 0]
    mean = held["mean"] + noise / np.sqrt(held["kappa"])[..., None]
    scatter, names = root @ root.swapaxes(-1, -2) * np.outer(layout.scale, layout.scale), layout.names
    return (Drawn("location", {"feature": names}, layout.center + layout.scale * mean),
            Drawn("scatter", {"feature": names, "feature_other": names}, scatter),
            Drawn("degrees_of_freedom", {}, DEGREES[place]))


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    """Return centers, half the widths of central 68.3% intervals for sds, since there may be none, and degrees of freedom."""
    share, size = params["share"], params["mean"].shape[2]
    mean = (share[..., None] * params["mean"]).sum(axis=1)
    at = np.diagonal(params["psi"], axis1=2, axis2=3) / (params["nu"] - size - 1)[..., None]
    reach = np.asarray(stats.t.ppf(stats.norm.cdf(1), DEGREES[quantile(share, 0.5)]))[:, None]
    scale = reach * np.sqrt((share[..., None] * at).sum(axis=1)) * layout.scale
    center = layout.center + layout.scale * mean
    low, middle, high = (inverse(layout.transforms, at) for at in (center - scale, center, center + scale))
    shown: dict[str, Array] = {}
    for j, name in enumerate(layout.names):
        shown |= {f"{name}_mean": middle[:, j], f"{name}_sd": (high - low)[:, j] / 2}
    return {**shown, **describe_grid("degrees_of_freedom", DEGREES, share)}


def _given_any(prior: Params) -> Params:
    """Return the prior of centers and precisions, which is the same at every g."""
    return {name: prior[name][:, 0] for name in ("mean", "kappa", "nu", "psi")}


def _write(prior: Params, data: Array, layout: Layout, count: int, name: str) -> tuple[Any, tuple[Drawn, ...]]:
    written = write_normal_wishart(_given_any(prior), count, len(layout.names), name)
    free = write_place(DEGREES, name, (count,))

    def radial(square: Any, size: int) -> Any:
        constant = pt.gammaln((free + size) / 2) - pt.gammaln(free / 2) - size / 2 * pt.log(free * np.pi)
        return constant - (free + size) / 2 * pt.log1p(square / free)

    logs = written.log_densities(data, name, radial)
    return logs, (*written.quantities(layout, "location", "scatter"), Drawn("degrees_of_freedom", {}, free))


def _start(prior: Params, params: Params) -> Mapping[str, Array]:
    share = params["share"]
    mean = (share[..., None] * params["mean"]).sum(axis=1)
    precision = (share[..., None, None] * _precision(params, scatter_of(params))).sum(axis=1)
    return {**start_normal_wishart(_given_any(prior), mean, precision), "place": start_place(share)}


MEMBER = Component(
    name="student_t", label="Student-t with full scatter", kinds=("numeric",), joint=True, scaled=True, check=check_spread,
    prior=_prior, coordinates=lambda data, levels: filled(data), features=lambda data, levels: np.empty((len(data), 0)),
    base=lambda data: np.zeros(len(data)), update=_update, expected=_expected, predictive=_predictive,
    simulate=_simulate, draw=_draw, describe=_describe,
    parameters=lambda size, levels, components: components * (size + size * (size + 1) // 2 + 1),
    source="Svensén and Bishop (2005), Neurocomputing 64, 235-252", latent=Latent(_width, _expect),
    exported=_exported, symbolic=Symbolic(_write, _start),
)
