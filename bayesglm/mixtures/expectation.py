"""Expectation: responsibilities and expected sums of features, for rows that are observed whole and for those that are not.

Rows whose features are numbers go through the compiled kernels. Blocks with variables that nobody observed stand last; their
expected log densities are added to the matrix product, and their sums follow from the responsibilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.mixtures import kernels
from bayesglm.mixtures.component import Array, Latent, Params


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """A block of columns in which rows have variables that nobody observed.

    Attributes
    ----------
    latent : Latent
        What a component says of them.
    block : int
        Which block of the mixture it is.
    data : array, shape (row, column)
        The numbers.
    """

    latent: Latent
    block: int
    data: Array


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows as coordinate ascent sees them.

    Attributes
    ----------
    features : array, shape (row, feature)
        A 1 and the features of the blocks that are observed whole.
    hidden : tuple of Hidden
        The other blocks.
    """

    features: Array
    hidden: tuple[Hidden, ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: NDArray[np.intp] | slice) -> Rows:
        """Return the rows at these positions."""
        hidden = tuple(Hidden(each.latent, each.block, each.data[rows]) for each in self.hidden)
        return Rows(self.features[rows], hidden)


def assign(natural: Array, params: Sequence[Params], rows: Rows) -> tuple[Array, Array]:
    """Return responsibilities (component, row) and log normalisers (row,).

    Parameters
    ----------
    natural : array, shape (component, feature)
        Expected natural parameters, the constants first.
    params : sequence of mapping
        Parameters of each block.
    rows : Rows
        The rows.
    """
    if not rows.hidden:
        return kernels.assign(natural, rows.features)
    return _normalised(natural, rows, [each.latent.expect(params[each.block], each.data)[0] for each in rows.hidden])


def gather(responsibilities: Array, params: Sequence[Params] | None, rows: Rows) -> Array:
    """Return the sums of features (component, feature) under responsibilities (component, row).

    Unobserved variables have their best posterior under these parameters, or a start where there are none.
    """
    expected = [each.latent.expect(None if params is None else params[each.block], each.data)[1] for each in rows.hidden]
    return np.hstack([kernels.gather(responsibilities, rows.features), *(sums(responsibilities) for sums in expected)])


def sweep(natural: Array, params: Sequence[Params], rows: Rows) -> tuple[Array, float]:
    """Return the sums of features (component, feature) under new responsibilities, and the sum of log normalisers."""
    if not rows.hidden:
        return kernels.sweep(natural, rows.features)
    expected = [each.latent.expect(params[each.block], each.data) for each in rows.hidden]
    responsibilities, normalisers = _normalised(natural, rows, [logs for logs, _ in expected])
    hidden = (sums(responsibilities) for _, sums in expected)
    return np.hstack([kernels.gather(responsibilities, rows.features), *hidden]), float(normalisers.sum())


def _normalised(natural: Array, rows: Rows, hidden: Sequence[Array]) -> tuple[Array, Array]:
    logs = np.sum([natural[:, :rows.features.shape[1]] @ rows.features.T, *hidden], axis=0)
    top = logs.max(axis=0)
    shares = np.exp(logs - top)
    total = shares.sum(axis=0)
    return shares / total, top + np.log(total)
