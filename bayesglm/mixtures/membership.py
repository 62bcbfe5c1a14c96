"""Membership: which component a row belongs to, how sure that is, which rows show a component best, and what it costs.

A responsibility r_nk is the probability that row n belongs to component k, given that it belongs to one of them. It says
nothing of how unusual the row is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import comb, xlogy

from bayesglm.data.door import read_table
from bayesglm.data.table import Column
from bayesglm.errors import ColumnTypeError, MissingValueError, OptionError
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.identity import check_ids
from bayesglm.mixtures.scoring import log_predictive
from bayesglm.mixtures.starts import kmeans
from bayesglm.predict import LEVEL, interval_names

SURE = 0.9
FLOOR = 0.01


def read_column(data: Any, name: str) -> Column:
    """Return one column of a data frame that is not described by the mixture: a label, a cost, an outcome."""
    try:
        return read_table(data, [name], labels=[name])[0][name]
    except MissingValueError as error:
        raise MissingValueError(error.problem, column=name, value=error.value, rows=error.rows, rule="every row needs one",
                                fix="Drop the rows, or fill in what is missing before.") from None


def entropy(responsibilities: Array) -> Array:
    """Return the entropy of each row's membership in nats, shape (row,): 0 where it is sure, log K where it is not known.

    Examples
    --------
    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).round(3).tolist()
    [0.0, 0.693]
    """
    return np.asarray(np.abs(xlogy(responsibilities, responsibilities).sum(axis=1)))


def assignments(ids: Sequence[int], responsibilities: Array) -> pd.DataFrame:
    """Return one line a row: the most probable component, its probability, the second one's, and the entropy.

    Parameters
    ----------
    ids : sequence of int
        Ids of the components.
    responsibilities : array, shape (row, component)
        Probability of each component.

    Examples
    --------
    >>> assignments([7, 9], np.array([[0.2, 0.8]])).round(2).to_dict("records")
    [{'id': 9, 'probability': 0.8, 'second': 0.2, 'entropy': 0.5}]
    """
    first = responsibilities.argmax(axis=1)
    ordered = np.sort(responsibilities, axis=1)
    second = ordered[:, -2] if responsibilities.shape[1] > 1 else np.zeros(len(ordered))
    return pd.DataFrame({"id": np.asarray(ids)[first], "probability": ordered[:, -1], "second": second,
                         "entropy": entropy(responsibilities)})


def rand_index(first: ArrayLike, second: ArrayLike) -> float:
    """Return the adjusted Rand index of two labellings: 1 where they agree, about 0 where they do by chance only.

    Source: Hubert and Arabie (1985), Journal of Classification 2, 193.

    Examples
    --------
    >>> rand_index([1, 1, 2, 2], ["b", "b", "a", "a"]), round(rand_index([1, 1, 2, 2], [1, 2, 1, 2]), 3)
    (1.0, -0.5)
    """
    table = pd.crosstab(np.asarray(first), np.asarray(second)).to_numpy()
    both = comb(table, 2).sum()
    rows, columns = comb(table.sum(axis=1), 2).sum(), comb(table.sum(axis=0), 2).sum()
    chance = rows * columns / comb(table.sum(), 2)
    most = (rows + columns) / 2
    return 1.0 if most == chance else float((both - chance) / (most - chance))


def kmeans_agreement(fit: FittedMixture, data: Any, seed: int) -> float:
    """Return the adjusted Rand index of the most probable components and k-means with as many groups."""
    numbers = fit.numbers(data)
    points = np.hstack([part.component.coordinates(each, len(part.layout.levels))
                        for part, each in zip(fit.parts, numbers, strict=True)])
    groups = kmeans(points, fit.posterior.size, np.random.default_rng(seed), steps=50).argmax(axis=0)
    return rand_index(fit.responsibilities(data).argmax(axis=1), groups)


def examples(fit: FittedMixture, data: Any, per: int) -> pd.DataFrame:
    """Return the rows that show each component best: sure members, the densest of the component first.

    Rows with a responsibility above 0.9 come before others; a component to which no row belongs has no line.
    """
    if per < 1:
        raise OptionError(f"per={per!r}", value=per, rule="it is a whole number >= 1", fix="Leave it out for 3.")
    responsibilities = fit.responsibilities(data)
    density = log_predictive(fit.parts, fit.posterior, fit.weights, fit.numbers(data))
    table = fit.read(data)
    names = list(fit.columns)
    lines: list[dict[str, Any]] = []
    for k, id in enumerate(fit.ids):
        member = np.flatnonzero(responsibilities.argmax(axis=1) == k)
        order = np.lexsort((-density[member, k], responsibilities[member, k] <= SURE))
        lines += [{"id": id, "row": int(row), "responsibility": float(responsibilities[row, k]),
                   **{name: table[name].labels()[row] for name in names}} for row in member[order[:per]]]
    return pd.DataFrame(lines, columns=["id", "row", "responsibility", *names])


def costs(ids: Sequence[int], responsibilities: Array, cost: Array) -> pd.DataFrame:
    """Return the cost of each component: every row's, divided by its responsibilities.

    Parameters
    ----------
    ids : sequence of int
        Ids of the components.
    responsibilities : array, shape (row, component)
        Probability of each component; rows sum to one.
    cost : array, shape (row,)
        Cost of each row.

    Returns
    -------
    pandas.DataFrame
        Total, its 90 % interval from the doubt about memberships (exact variance, normal), share of the whole, rows, and the
        mean cost of a row. Totals sum to the whole; where that is 0, so is every share.

    Examples
    --------
    >>> found = costs([1, 2], np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([4.0, 2.0]))
    >>> found["total"].tolist(), found["per_row"].round(2).tolist()
    ([5.0, 1.0], [3.33, 2.0])
    """
    whole, rows = float(cost.sum()), responsibilities.sum(axis=0)
    total = cost @ responsibilities
    largest = int(np.argmax(np.abs(total)))
    total[largest] += whole - total.sum()  # what rounding left
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(cost**2 @ (responsibilities * (1 - responsibilities)))
    low, high = interval_names("total", LEVEL)
    share = total / whole if whole else np.zeros(len(total))
    mean = np.divide(total, rows, out=np.full(len(total), np.nan), where=rows > 0)
    return pd.DataFrame({"id": list(ids), "total": total, low: total - half, high: total + half, "share": share, "rows": rows,
                         "per_row": mean})


def shares(fit: FittedMixture, data: Any, by: str | None, floor: float, protected: Sequence[int]) -> pd.DataFrame:
    """Return long-term weights beside the shares of rows; see `MixtureFit.shares`."""
    if not 0 <= floor < 1:
        raise OptionError(f"floor={floor!r}", value=floor, rule="it is a share: at least 0, below 1",
                          fix="Leave it out for 0.01.")
    check_ids(protected, fit.ids)
    responsibilities = fit.responsibilities(data)
    if by is not None:
        return _by_window(fit.ids, responsibilities, read_column(data, by))
    table = fit.components
    low, high = interval_names("weight", LEVEL)
    hard = np.bincount(responsibilities.argmax(axis=1), minlength=len(fit.ids))
    below = fit.weights < floor
    kept = np.isin(fit.ids, list(protected))
    flag = np.where(below & kept, "protected", np.where(below, f"below {floor:.0%}", ""))
    return pd.DataFrame({"id": table["id"], "weight": table["weight"], low: table[low], high: table[high],
                         "share": responsibilities.mean(axis=0), "assigned": hard / len(responsibilities), "rows": hard,
                         "flag": flag})


def _by_window(ids: Sequence[int], responsibilities: Array, column: Column) -> pd.DataFrame:
    """Shares in each window, with the interval of a binomial share under a uniform prior."""
    windows, place = np.unique(column.labels(), return_inverse=True)
    low, high = interval_names("share", LEVEL)
    lines = []
    for w, window in enumerate(windows):
        held = responsibilities[place == w]
        members = held.sum(axis=0)
        ends = np.asarray(stats.beta.ppf([[(1 - LEVEL) / 2], [(1 + LEVEL) / 2]], 1 + members, 1 + len(held) - members))
        lines.append(pd.DataFrame({column.name: window, "id": list(ids), "rows": len(held), "share": members / len(held),
                                   low: ends[0], high: ends[1]}))
    return pd.concat(lines, ignore_index=True)


def numbers_in(data: Any, name: str) -> Array:
    """Return a numeric column of a data frame."""
    column = read_column(data, name)
    if column.kind not in ("numeric", "boolean"):
        raise ColumnTypeError(f"the column holds a {column.kind}", column=name, value=column.kind, rule="numbers are summed",
                              fix="Name a numeric column.")
    return column.values.astype(np.float64)
