"""Categories with a Dirichlet prior: p ~ Dirichlet(1, ..., 1), x ~ Categorical(p)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from bayesglm.errors import OptionError
from bayesglm.mixtures.component import Array, Component, Drawn, Expected, Layout, Params, Symbolic


def _check(name: str, values: Array) -> None:
    if np.nanmax(values) == np.nanmin(values):
        raise OptionError("the column has one level", column=name, value=float(np.nanmax(values)),
                          rule="a categorical component needs at least two", fix=f"Leave {name!r} out of the columns.")


def _one_hot(data: Array, levels: int) -> Array:
    return np.asarray((data == np.arange(levels)).astype(np.float64))


def _natural(params: Params) -> tuple[Array, Array]:
    alpha = params["alpha"]
    return np.zeros(len(alpha)), digamma(alpha) - digamma(alpha.sum(axis=1, keepdims=True))


def _divergence(prior: Params, params: Params) -> Array:
    a0, a = prior["alpha"], params["alpha"]
    total = a.sum(axis=1, keepdims=True)
    return np.asarray(gammaln(total[:, 0]) - gammaln(a0.sum(axis=1)) + (gammaln(a0) - gammaln(a)).sum(axis=1)
                      + ((a - a0) * (digamma(a) - digamma(total))).sum(axis=1))


def _expected(prior: Params, params: Params) -> Expected:
    return Expected(*_natural(params), _divergence(prior, params))


def _shares(params: Params) -> Array:
    return np.asarray(params["alpha"] / params["alpha"].sum(axis=1, keepdims=True))


def _predictive(params: Params, data: Array) -> Array:
    held = ~np.isnan(data[:, 0])
    found = np.zeros((len(data), len(params["alpha"])))
    found[held] = np.log(_shares(params)).T[data[held, 0].astype(np.intp)]
    return found


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array,  # noqa: ARG001 - the contract's
              rng: np.random.Generator) -> Array:
    passed = np.cumsum(_shares(params), axis=1)[labels]
    codes = (rng.random((len(labels), 1)) > passed[:, :-1]).sum(axis=1)
    return codes[:, None].astype(np.float64)


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    gamma = rng.gamma(params["alpha"], size=(size, *params["alpha"].shape))
    name = layout.names[0]
    return (Drawn(f"probability_{name}", {f"{name}_level": layout.levels}, gamma / gamma.sum(axis=2, keepdims=True)),)


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    shares = _shares(params)
    return {f"{layout.names[0]}={level}": shares[:, j] for j, level in enumerate(layout.levels)}


def _write(prior: Params, data: Array, layout: Layout, count: int, name: str) -> tuple[Any, tuple[Drawn, ...]]:
    levels, column = len(layout.levels), layout.names[0]
    shares = pm.Dirichlet(f"{name}probability", a=np.tile(prior["alpha"], (count, 1)), shape=(count, levels))
    reported = Drawn(f"probability_{column}", {f"{column}_level": layout.levels}, shares)
    return pm.Data(f"{name}data", _one_hot(data, levels)) @ pt.log(shares).T, (reported,)


def _start(prior: Params, params: Params) -> Mapping[str, Array]:  # noqa: ARG001 - the contract's
    return {"probability": _shares(params)}


MEMBER = Component(
    name="categorical", label="Categories", kinds=("category", "boolean", "numeric"), joint=False, scaled=False, check=_check,
    prior=lambda data, levels: {"alpha": np.ones((1, levels))}, coordinates=_one_hot, features=_one_hot,
    base=lambda data: np.zeros(len(data)),
    update=lambda prior, counts, sums: {"alpha": prior["alpha"] + sums}, expected=_expected,
    predictive=_predictive, simulate=_simulate, draw=_draw, describe=_describe,
    parameters=lambda size, levels, components: components * (levels - 1),
    source="Gelman et al. (2013), Bayesian Data Analysis, section 3.4", symbolic=Symbolic(_write, _start),
    exported=lambda params, layout: ("categories", {"log_probability": np.log(_shares(params))}),
)
