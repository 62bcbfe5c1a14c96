"""FittedMixture: what a mixture learnt of a table, as a value: parameters, densities and memberships of rows.

What people ask of it beyond that are the methods of `MixtureFit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesglm.data.door import read_table
from bayesglm.data.schema import Schema
from bayesglm.data.table import Table
from bayesglm.errors import OptionError
from bayesglm.mixtures.ascent import Posterior, Problem
from bayesglm.mixtures.columns import Part, rows_of
from bayesglm.mixtures.component import Array, together
from bayesglm.mixtures.expectation import assign
from bayesglm.mixtures.identity import Identity
from bayesglm.mixtures.intervals import parameter_table
from bayesglm.mixtures.profile import contrasts, distinguished_by
from bayesglm.mixtures.projection import Projection
from bayesglm.mixtures.sampled import Sampled
from bayesglm.mixtures.scoring import log_density, tail_probabilities
from bayesglm.mixtures.search import Found
from bayesglm.mixtures.weights import Weights
from bayesglm.predict import LEVEL, check_seed, interval_names

_INTERVAL_DRAWS = 4000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FittedMixture:
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
    priors : Problem
        What was believed before, a problem without rows.
    identity : Identity
        Ids of the components, and what is remembered of each.
    table : Table, optional
        The rows it was fitted to, where they are at hand.
    sampled : Sampled, optional
        Draws by NUTS or ADVI, where that was the engine.
    projection : Projection, optional
        How columns become the scores that are described, where they do.
    """

    schema: Schema
    parts: tuple[Part, ...]
    prior: Weights
    found: Found
    seed: int
    priors: Problem
    identity: Identity
    table: Table | None = None
    sampled: Sampled | None = None
    projection: Projection | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a table that are read, exposures included."""
        names = [name for part in self.parts for name in part.columns]
        if self.projection is not None:
            names = [*self.projection.columns, *(name for name in names if name not in self.projection.names)]
        return tuple(dict.fromkeys(names))

    @property
    def posterior(self) -> Posterior:
        """Parameters of the posterior."""
        return self.found.climb.posterior

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the components: from 1 for the largest in a first fit, and theirs for good."""
        return self.identity.ids

    @property
    def bound(self) -> float:
        """Lower bound of the log evidence, of the numbers that the components see."""
        return self.found.climb.bound

    @property
    def components(self) -> pd.DataFrame:
        """One line a component, the largest first: id, mean weight with 90% interval, mean and sd in original units.

        ``rows`` is how many rows stand behind a component, less what was forgotten of them; ``since`` the refresh in which it
        was first seen, 0 for the first fit.

        The weights' intervals are equal-tailed, from posterior draws with the fit's seed. A transformed column has
        the mean and sd of its values, not of the transformed ones; a categorical one has the probability of each level. Means
        and sds are those of the expected parameters. With a projection they are those of the scores, and what mean scores
        stand for is added: ``x_mean`` for each column, ``x_median`` where it is transformed. ``distinguished_by`` says in
        which columns a component differs most from the others.
        """
        weights = self.prior.draw(self.posterior.weights, _INTERVAL_DRAWS, np.random.default_rng(self.seed))
        low, high = interval_names("weight", LEVEL)
        ends = np.quantile(weights, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        shown: dict[str, Any] = {"id": list(self.ids), **self.identity.columns()}
        shown |= {"weight": self.weights, low: ends[0], high: ends[1], "rows": self.posterior.counts,
                  "since": [self.identity.since(own) for own in self.ids]}
        for part, params in zip(self.parts, self.posterior.params, strict=True):
            shown |= part.component.describe(params, part.layout)
        found = contrasts(self.parts, self.posterior.params, self.weights)
        if self.projection is not None:
            shown |= self.projection.describe(np.column_stack([shown[f"{name}_mean"] for name in self.projection.names]))
        return pd.DataFrame(shown | {"distinguished_by": [distinguished_by(found, k) for k in range(self.posterior.size)]})

    @property
    def weights(self) -> Array:
        """Mean weights, shape (component,), scaled to sum to one."""
        weights = self.prior.mean(self.posterior.weights)
        return np.asarray(weights / weights.sum())

    def responsibilities(self, data: Any) -> Array:
        """Return the probability of each component for each row, shape (row, component).

        Rows sum to one even where a row is far from every component: for what is unusual see `tail_probability`.
        """
        rows = rows_of(self.parts, self.numbers(data))
        return assign(self.posterior.natural, self.posterior.params, rows)[0].T

    def score(self, data: Any) -> Array:
        """Return the log predictive density of each row, shape (row,), in original units (nats).

        It depends on the units and on the columns: compare it on the same columns only. With a projection on fewer scores than
        columns, where rows have no density in original units, it is that of the scores.
        """
        table = self.read(data)
        numbers = [part.numbers(table) for part in self.parts]
        return log_density(self.parts, self.posterior, self.weights, numbers) + self.log_jacobian(table, numbers)

    def log_jacobian(self, table: Table, numbers: Sequence[Array]) -> Array:
        """Return what turns log densities of rows' numbers into those of their columns, shape (row,)."""
        found = np.sum([part.log_jacobian(each) for part, each in zip(self.parts, numbers, strict=True)], axis=0)
        return np.asarray(found if self.projection is None else found + self.projection.log_jacobian(table))

    def tail_probability(self, data: Any, *, seed: int = 1, size: int = 20_000) -> Array:
        """Return how much of the predictive mixture is at most as dense as each row, shape (row,).

        Densities are compared on the scale the components see: after the transform, in sds of each column; over the values
        that a row has; and with rows of the same exposure, simulated for each exposure that occurs.

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
        return tail_probabilities(self.parts, self.posterior, self.weights, self.numbers(data), size, check_seed(seed))

    def draws(self, seed: int, size: int = 1000) -> xr.DataTree:
        """Return posterior draws of weights and parameters as a DataTree for ArviZ.

        Where the engine was NUTS or ADVI they are its draws, as many as it made, whatever the seed and the size.

        Parameters
        ----------
        seed : int
            For the draws.
        size : int
            How many.

        Returns
        -------
        DataTree
            Group ``posterior``, dims chain, draw, component and, for Gaussian columns, feature; parameters of a
            transformed column are on its scale. Where two kinds of components would have the same names for theirs, names and
            dims carry the component in front: ``diagonal_gaussian_mean`` over ``diagonal_gaussian_feature``.
        """
        rng, size = np.random.default_rng(check_seed(seed)), _checked_size(size)
        if self.sampled is not None:
            groups = {name: group.to_dataset() for name, group in self.sampled.tree.children.items()}
            named = groups["posterior"].assign_coords(component=list(self.ids))
            return xr.DataTree.from_dict({**groups, "posterior": named})
        dims = ("chain", "draw", "component")
        coords: dict[str, Any] = {"chain": [0], "draw": np.arange(size), "component": list(self.ids)}
        held: dict[str, Any] = {"weight": (dims, self.prior.draw(self.posterior.weights, size, rng)[None])}
        drawn = [part.component.draw(params, part.layout, size, rng)
                 for part, params in zip(self.parts, self.posterior.params, strict=True)]
        for each in together([part.component.name for part in self.parts], drawn):
            held[each.name] = ((*dims, *each.labels), each.values[None])
            coords |= {dim: list(labels) for dim, labels in each.labels.items()}
        return xr.DataTree.from_dict({"posterior": xr.Dataset(held, coords)})

    def parameters(self, seed: int = 1, size: int = 4000, *, level: float = LEVEL) -> pd.DataFrame:
        """Return every parameter of every component with its interval, by the quantities of `draws`.

        Parameters
        ----------
        seed, size : int
            Of the draws; those of NUTS or ADVI are taken as they are.
        level : float
            Probability of the equal-tailed intervals.

        Returns
        -------
        pandas.DataFrame
            One line a component and quantity: ``id``, ``quantity`` (weight, mean, covariance, rate and so on), ``of`` which
            columns or level, the ``scale`` it is on where the column is transformed, and its posterior mean ``value``, ``sd``
            and ends of the interval.

        Examples
        --------
        >>> import numpy as np
        >>> from bayesglm.mixtures import Mixture
        >>> rng = np.random.default_rng(1)
        >>> fit = Mixture(["x"], {"x": np.concatenate([rng.normal(0, 1, 200), rng.normal(9, 1, 100)])}).fit(seed=1)
        >>> found = fit.parameters().query("quantity == 'mean' and id == 2").round(1)
        >>> found.drop(columns=["scale", "sd"]).to_dict("split")["data"]
        [[2, 'mean', 'x', 8.8, 8.7, 9.0]]
        """
        if not 0 < level < 1:
            raise OptionError(f"level={level!r}", value=level, rule="it is a probability, above 0 and below 1",
                              fix="Leave it out for 0.9.")
        return parameter_table(self.draws(seed, size)["posterior"].to_dataset(), self.parts, level)

    def __repr__(self) -> str:
        climb = self.found.climb
        state = "converged" if climb.converged else "not converged"
        return (f"MixtureFit: {self.posterior.size} components of {self.schema.rows} rows, bound {self.bound:.2f}, "
                f"{len(climb.bounds) // 2} sweeps, {state}\n{self.components.to_string(index=False)}")

    def read(self, data: Any = None) -> Table:
        """Return the columns of the fit in some rows, or the rows it was fitted to; scores stand behind what they are made of."""
        if data is not None:
            table = read_table(data, self.columns, self.schema)[0]
            return table if self.projection is None else self.projection.extend(table)
        if self.table is None:
            raise OptionError("the fit has no rows at hand", rule="a fit that was loaded, or that learnt from pieces, keeps none",
                              fix="Give the rows as data.")
        return self.table

    def numbers(self, data: Any = None) -> list[Array]:
        """Return what the components see of some rows, each part of shape (row, column), or of the rows it was fitted to."""
        table = self.read(data)
        return [part.numbers(table) for part in self.parts]


def _checked_size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise OptionError(f"size={size!r}", value=size, rule="a size is a whole number >= 1", fix="Leave it out.")
    return int(size)
