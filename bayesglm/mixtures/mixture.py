"""Mixture: what users hold before the fit, what is believed of a table; it never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm

from bayesglm.data.batches import batches_of, piece_rows, survey
from bayesglm.data.schema import Schema
from bayesglm.data.table import Finding, Table
from bayesglm.errors import DuplicateColumnError, OptionError, unknown
from bayesglm.mixtures.ascent import Problem
from bayesglm.mixtures.columns import MISSING, Part, columns_of, components_of, exposure_of, parts_of, read_rows
from bayesglm.mixtures.expectation import Rows
from bayesglm.mixtures.findings import findings_of
from bayesglm.mixtures.fit import MixtureFit
from bayesglm.mixtures.identity import first_identity
from bayesglm.mixtures.learning import SAMPLE, Source, learn, source_of, tables_of
from bayesglm.mixtures.model import build
from bayesglm.mixtures.projection import Projection, projection_of
from bayesglm.mixtures.sampled import ASCENT, ENGINES, run
from bayesglm.mixtures.search import SUBSAMPLE
from bayesglm.mixtures.transforms import Given, check_scaled, transforms_of
from bayesglm.mixtures.weights import WEIGHTS, Weights
from bayesglm.predict import check_seed

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
    data : data frame, path, pyarrow Dataset, Polars LazyFrame or list of data frames
        pandas, Polars, PyArrow, or anything narwhals reads. A path (Parquet, CSV, Feather, ORC; a
        file or a folder), a dataset, a lazy frame and a list are read piece by piece, in memory that does not grow with the
        rows: scales and priors then come from a sample of 32,768 rows, always the same.
    max_components : int
        Most components that are tried; the number that is used is found.
    transform : mapping, optional
        Column to the scale on which it is described: ``"log"``, ``"log1p"``, ``"sqrt"`` or ``"power:0.25"`` (any exponent above
        0), or a `Transform` of your own. Densities stay in original units.
    component : str or mapping
        What describes the numeric columns (``"gaussian"``, ``"student_t"``, ``"negative_binomial"``; a wrong name lists
        all), or column to that.
    weights : {"dirichlet_process", "dirichlet"}
        Stick-breaking weights, or a sparse finite Dirichlet.
    concentration : float
        Of the weights' prior; the larger, the more components before seeing data.
    exposure : str or mapping, optional
        What multiplies the mean of counts: a column for all of them, or column of counts to column.
    missing : {"refuse", "marginalise"}
        Whether missing values are an error, or integrated out: a row then says what its other values say, given that what is
        missing does not depend on the missing value.
    projection : {"pca", "whiten"} or Projection, optional
        Describe the numbers with a scale by their principal components, "pc1", "pc2" and so on; "whiten" scales these to a
        variance of 1. The projection of an earlier fit is taken as it is.
    scores : int or float, optional
        How many principal components; or, below 1, as few as hold this share of the standardised columns' variance.

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

    source: Source
    schema: Schema
    parts: tuple[Part, ...]
    prior: Weights
    concentration: float
    max_components: int
    projection: Projection | None

    def __init__(
        self,
        columns: Sequence[str],
        data: Any,
        *,
        max_components: int = 20,
        transform: Given | None = None,
        component: str | Mapping[str, str] = "gaussian",
        weights: str = "dirichlet_process",
        concentration: float = 1.0,
        exposure: str | Mapping[str, str] | None = None,
        missing: str = "refuse",
        projection: str | Projection | None = None,
        scores: float | None = None,
    ) -> None:
        names = _checked_names(columns)
        _check_limit(max_components)
        if weights not in WEIGHTS:
            raise unknown("prior of the weights", weights, WEIGHTS)
        if not 0 < concentration < np.inf:
            raise OptionError(f"concentration={concentration!r}", value=concentration, rule="it is a number above 0",
                              fix="Leave it out for 1.")
        if missing not in MISSING:
            raise unknown("treatment of missing values", missing, MISSING)
        read = columns_of(names, exposure)
        batches = batches_of(data, read)
        surveyed = None if batches is None else survey(batches, read, SAMPLE, seed=0)
        table, schema = read_rows(data if surveyed is None else surveyed.sample, read)
        if table.rows < 2:
            raise OptionError("the table has one row", value=1, rule="a mixture needs at least two rows", fix="Add rows.")
        components = components_of(names, table, component)
        transforms = transforms_of(transform or {}, names)
        check_scaled(transforms, components)
        projected = projection_of(projection, scores, table, components, transforms)
        if projected is not None:
            table, components = projected.extend(table), projected.described(components)
            transforms = {}
        parts = parts_of(tuple(components), table, components, transforms, exposure_of(exposure, components),
                         missing=missing == "marginalise")
        width = 1 + sum(part.width for part in parts)
        _check_size(width, table)
        if batches is None or surveyed is None:
            source = source_of(table, width, piece_rows(width))
        else:
            schema = surveyed.complete(schema)
            source = Source(table, surveyed.rows, tables_of(batches, read, schema, piece_rows(width), projected))
        made = {"source": source, "schema": schema, "parts": parts, "prior": WEIGHTS[weights],
                "concentration": float(concentration), "max_components": int(max_components), "projection": projected}
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def table(self) -> Table:
        """The rows, or a sample of them where they are read in pieces."""
        return self.source.table

    def __repr__(self) -> str:
        described = "; ".join(f"{', '.join(part.layout.names)}: {part.component.label}" for part in self.parts)
        return (f"Mixture of {self.source.rows} rows, at most {self.max_components} components, "
                f"{self.prior.name} weights\n  {described}" + "".join(f"\n  {each.kind}: {each.text}" for each in self.findings))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What of the table makes the mixture less telling than it could be, with advice."""
        return findings_of(self.parts, self.table, self.max_components)

    def pymc(self, components: int | None = None) -> pm.Model:
        """Return the mixture with its labels summed out as a new ``pm.Model`` over the numbers that components see.

        Parameters
        ----------
        components : int, optional
            Number of components, ``max_components`` by default; those beyond it keep their share of the weight.

        Raises
        ------
        BayesGLMError
            A component that has no ``pm.Model``.
        """
        count = self.max_components if components is None else components
        _check_limit(count)
        if count > self.max_components:
            raise OptionError(f"components={count}", value=count, rule=f"there are at most {self.max_components}",
                              fix="Raise max_components.")
        return build(self.priors, self.parts, [part.numbers(self.table) for part in self.parts], count)

    def fit(self, seed: int, *, starts: int = 1, engine: str = "coordinate_ascent") -> MixtureFit:
        """Return the posterior by coordinate ascent, with the number of components that has the largest bound found.

        Parameters
        ----------
        seed : int
            For the subsample on which structure is searched, the starts and the splits. Same seed, same fit.
        starts : int
            How many k-means++ starts from the limit, beside the one from a single component; ``fit.found.starts`` says what
            each found.
        engine : {"coordinate_ascent", "advi", "nuts"}
            With "advi" or "nuts" the mixture of as many components as coordinate ascent found is also sampled by that engine,
            with its labels summed out; `MixtureFit.draws` then gives those draws, relabelled after coordinate ascent, and
            ``fit.sampled`` says how reliable they are. All else the fit says is that of coordinate ascent.
        """
        if engine not in (ASCENT, *ENGINES):
            raise unknown("engine of a mixture", engine, (ASCENT, *ENGINES))
        if engine != ASCENT and self.source.tables is not None:
            raise OptionError(f"engine={engine!r} for a table in pieces", value=engine, rule="a sampler needs all rows at once",
                              fix="Leave engine= out, or give a sample of the rows as a data frame.")
        priors = self.priors
        found = learn(priors, self.parts, self.source, check_seed(seed), _checked_starts(starts))
        table = self.table if self.source.tables is None else None
        drawn = None if engine == ASCENT else run(
            priors, self.parts, [part.numbers(self.table) for part in self.parts], found.climb.posterior, engine, seed=seed)
        return MixtureFit(self.schema, self.parts, self.prior, found, seed, priors,
                          first_identity(found.climb.posterior.size), table, drawn, self.projection)

    @property
    def priors(self) -> Problem:
        """What is believed before any row, a problem without rows."""
        blocks = tuple(part.block(part.numbers(self.table)) for part in self.parts)
        nothing = Rows(np.empty((0, 1)))
        return Problem(blocks, self.prior, self.concentration, self.max_components, nothing, 0.0)


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


def _checked_starts(starts: object) -> int:
    if isinstance(starts, bool) or not isinstance(starts, int | np.integer) or starts < 1:
        raise OptionError(f"starts={starts!r}", value=starts, rule="it is a whole number >= 1", fix="Leave it out for 1.")
    return int(starts)


def _check_size(width: int, table: Table) -> None:
    """Refuse features that would not fit: a full covariance has as many as its entries, and the search holds its rows."""
    rows = min(table.rows, SUBSAMPLE)
    size = 8 * width * rows
    if size > _MOST_BYTES:
        raise OptionError(f"{rows} rows with {width} features need {size / 1e9:.1f} GB", value=size,
                          rule=f"features of the rows that are searched are held in at most {_MOST_BYTES / 1e9:g} GB",
                          fix="Give component='diagonal_gaussian', fewer columns, or a sample of the rows.")
