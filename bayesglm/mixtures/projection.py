"""Projection: numeric columns turned into uncorrelated scores before a mixture, learnt once and kept with the fit.

    z = (x - center) / scale,    scores = z V    (whitened: scores / sd of each score)

V holds the leading eigenvectors of the correlation matrix of the rows it was learnt from; the largest entry of each is positive,
so that learning again from like rows gives like scores. Whitening removes what the sizes of the scores say.
Source: Jolliffe (2002), Principal Component Analysis, chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesglm.data.door import read_table
from bayesglm.data.schema import Schema
from bayesglm.errors import ColumnTypeError, OptionError
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.fit import MixtureFit
from bayesglm.mixtures.mixture import Mixture

_SMALLEST = 1e-10  # share of the variance below which a direction holds rounding only


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """How numeric columns become scores.

    Attributes
    ----------
    columns : tuple of str
        The columns.
    center, scale : array, shape (column,)
        Mean and sd of each.
    loadings : array, shape (column, score)
        V, with orthonormal columns.
    sd : array, shape (score,)
        What each score is divided by: its sd, or 1 where scores are not whitened.
    explained : array, shape (score,)
        Share of the standardised columns' variance in each score.
    schema : Schema
        What the columns were like.

    Examples
    --------
    >>> x = np.arange(6.0)
    >>> found = learn(["a", "b"], {"a": x, "b": 3 * x + 1}, scores=1)
    >>> found.explained.round(6).tolist(), found.back(np.zeros((1, 1))).tolist()
    ([1.0], [[2.5, 8.5]])
    """

    columns: tuple[str, ...]
    center: Array
    scale: Array
    loadings: Array
    sd: Array
    explained: Array
    schema: Schema

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scores."""
        return tuple(f"pc{j + 1}" for j in range(len(self.sd)))

    def scores(self, data: Any) -> pd.DataFrame:
        """Return the scores of some rows, and every other column of a pandas frame or a mapping as it is.

        Raises
        ------
        BayesGLMError
            A column that is missing, of another kind, or has missing values.
        """
        table, _ = read_table(data, list(self.columns), self.schema)
        raw = np.column_stack([table[name].values for name in self.columns])
        found = pd.DataFrame((raw - self.center) / self.scale @ self.loadings / self.sd, columns=list(self.names))
        if not isinstance(data, pd.DataFrame | dict):
            return found
        others = pd.DataFrame({name: data[name] for name in data if name not in self.columns}).reset_index(drop=True)
        return pd.concat([found, others], axis=1)

    def back(self, scores: Array) -> Array:
        """Return the columns' values that scores stand for, shape (row, column), in original units."""
        return np.asarray(self.center + self.scale * (scores * self.sd @ self.loadings.T))

    @property
    def log_jacobian(self) -> float:
        """Log of d scores / d columns, in original units.

        Raises
        ------
        OptionError
            There are fewer scores than columns: rows have no density in the original units.
        """
        if self.loadings.shape[0] != self.loadings.shape[1]:
            raise OptionError(f"{len(self.sd)} scores of {len(self.columns)} columns", value=len(self.sd),
                              rule="a density in the original units needs as many scores as columns",
                              fix="Compare rows by tail_probability, or keep every score.")
        return float(-np.log(self.scale).sum() - np.log(self.sd).sum())


def learn(columns: Sequence[str], data: Any, *, scores: int | None = None, variance: float = 1.0,
          whiten: bool = False) -> Projection:
    """Return the projection of numeric columns on their principal components.

    Parameters
    ----------
    columns : sequence of str
        Numeric columns without missing values.
    data : data frame
        The rows to learn from.
    scores : int, optional
        How many scores.
    variance : float
        Without ``scores``: as few as hold this share of the standardised columns' variance.
    whiten : bool
        Whether scores are scaled to a variance of 1.

    Raises
    ------
    BayesGLMError
        A column that is no number, or constant; an option out of its range.
    """
    table, schema = read_table(data, list(columns))
    for name in columns:
        if table[name].kind != "numeric":
            raise ColumnTypeError(f"the column holds a {table[name].kind}", column=name, value=table[name].kind,
                                  rule="principal components are of numbers", fix="Leave it out of the projected columns.")
    raw = np.column_stack([table[name].values for name in columns])
    center, scale = raw.mean(axis=0), raw.std(axis=0)
    for j, name in enumerate(columns):
        if scale[j] <= 1e-12 * np.abs(raw[:, j]).max():
            raise OptionError("the column is constant", column=name, value=float(raw[0, j]),
                              rule="a projection needs columns that vary", fix=f"Leave {name!r} out of the columns.")
    values, vectors = np.linalg.eigh(np.cov(((raw - center) / scale).T, bias=True).reshape(len(columns), -1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    share = values / values.sum()
    count = _counted(share, scores, variance)
    vectors = vectors[:, :count]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
    sd = np.sqrt(values[:count]) if whiten else np.ones(count)
    return Projection(tuple(columns), center, scale, vectors, sd, share[:count], schema)


def _counted(share: Array, scores: int | None, variance: float) -> int:
    most = int((share > _SMALLEST).sum())
    if scores is None:
        if not 0 < variance <= 1:
            raise OptionError(f"variance={variance!r}", value=variance, rule="it is a share above 0 and at most 1",
                              fix="Give 0.95 for 95%.")
        return min(int((np.cumsum(share) < variance - _SMALLEST).sum()) + 1, most)
    if isinstance(scores, bool) or not 1 <= scores <= most:
        raise OptionError(f"scores={scores!r}", value=scores, rule=f"these columns vary in {most} directions",
                          fix=f"Give a number from 1 to {most}, or variance=.")
    return scores


@dataclass(frozen=True, slots=True, eq=False)
class ProjectedFit:
    """A mixture of scores together with the projection that makes them.

    Attributes
    ----------
    projection : Projection
        How columns become scores.
    fit : MixtureFit
        The mixture of the scores and of the other columns.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> a = np.concatenate([rng.normal(0, 1, 200), rng.normal(9, 1, 100)])
    >>> data = {"a": a, "b": a + rng.normal(0, 0.1, 300), "c": rng.normal(0, 1, 300)}
    >>> found = fit_projected(["a", "b", "c"], data, seed=1, scores=2)
    >>> found.means.round(0).abs().to_dict("list")
    {'a': [0.0, 9.0], 'b': [0.0, 9.0], 'c': [0.0, 0.0]}
    """

    projection: Projection
    fit: MixtureFit

    @property
    def means(self) -> pd.DataFrame:
        """Mean of each component in the original columns, one line a component, by their ids."""
        table = self.fit.components
        scores = np.column_stack([table[f"{name}_mean"] for name in self.projection.names])
        return pd.DataFrame(self.projection.back(scores), columns=list(self.projection.columns), index=list(self.fit.ids))

    def responsibilities(self, data: Any) -> Array:
        """Return the probability of each component for each row, shape (row, component)."""
        return self.fit.responsibilities(self.projection.scores(data))

    def score(self, data: Any) -> Array:
        """Return the log predictive density of each row in original units, where `Projection.log_jacobian` has one."""
        return np.asarray(self.fit.score(self.projection.scores(data)) + self.projection.log_jacobian)

    def tail_probability(self, data: Any, *, seed: int = 1, size: int = 20_000) -> Array:
        """Return how much of the predictive mixture of scores is at most as dense as each row, shape (row,)."""
        return self.fit.tail_probability(self.projection.scores(data), seed=seed, size=size)


def fit_projected(columns: Sequence[str], data: Any, *, seed: int, others: Sequence[str] = (), scores: int | None = None,
                  variance: float = 1.0, whiten: bool = False, **options: Any) -> ProjectedFit:
    """Learn a projection of numeric columns and fit a mixture to the scores and other columns.

    Parameters
    ----------
    columns : sequence of str
        Numeric columns to project.
    data : data frame or mapping
        The rows; a pandas frame or a mapping where there are other columns.
    seed : int
        Of the fit.
    others : sequence of str
        Columns that are described as they are.
    scores, variance, whiten
        As for `learn`.
    **options
        As for `Mixture`.
    """
    projection = learn(columns, data, scores=scores, variance=variance, whiten=whiten)
    mixture = Mixture([*projection.names, *others], projection.scores(data), **options)
    return ProjectedFit(projection, mixture.fit(seed=seed))
