"""Kernels: responsibilities and weighted sums of features, row by row in one compiled pass.

A responsibility below exp(-40) changes no sum that float64 can hold, so its exponential and its row are skipped; where
components are apart that is most of them. One thread: small matrix products spread over threads wait for each other.
Compiled at the first call (about a second); nothing is written to disk.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NEGLIGIBLE = -40.0
_FAST = {"reassoc", "contract"}  # sums may be taken in another order; infinities and NaN keep their meaning


@numba.njit(fastmath=_FAST)  # type: ignore[untyped-decorator, unused-ignore]
def _normalise(natural: Array, row: Array, shares: Array) -> float:
    """Write the responsibilities of one row into ``shares``; return the log normaliser."""
    count, size = natural.shape
    top = -np.inf
    for k in range(count):
        value = 0.0
        for p in range(size):
            value += natural[k, p] * row[p]
        shares[k] = value
        top = max(top, value)
    total = 0.0
    for k in range(count):
        away = shares[k] - top
        shares[k] = np.exp(away) if away > _NEGLIGIBLE else 0.0
        total += shares[k]
    for k in range(count):
        shares[k] /= total
    return float(top + np.log(total))


@numba.njit(fastmath=_FAST)  # type: ignore[untyped-decorator, unused-ignore]
def sweep(natural: Array, features: Array) -> tuple[Array, float]:
    """Return the sums of features (component, feature) under new responsibilities, and the sum of log normalisers."""
    count, size = natural.shape
    sums, shares, total = np.zeros((count, size)), np.empty(count), 0.0
    for n in range(len(features)):
        row = features[n]
        total += _normalise(natural, row, shares)
        for k in range(count):
            share = shares[k]
            if share > 0.0:
                for p in range(size):
                    sums[k, p] += share * row[p]
    return sums, total


@numba.njit(fastmath=_FAST)  # type: ignore[untyped-decorator, unused-ignore]
def assign(natural: Array, features: Array) -> tuple[Array, Array]:
    """Return responsibilities (component, row) and log normalisers (row,)."""
    count, rows = len(natural), len(features)
    found, shares, normalisers = np.empty((count, rows)), np.empty(count), np.empty(rows)
    for n in range(rows):
        normalisers[n] = _normalise(natural, features[n], shares)
        for k in range(count):
            found[k, n] = shares[k]
    return found, normalisers


@numba.njit(fastmath=_FAST)  # type: ignore[untyped-decorator, unused-ignore]
def gather(responsibilities: Array, features: Array) -> Array:
    """Return the sums of features (component, feature) under responsibilities (component, row)."""
    count, size = len(responsibilities), features.shape[1]
    sums = np.zeros((count, size))
    for n in range(len(features)):
        for k in range(count):
            share = responsibilities[k, n]
            if share > 0.0:
                for p in range(size):
                    sums[k, p] += share * features[n, p]
    return sums


@numba.njit(fastmath=False)  # type: ignore[untyped-decorator, unused-ignore]
def entropy(responsibilities: Array) -> Array:
    """Return minus the sum of r log r over rows for each component; together they are the entropy."""
    found = np.zeros(len(responsibilities))
    for k in range(len(responsibilities)):
        for share in responsibilities[k]:
            if 0.0 < share < 1.0:
                found[k] -= share * np.log(share)
    return found


@numba.njit(fastmath=False)  # type: ignore[untyped-decorator, unused-ignore]
def pair_entropy(responsibilities: Array, first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
    """Return `entropy` of the sum of two components, for each pair."""
    found = np.zeros(len(first))
    for pair in range(len(first)):
        one, other = responsibilities[first[pair]], responsibilities[second[pair]]
        for n in range(len(one)):
            share = one[n] + other[n]
            if 0.0 < share < 1.0:
                found[pair] -= share * np.log(share)
    return found
