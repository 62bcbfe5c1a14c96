"""Projection: numeric columns turned into uncorrelated scores before a mixture, learnt once and kept with the fit.

    z = (x - center) / scale,    scores = z V    (whitened: scores / sd of each score)

V holds the leading eigenvectors of the correlation matrix of the rows it was learnt from; the largest entry of each is positive,
so that learning again from like rows gives like scores. Whitening removes what the sizes of the scores say. A transformed
column is on its scale throughout. Made by `Mixture`, kept by `MixtureFit`.
Source: Jolliffe (2002), Principal Component Analysis, chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesglm.data.faults import raise_where
from bayesglm.data.table import Column, Table
from bayesglm.errors import DuplicateColumnError, MissingValueError, OptionError, unknown
from bayesglm.mixtures.component import Array, Component
from bayesglm.mixtures.scorer.transforms import IDENTITY, Transform, inverse, log_slopes
from bayesglm.mixtures.transforms import transformed

PROJECTIONS = ("pca", "whiten")
_SMALLEST = 1e-10  # share of the variance below which a direction holds rounding only


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """How numeric columns become scores.

    Attributes
    ----------
    columns : tuple of str
        The columns.
    transforms : tuple of Transform
        Of each.
    center, scale : array, shape (column,)
        Mean and sd of each.
    loadings : array, shape (column, score)
        V, with orthonormal columns.
    sd : array, shape (score,)
        What each score is divided by: its sd, or 1 where scores are not whitened.
    explained : array, shape (score,)
        Share of the standardised columns' variance in each score.
    """

    columns: tuple[str, ...]
    transforms: tuple[Transform, ...]
    center: Array
    scale: Array
    loadings: Array
    sd: Array
    explained: Array

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scores: pc1, pc2 and so on."""
        return tuple(f"pc{j + 1}" for j in range(len(self.sd)))

    @property
    def by_column(self) -> dict[str, Transform]:
        """The transform of each column."""
        return dict(zip(self.columns, self.transforms, strict=True))

    def extend(self, table: Table) -> Table:
        """Return a table with the scores behind its columns.

        Raises
        ------
        BayesGLMError
            A missing value, or one that its column's transform does not take.
        """
        found = (self._numbers(table) - self.center) / self.scale @ self.loadings / self.sd
        scores = {name: Column(name, "numeric", found[:, j]) for j, name in enumerate(self.names)}
        return replace(table, columns={**table.columns, **scores})

    def back(self, scores: Array) -> Array:
        """Return the columns' values that scores stand for, shape (row, column), in original units.

        Examples
        --------
        >>> x = np.arange(1.0, 7.0)
        >>> table = Table({"a": Column("a", "numeric", x), "b": Column("b", "numeric", 3 * x + 1)}, 6)
        >>> found = learn(("a", "b"), table, {}, scores=1)
        >>> found.explained.round(6).tolist(), found.back(np.zeros((1, 1))).tolist()
        ([1.0], [[3.5, 11.5]])
        """
        return inverse(self.transforms, self.center + self.scale * (scores * self.sd @ self.loadings.T))

    def describe(self, scores: Array) -> Mapping[str, Array]:
        """Return what mean scores (component, score) stand for by column: ``x_mean``, ``x_median`` of a transformed one."""
        values = self.back(scores)
        return {f"{name}_{how.middle}": values[:, j] for j, (name, how) in enumerate(self.by_column.items())}

    def log_jacobian(self, table: Table) -> Array:
        """Return the log of d scores / d columns of each row, shape (row,).

        With fewer scores than columns rows have no density in the original units: it is 0, for a density of the scores.
        """
        if self.loadings.shape[0] != self.loadings.shape[1]:
            return np.zeros(table.rows)
        slopes = log_slopes(self.transforms, self._numbers(table))
        return np.asarray(slopes - np.log(self.scale).sum() - np.log(self.sd).sum())

    def described(self, components: Mapping[str, Component]) -> dict[str, Component]:
        """Return the component of each score and of every other column."""
        others = {name: each for name, each in components.items() if name not in self.columns}
        return {**dict.fromkeys(self.names, components[self.columns[0]]), **others}

    def _numbers(self, table: Table) -> Array:
        return _complete(table, self.columns, self.by_column)


def _complete(table: Table, columns: Sequence[str], transforms: Mapping[str, Transform]) -> Array:
    found = transformed(table, columns, transforms)
    for j, name in enumerate(columns):
        raise_where(np.isnan(found[:, j]), MissingValueError, "{} missing values", column=name, values=table[name].values,
                    rule="a score needs every projected column", fix="Drop the rows, or leave projection= out.")
    return found


def learn(columns: Sequence[str], table: Table, transforms: Mapping[str, Transform], *, scores: float | None = None,
          whiten: bool = False) -> Projection:
    """Return the projection of numeric columns on their principal components.

    Parameters
    ----------
    columns : sequence of str
        Numeric columns that vary.
    table : Table
        The rows to learn from.
    transforms : mapping
        Of the columns that have one.
    scores : int or float, optional
        A whole number of scores; or, below 1, as few as hold this share of the standardised columns' variance; all without it.
    whiten : bool
        Whether scores are scaled to a variance of 1.

    Raises
    ------
    BayesGLMError
        A missing value, or a number of scores out of its range.
    """
    raw = _complete(table, columns, transforms)
    center, scale = raw.mean(axis=0), raw.std(axis=0)
    values, vectors = np.linalg.eigh(np.cov(((raw - center) / scale).T, bias=True).reshape(len(columns), -1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    share = values / values.sum()
    count = _counted(share, scores)
    vectors = vectors[:, :count]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
    sd = np.sqrt(values[:count]) if whiten else np.ones(count)
    described = tuple(transforms.get(name, IDENTITY) for name in columns)
    return Projection(tuple(columns), described, center, scale, vectors, sd, share[:count])


def _counted(share: Array, scores: float | None) -> int:
    most = int((share > _SMALLEST).sum())
    if scores is None:
        return most
    if not isinstance(scores, bool) and isinstance(scores, int | np.integer) and 1 <= scores <= most:
        return int(scores)
    if not isinstance(scores, bool | int | np.integer) and 0 < scores < 1:
        return min(int((np.cumsum(share) < scores - _SMALLEST).sum()) + 1, most)
    raise OptionError(f"scores={scores!r}", value=scores,
                      rule=f"it is at most {most}, in as many directions the columns vary, or a share of variance below 1",
                      fix=f"Give a number from 1 to {most}, or 0.95 for 95% of the variance.")


def projection_of(given: str | Projection | None, scores: float | None, table: Table, components: Mapping[str, Component],
                  transforms: Mapping[str, Transform]) -> Projection | None:
    """Return the projection of the columns that have a scale, or None.

    Parameters
    ----------
    given : {"pca", "whiten"}, Projection or None
        What users say; a projection of an earlier fit is taken as it is.
    scores : int or float, optional
        As for `learn`.
    table : Table
        The rows to learn from.
    components : mapping
        Component of each column.
    transforms : mapping
        Of the columns that have one.

    Raises
    ------
    BayesGLMError
        An unknown projection, columns of several components, or a column with the name of a score.
    """
    columns = tuple(name for name, each in components.items() if each.scaled)
    if given is None:
        if scores is not None:
            raise OptionError(f"scores={scores!r} without a projection", value=scores, rule="scores are those of a projection",
                              fix="Give projection='pca' too, or leave scores= out.")
        return None
    kinds = sorted({components[name].name for name in columns})
    if len(kinds) != 1:
        raise OptionError(f"a projection of columns described by {' and '.join(kinds) or 'no scale'}", value=kinds,
                          rule="scores are described together, by one component for numbers with a scale",
                          fix="Give these columns one component, or leave projection= out.")
    if isinstance(given, Projection):
        found = given
        if {name: how.name for name, how in found.by_column.items()} != {
                name: transforms.get(name, IDENTITY).name for name in columns}:
            raise OptionError(f"a projection of {', '.join(found.columns)}", value=found.columns,
                              rule=f"it is of the columns with a scale, {', '.join(columns)}, with the same transforms",
                              fix="Give projection='pca' to learn one.")
    elif given in PROJECTIONS:
        for name in columns:
            components[name].check(name, table[name].values)
        found = learn(columns, table, transforms, scores=scores, whiten=given == "whiten")
    else:
        raise unknown("projection", given, PROJECTIONS)
    for name in found.names:
        if name in table.columns:
            raise DuplicateColumnError("the name of a score", column=name, value=name,
                                       rule="scores are called pc1, pc2 and so on", fix="Rename the column.")
    return found
