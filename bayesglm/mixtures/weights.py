"""Weights: the prior over how often each component occurs, and its posterior.

Both priors have more components than are found; those without rows are at their prior and add nothing, so bounds with
different numbers of components can be compared.

    stick breaking:  v_k ~ Beta(1, concentration),  w_k = v_k prod_{j<k} (1 - v_j)
    Dirichlet:       w ~ Dirichlet(concentration / limit, ..., concentration / limit)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.special import betaln, digamma, gammaln

from bayesglm.mixtures.component import Array, Params


@dataclass(frozen=True, slots=True)
class Weights:
    """A prior over weights, as a record of functions.

    Attributes
    ----------
    name : str
        The name users write.
    update : callable
        ``update(counts, concentration, limit)`` gives the posterior's parameters for rows in each component.
    expected_log : callable
        ``expected_log(params)`` gives E[log w_k], shape (component,).
    divergence : callable
        ``divergence(params)`` gives the Kullback-Leibler divergence from the prior, a number.
    mean : callable
        ``mean(params)`` gives E[w_k], shape (component,); what is left belongs to components without rows.
    draw : callable
        ``draw(params, size, rng)`` gives weights of shape (draw, component), scaled to sum to one.
    write : callable
        ``write(concentration, limit, count)`` writes the weights of some components as PyMC variables; what is left of one
        belongs to the others.
    start : callable
        ``start(params)`` gives the values of these variables that the posterior expects.
    """

    name: str
    update: Callable[[Array, float, int], Params]
    expected_log: Callable[[Params], Array]
    divergence: Callable[[Params], float]
    mean: Callable[[Params], Array]
    draw: Callable[[Params, int, np.random.Generator], Array]
    write: Callable[[float, int, int], Any]
    start: Callable[[Params], Mapping[str, Array]]


def _stick_update(counts: Array, concentration: float, limit: int) -> Params:  # noqa: ARG001 - the contract's
    after = np.cumsum(counts[::-1])[::-1] - counts
    return {"a": 1 + counts, "b": concentration + np.maximum(after, 0), "concentration": np.array([concentration])}


def _stick_logs(params: Params) -> tuple[Array, Array]:
    total = digamma(params["a"] + params["b"])
    return digamma(params["a"]) - total, digamma(params["b"]) - total


def _stick_expected_log(params: Params) -> Array:
    taken, left = _stick_logs(params)
    return np.asarray(taken + np.cumsum(left) - left)


def _stick_divergence(params: Params) -> float:
    taken, left = _stick_logs(params)
    a, b, c = params["a"], params["b"], params["concentration"]
    return float((betaln(1.0, c) - betaln(a, b) + (a - 1) * taken + (b - c) * left).sum())


def _stick_mean(params: Params) -> Array:
    taken = params["a"] / (params["a"] + params["b"])
    return np.asarray(taken * np.cumprod(np.concatenate([[1.0], 1 - taken[:-1]])))


def _stick_draw(params: Params, size: int, rng: np.random.Generator) -> Array:
    sticks = rng.beta(params["a"], params["b"], (size, len(params["a"])))
    left = np.cumprod(1 - sticks, axis=1)
    weights = sticks * np.hstack([np.ones((size, 1)), left[:, :-1]])
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _dirichlet_update(counts: Array, concentration: float, limit: int) -> Params:
    return {"alpha": concentration / limit + counts, "prior": np.array([concentration / limit]),
            "total": np.array([concentration + counts.sum()]), "concentration": np.array([concentration])}


def _dirichlet_expected_log(params: Params) -> Array:
    return np.asarray(digamma(params["alpha"]) - digamma(params["total"]))


def _dirichlet_divergence(params: Params) -> float:
    a, a0 = params["alpha"], params["prior"]
    each = gammaln(a0) - gammaln(a) + (a - a0) * _dirichlet_expected_log(params)
    return float(each.sum() + (gammaln(params["total"]) - gammaln(params["concentration"]))[0])


def _dirichlet_mean(params: Params) -> Array:
    return np.asarray(params["alpha"] / params["total"])


def _dirichlet_draw(params: Params, size: int, rng: np.random.Generator) -> Array:
    return rng.dirichlet(params["alpha"], size)


def _stick_write(concentration: float, limit: int, count: int) -> Any:  # noqa: ARG001 - the contract's
    stick = pm.Beta("stick", np.ones(count), np.full(count, concentration), shape=(count,))
    left = pt.cumprod(1 - stick)
    return stick * pt.concatenate([np.ones(1), left[:-1]])


def _stick_start(params: Params) -> Mapping[str, Array]:
    return {"stick": params["a"] / (params["a"] + params["b"])}


def _dirichlet_write(concentration: float, limit: int, count: int) -> Any:
    each = concentration / limit
    if limit == 1:
        return pt.ones(1)
    shapes = [each] * count + ([each * (limit - count)] if limit > count else [])
    return pm.Dirichlet("share", a=np.array(shapes), shape=(len(shapes),))[:count]


def _dirichlet_start(params: Params) -> Mapping[str, Array]:
    share = params["alpha"] / params["total"]
    left = 1 - share.sum()
    if len(share) == 1 and left <= 0:
        return {}
    return {"share": np.append(share, left) if left > 1e-12 else share}


WEIGHTS: Mapping[str, Weights] = {
    each.name: each for each in (
        Weights("dirichlet_process", _stick_update, _stick_expected_log, _stick_divergence, _stick_mean, _stick_draw,
                _stick_write, _stick_start),
        Weights("dirichlet", _dirichlet_update, _dirichlet_expected_log, _dirichlet_divergence, _dirichlet_mean,
                _dirichlet_draw, _dirichlet_write, _dirichlet_start),
    )
}
