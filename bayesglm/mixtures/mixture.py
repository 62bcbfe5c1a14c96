"""Mixture and MixtureFit: what users hold. A mixture is what is believed, a fit is what was learnt; neither changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesglm.data.door import read_table
from bayesglm.data.schema import Schema
from bayesglm.data.table import Table
from bayesglm.errors import DuplicateColumnError, OptionError, unknown
from bayesglm.mixtures.ascent import Posterior, Problem
from bayesglm.mixtures.columns import Part, components_of, parts_of, rows_of
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.expectation import assign
from bayesglm.mixtures.scoring import log_density, simulate, tail_probability
from bayesglm.mixtures.search import Found, find
from bayesglm.mixtures.weights import WEIGHTS, Weights
from bayesglm.predict import LEVEL, check_seed, interval_names

_INTERVAL_DRAWS = 4000
_MOST_BYTES = 4e9


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Mixture:
    """A Bayesian mixture of the rows of a table, which finds its own number of components.

    The rows are independent draws from ``sum_k w_k prod_b p_b(x_b | theta_kb)``: numeric columns are jointly Gaussian within
    a component (or as ``component`` says), booleans and strings are categorical.

    Parameters
    ----------
    columns : sequence of str
        The columns to describe.
    data : data frame
        pandas, Polars, PyArrow, or anything narwhals reads; every value must be there.
    max_components : int
        Most components that are tried; the number that is used is found.
    transform : mapping, optional
        Column to ``"log"``: Gaussian on the log scale.
    component : str or mapping
        What describes the numeric columns (``"gaussian"``, ``"diagonal_gaussian"``, ``"poisson"``), or column to that.
    weights : {"dirichlet_process", "dirichlet"}
        Stick-breaking weights, or a sparse finite Dirichlet.
    concentration : float
        Of the weights' prior; the larger, the more components before seeing data.

    Raises
    ------
    BayesGLMError
        One of its kinds for each fault, with the column, the value, the rule and the fix.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> data = {"x": np.concatenate([rng.normal(0, 1, 200), rng.normal(9, 1, 100)])}
    >>> fit = Mixture(["x"], data).fit(seed=1)
    >>> fit.components.round(1)[["id", "weight", "x_mean", "x_sd"]].to_dict("records")
    [{'id': 1, 'weight': 0.7, 'x_mean': -0.1, 'x_sd': 0.9}, {'id': 2, 'weight': 0.3, 'x_mean': 8.8, 'x_sd': 0.9}]
    """

    table: Table
    schema: Schema
    parts: tuple[Part, ...]
    prior: Weights
    concentration: float
    max_components: int

    def __init__(
        self,
        columns: Sequence[str],
        data: Any,
        *,
        max_components: int = 20,
        transform: Mapping[str, str] | None = None,
        component: str | Mapping[str, str] = "gaussian",
        weights: str = "dirichlet_process",
        concentration: float = 1.0,
    ) -> None:
        names = _checked_names(columns)
        _check_limit(max_components)
        if weights not in WEIGHTS:
            raise unknown("prior of the weights", weights, WEIGHTS)
        if not 0 < concentration < np.inf:
            raise OptionError(f"concentration={concentration!r}", value=concentration, rule="it is a number above 0",
                              fix="Leave it out for 1.")
        table, schema = read_table(data, names)
        if table.rows < 2:
            raise OptionError("the table has one row", value=1, rule="a mixture needs at least two rows", fix="Add rows.")
        parts = parts_of(names, table, components_of(names, table, component), transform or {})
        _check_size(parts, table)
        made = {"table": table, "schema": schema, "parts": parts, "prior": WEIGHTS[weights],
                "concentration": float(concentration), "max_components": int(max_components)}
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        described = "; ".join(f"{', '.join(part.layout.names)}: {part.component.label}" for part in self.parts)
        return (f"Mixture of {self.table.rows} rows, at most {self.max_components} components, "
                f"{self.prior.name} weights\n  {described}")

    def fit(self, seed: int) -> MixtureFit:
        """Return the posterior by coordinate ascent, with the number of components that has the largest bound found.

        Parameters
        ----------
        seed : int
            For the subsample on which structure is searched, the starts and the splits. Same seed, same fit.
        """
        seed = check_seed(seed)
        numbers = [part.numbers(self.table) for part in self.parts]
        blocks = tuple(part.block(each) for part, each in zip(self.parts, numbers, strict=True))
        bases = np.sum([part.component.base(each) for part, each in zip(self.parts, numbers, strict=True)], axis=0)
        problem = Problem(blocks, self.prior, self.concentration, self.max_components, rows_of(self.parts, numbers),
                          float(bases.sum()))
        found = find(problem, _coordinates(self.parts, numbers), bases, seed)
        return MixtureFit(self.schema, self.parts, self.prior, found, seed)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixtureFit:
    """What a mixture learnt of a table.

    Attributes
    ----------
    schema : Schema
        What the columns were like; new data are held against it.
    parts : tuple of Part
        The components' kinds and the scales of their columns.
    prior : Weights
        Prior of the weights.
    found : Found
        The posterior, the bounds on the way, and what the search saw from either end.
    seed : int
        The seed of the fit.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> data = {"x": np.concatenate([rng.normal(0, 1, 200), rng.normal(9, 1, 100)])}
    >>> fit = Mixture(["x"], data).fit(seed=1)
    >>> new = {"x": [0.0, 9.0, 100.0]}
    >>> fit.responsibilities(new).round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> (fit.tail_probability(new, seed=1) < 0.01).tolist()
    [False, False, True]
    """

    schema: Schema
    parts: tuple[Part, ...]
    prior: Weights
    found: Found
    seed: int

    @property
    def posterior(self) -> Posterior:
        """Parameters of the posterior."""
        return self.found.climb.posterior

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the components, from 1 for the largest."""
        return tuple(range(1, self.posterior.size + 1))

    @property
    def bound(self) -> float:
        """Lower bound of the log evidence, of the numbers that the components see."""
        return self.found.climb.bound

    @property
    def components(self) -> pd.DataFrame:
        """One line a component, the largest first: id, mean weight with 90% interval, mean and sd in original units.

        The weights' intervals are equal-tailed, from posterior draws with the fit's seed. A column on the log scale has
        the mean and sd of a log-normal; a categorical one has the probability of each level. Means and sds are those of
        the expected parameters.
        """
        weights = self.prior.draw(self.posterior.weights, _INTERVAL_DRAWS, np.random.default_rng(self.seed))
        low, high = interval_names("weight", LEVEL)
        ends = np.quantile(weights, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        shown: dict[str, Any] = {"id": list(self.ids), "weight": self.weights, low: ends[0], high: ends[1]}
        for part, params in zip(self.parts, self.posterior.params, strict=True):
            shown |= part.component.describe(params, part.layout)
        return pd.DataFrame(shown)

    @property
    def weights(self) -> Array:
        """Mean weights, shape (component,), scaled to sum to one."""
        weights = self.prior.mean(self.posterior.weights)
        return np.asarray(weights / weights.sum())

    def responsibilities(self, data: Any) -> Array:
        """Return the probability of each component for each row, shape (row, component).

        Rows sum to one even where a row is far from every component: for what is unusual see `tail_probability`.
        """
        rows = rows_of(self.parts, self._numbers(data))
        return assign(self.posterior.natural, self.posterior.params, rows)[0].T

    def score(self, data: Any) -> Array:
        """Return the log predictive density of each row, shape (row,), in original units (nats).

        It depends on the units and on the columns: compare it on the same columns only.
        """
        numbers = self._numbers(data)
        jacobian = np.sum([part.log_jacobian(each) for part, each in zip(self.parts, numbers, strict=True)], axis=0)
        return np.asarray(log_density(self.parts, self.posterior, self.weights, numbers) + jacobian)

    def tail_probability(self, data: Any, *, seed: int = 1, size: int = 20_000) -> Array:
        """Return how much of the predictive mixture is at most as dense as each row, shape (row,).

        Densities are compared on the scale the components see: after the transform, in sds of each column.

        Parameters
        ----------
        data : data frame
            Rows with the columns of the fit.
        seed : int
            For the simulated rows.
        size : int
            How many are simulated; the smallest answer is 1 / (size + 1).
        """
        size = _checked_size(size)
        simulated = simulate(self.parts, self.posterior, self.weights, size, check_seed(seed))
        density = log_density(self.parts, self.posterior, self.weights, self._numbers(data))
        return tail_probability(density, log_density(self.parts, self.posterior, self.weights, simulated))

    def draws(self, seed: int, size: int = 1000) -> xr.DataTree:
        """Return posterior draws of weights and parameters as a DataTree for ArviZ.

        Parameters
        ----------
        seed : int
            For the draws.
        size : int
            How many.

        Returns
        -------
        DataTree
            Group ``posterior``, dims chain, draw, component and, for Gaussian columns, feature; parameters of a column on
            the log scale are on the log scale.
        """
        rng, size = np.random.default_rng(check_seed(seed)), _checked_size(size)
        dims = ("chain", "draw", "component")
        coords: dict[str, Any] = {"chain": [0], "draw": np.arange(size), "component": list(self.ids)}
        held: dict[str, Any] = {"weight": (dims, self.prior.draw(self.posterior.weights, size, rng)[None])}
        for part, params in zip(self.parts, self.posterior.params, strict=True):
            for each in part.component.draw(params, part.layout, size, rng):
                held[each.name] = ((*dims, *each.labels), each.values[None])
                coords |= {dim: list(labels) for dim, labels in each.labels.items()}
        return xr.DataTree.from_dict({"posterior": xr.Dataset(held, coords)})

    def __repr__(self) -> str:
        climb = self.found.climb
        state = "converged" if climb.converged else "not converged"
        return (f"MixtureFit: {self.posterior.size} components of {self.schema.rows} rows, bound {self.bound:.2f}, "
                f"{len(climb.bounds) // 2} sweeps, {state}\n{self.components.to_string(index=False)}")

    def _numbers(self, data: Any) -> list[Array]:
        names = [name for part in self.parts for name in part.layout.names]
        table, _ = read_table(data, names, self.schema)
        return [part.numbers(table) for part in self.parts]


def _checked_names(columns: Sequence[str]) -> tuple[str, ...]:
    if isinstance(columns, str) or not columns:
        raise OptionError(f"columns={columns!r}", value=columns, rule="columns are a list of at least one name",
                          fix="Give a list: ['latency_ms', 'cpu'].")
    names = tuple(columns)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DuplicateColumnError("the column is named twice", column=twice[0], value=twice[0],
                                   rule="each column is described once", fix="Name it once.")
    return names


def _check_limit(limit: object) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1:
        raise OptionError(f"max_components={limit!r}", value=limit, rule="it is a whole number >= 1", fix="Leave it out for 20.")


def _check_size(parts: Sequence[Part], table: Table) -> None:
    """Refuse features that would not fit: a full covariance has as many as its entries, and all rows are held at once."""
    width = 1 + sum(part.width for part in parts)
    size = 8 * width * table.rows
    if size > _MOST_BYTES:
        raise OptionError(f"{table.rows} rows with {width} features need {size / 1e9:.1f} GB", value=size,
                          rule=f"features of all rows are held in at most {_MOST_BYTES / 1e9:g} GB",
                          fix="Give component='diagonal_gaussian', fewer columns, or a sample of the rows.")


def _checked_size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise OptionError(f"size={size!r}", value=size, rule="a size is a whole number >= 1", fix="Leave it out.")
    return int(size)


def _coordinates(parts: Sequence[Part], numbers: Sequence[Array]) -> Array:
    return np.hstack([part.component.coordinates(held, len(part.layout.levels))
                      for part, held in zip(parts, numbers, strict=True)])
