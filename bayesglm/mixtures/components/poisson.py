"""Poisson counts with gamma priors.

rate_j ~ Gamma(shape_j, per_j), x_j ~ Poisson(rate_j); the predictive is negative binomial.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from bayesglm.data.faults import raise_where
from bayesglm.errors import ColumnTypeError, OptionError
from bayesglm.mixtures.component import Array, Component, Drawn, Layout, Params


def _check(name: str, values: Array) -> None:
    raise_where((values < 0) | (values != np.floor(values)), ColumnTypeError, "{} values that are no counts", column=name,
                values=values, rule="a poisson component needs whole numbers >= 0",
                fix="Correct the rows, or describe the column by 'gaussian'.")
    if not values.any():
        raise OptionError("the column is 0 in every row", column=name, value=0.0,
                          rule="a poisson component needs a column that varies", fix=f"Leave {name!r} out of the columns.")


def _prior(data: Array, levels: int) -> Params:  # noqa: ARG001 - the contract's
    mean = data.mean(axis=0)[None]
    return {"shape": np.ones_like(mean), "per": 1 / mean}


def _update(prior: Params, counts: Array, sums: Array) -> Params:
    return {"shape": prior["shape"] + sums, "per": prior["per"] + counts[:, None]}


def _natural(params: Params) -> tuple[Array, Array]:
    return -(params["shape"] / params["per"]).sum(axis=1), digamma(params["shape"]) - np.log(params["per"])


def _divergence(prior: Params, params: Params) -> Array:
    a0, a, b0, b = prior["shape"], params["shape"], prior["per"], params["per"]
    each = (a - a0) * digamma(a) - gammaln(a) + gammaln(a0) + a0 * np.log(b / b0) + a * (b0 / b - 1)
    return np.asarray(each.sum(axis=1))


def _predictive(params: Params, data: Array) -> Array:
    shape, per, x = params["shape"][None], params["per"][None], data[:, None, :]
    each = gammaln(x + shape) - gammaln(shape) - gammaln(x + 1) - shape * np.log1p(1 / per) - x * np.log1p(per)
    return np.asarray(each.sum(axis=2))


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array,
              rng: np.random.Generator) -> Array:
    return rng.poisson(exposure * rng.gamma(params["shape"][labels]) / params["per"][labels]).astype(np.float64)


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    rates = rng.gamma(params["shape"], size=(size, *params["shape"].shape)) / params["per"]
    return (Drawn("rate", {"count_feature": layout.names}, rates),)


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    shown: dict[str, Array] = {}
    rate = params["shape"] / params["per"]
    for j, name in enumerate(layout.names):
        shown |= {f"{name}_mean": rate[:, j], f"{name}_sd": np.sqrt(rate[:, j])}
    return shown


MEMBER = Component(
    name="poisson", label="Poisson counts", kinds=("numeric",), joint=True, scaled=False, check=_check, prior=_prior,
    coordinates=lambda data, levels: 2 * np.sqrt(data), features=lambda data, levels: data,
    base=lambda data: -gammaln(data + 1).sum(axis=1), update=_update, natural=_natural, divergence=_divergence,
    predictive=_predictive, simulate=_simulate, draw=_draw, describe=_describe,
    parameters=lambda size, levels, components: components * (size),
    source="Gelman et al. (2013), Bayesian Data Analysis, section 2.6",
)
