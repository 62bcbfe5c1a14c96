"""Poisson counts with gamma priors.

rate_j ~ Gamma(shape_j, per_j), x_j ~ Poisson(exposure_j rate_j); the predictive is negative binomial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from bayesglm.data.faults import raise_where
from bayesglm.errors import ColumnTypeError, OptionError
from bayesglm.mixtures.component import Array, Component, Drawn, Expected, Layout, Params, Symbolic
from bayesglm.mixtures.scorer import GammaPoisson
from bayesglm.mixtures.scorer.counts import Counted
from bayesglm.mixtures.scorer.surfaces import THREADS, Density

_LARGEST = 2.0**53  # beyond it float64 has no odd numbers
_ROWS = 4096  # cells at once, to bound memory
_MANY, _AT_ONCE = 4096, 1024  # rows for which polynomials are made, and that are read off them at once


def check_counts(name: str, values: Array) -> None:
    """Raise where values are no counts, or too large to be counted by one."""
    wrong = (values < 0) | (values > _LARGEST) | (values != np.floor(values)) & ~np.isnan(values)
    raise_where(wrong, ColumnTypeError, "{} values that are no counts", column=name, values=values,
                rule="a component of counts needs whole numbers from 0 to 2^53",
                fix="Correct the rows, or describe the column by 'gaussian'.")


def check_some(name: str, values: Array) -> None:
    """Raise where nothing was counted in any row."""
    if not np.nansum(values) > 0:
        raise OptionError("the column is 0 in every row", column=name, value=0.0,
                          rule="a component of counts needs a column that varies", fix=f"Leave {name!r} out of the columns.")


def counts_and_exposure(data: Array) -> tuple[Array, Array]:
    """Return counts and exposures, both 0 where a count is missing: such a cell adds nothing to any sum."""
    size = data.shape[1] // 2
    held = ~np.isnan(data[:, :size])
    return np.where(held, data[:, :size], 0.0), np.where(held, data[:, size:], 0.0)


def mean_rate(data: Array) -> Array:
    """Return total counts over total exposure, shape (1, column)."""
    counts, exposure = counts_and_exposure(data)
    return np.asarray((counts.sum(axis=0) / exposure.sum(axis=0))[None])


def root_rates(data: Array) -> Array:
    """Return 2 sqrt(rate), whose spread hardly depends on the rate; the mean rate where a count is missing."""
    counts, exposure = counts_and_exposure(data)
    unseen = exposure == 0
    return np.asarray(2 * np.sqrt(np.where(unseen, mean_rate(data), counts / np.where(unseen, 1.0, exposure))))


def over_cells(data: Array, columns: Sequence[Counted]) -> Array:
    """Return log probabilities of rows, shape (row, component), from those of each column's distinct cells.

    Where many rows have exposures of their own, usual counts are read off polynomials; see `bayesglm.mixtures.scorer.surfaces`.

    Parameters
    ----------
    data : array, shape (row, 2 column)
        Counts and exposures.
    columns : sequence of Counted
        The columns.
    """
    size = len(columns)
    if len(data) >= _MANY and (data[:, size:] != data[0, size:]).any():
        of = Density.of(columns, [False] * size).ready(list(np.ascontiguousarray(data.T)))
        pieces = [data[start:start + _AT_ONCE] for start in range(0, len(data), _AT_ONCE)]
        with ThreadPoolExecutor(THREADS) as threads:
            return np.concatenate(list(threads.map(of, pieces)))
    counts, exposure = counts_and_exposure(data)
    found: list[Array] = []
    for j, column in enumerate(columns):
        cells, place = np.unique(counts[:, j] + 1j * exposure[:, j], return_inverse=True)
        pieces = [cells[start:start + _ROWS, None] for start in range(0, len(cells), _ROWS)]
        logs = [column.complete(column.of_count(each.real), each.real, each.imag) for each in pieces]
        found.append(np.concatenate(logs)[place])
    return np.asarray(sum(found))


def base_counts(data: Array) -> Array:
    """Return what counts and exposures add to a log probability whatever the rate."""
    counts, exposure = counts_and_exposure(data)
    return np.asarray((counts * np.log(np.where(exposure > 0, exposure, 1.0)) - gammaln(counts + 1)).sum(axis=1))


def with_exposure(counts: NDArray[Any], exposure: Array) -> Array:
    """Return data of counts and their exposures."""
    return np.hstack([counts.astype(np.float64), np.broadcast_to(exposure, counts.shape)])


def describe_counts(layout: Layout, column: int, mean: Array, variance: Array) -> Mapping[str, Array]:
    """Return mean and sd of a count at the mean exposure, and the mean over exposure 1 where there is one."""
    name, exposure = layout.names[column], layout.exposure[column]
    rate = {f"{name}_per_{exposure}": mean / layout.exposure_unit[column]} if exposure else {}
    return {f"{name}_mean": mean, f"{name}_sd": np.sqrt(variance), **rate}


def _prior(data: Array, levels: int) -> Params:  # noqa: ARG001 - the contract's
    mean = mean_rate(data)
    return {"shape": np.ones_like(mean), "per": 1 / mean}


def _features(data: Array, levels: int) -> Array:  # noqa: ARG001 - the contract's
    return np.hstack(counts_and_exposure(data))


def _update(prior: Params, counts: Array, sums: Array) -> Params:  # noqa: ARG001 - missing counts have no exposure
    size = prior["shape"].shape[1]
    return {"shape": prior["shape"] + sums[:, :size], "per": prior["per"] + sums[:, size:]}


def _natural(params: Params) -> tuple[Array, Array]:
    shape, per = params["shape"], params["per"]
    return np.zeros(len(shape)), np.hstack([digamma(shape) - np.log(per), -shape / per])


def _divergence(prior: Params, params: Params) -> Array:
    a0, a, b0, b = prior["shape"], params["shape"], prior["per"], params["per"]
    each = (a - a0) * digamma(a) - gammaln(a) + gammaln(a0) + a0 * np.log(b / b0) + a * (b0 / b - 1)
    return np.asarray(each.sum(axis=1))


def _expected(prior: Params, params: Params) -> Expected:
    return Expected(*_natural(params), _divergence(prior, params))


def _predictive(params: Params, data: Array) -> Array:
    return over_cells(data, [GammaPoisson(*each) for each in zip(params["shape"].T, params["per"].T, strict=True)])


def without_exposure(layout: Layout) -> Array:
    """Return 1 for the columns that have no exposure, else 0, shape (column,)."""
    return np.array([not name for name in layout.exposure], np.float64)


def _exported(params: Params, layout: Layout) -> tuple[str, Mapping[str, Array]]:
    return "poisson", {"shape": params["shape"], "per": params["per"], "fixed": without_exposure(layout)}


def _simulate(params: Params, labels: NDArray[np.intp], exposure: Array, rng: np.random.Generator) -> Array:
    rate = rng.gamma(params["shape"][labels]) / params["per"][labels]
    return with_exposure(rng.poisson(exposure * rate), exposure)


def _draw(params: Params, layout: Layout, size: int, rng: np.random.Generator) -> tuple[Drawn, ...]:
    rates = rng.gamma(params["shape"], size=(size, *params["shape"].shape)) / params["per"]
    return (Drawn("rate", {"count_feature": layout.names}, rates / layout.exposure_unit),)


def _describe(params: Params, layout: Layout) -> Mapping[str, Array]:
    shown: dict[str, Array] = {}
    rate = params["shape"] / params["per"]
    for j in range(len(layout.names)):
        shown |= describe_counts(layout, j, rate[:, j], rate[:, j])
    return shown


def _write(prior: Params, data: Array, layout: Layout, count: int, name: str) -> tuple[Any, tuple[Drawn, ...]]:
    counts, exposure = counts_and_exposure(data)
    one = np.ones((count, 1))
    rate = pm.Gamma(f"{name}rate", alpha=one * prior["shape"], beta=one * prior["per"], shape=(count, counts.shape[1]))
    logs = pm.Data(f"{name}counts", counts) @ pt.log(rate).T - pm.Data(f"{name}exposure", exposure) @ rate.T
    return logs, (Drawn("rate", {"count_feature": layout.names}, rate / layout.exposure_unit),)


def _start(prior: Params, params: Params) -> Mapping[str, Array]:  # noqa: ARG001 - the contract's
    return {"rate": params["shape"] / params["per"]}


MEMBER = Component(
    name="poisson", label="Poisson counts", kinds=("numeric",), joint=True, scaled=False, check=check_some, prior=_prior,
    coordinates=lambda data, levels: root_rates(data), features=_features, base=base_counts, update=_update, expected=_expected,
    predictive=_predictive, simulate=_simulate, draw=_draw, describe=_describe,
    parameters=lambda size, levels, components: components * size,
    source="Gelman et al. (2013), Bayesian Data Analysis, section 2.6", check_values=check_counts, exposed=True,
    exported=_exported, symbolic=Symbolic(_write, _start),
)
