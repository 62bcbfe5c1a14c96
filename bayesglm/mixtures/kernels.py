"""Kernels: responsibilities and weighted sums of features, row by row in one compiled pass.

A responsibility below exp(-40) changes no sum that float64 can hold, so its exponential and its row are skipped; where
components are apart that is most of them. Rows are taken in chunks whose number depends on the rows alone; chunks run side
by side where there are several, and their sums are added in order, so that threads change no digit. Compiled at the first
call (about a second) and kept where numba keeps its cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHUNK = 16384  # rows of a task
_NEGLIGIBLE = -40.0
_FAST = {"reassoc", "contract"}  # sums may be taken in another order; infinities and NaN keep their meaning
_AT_ONCE = 4  # rows whose products with one component are taken together, named one by one in _products


def compiled[Kernel: Callable[..., Any]](kernel: Kernel) -> Kernel:
    """Return the kernel compiled without the interpreter's lock, kept on disk where numba finds a place to write."""
    compiler: Any = numba.njit
    try:
        return cast(Kernel, compiler(cache=True, nogil=True, fastmath=_FAST)(kernel))
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cast(Kernel, compiler(nogil=True, fastmath=_FAST)(kernel))


@compiled
def _products(natural: Array, features: Array, start: int, found: Array) -> None:
    """Write the products of four rows with each component into ``found`` (4, component); past the end, the last row's."""
    last, size = len(features) - 1, natural.shape[1]
    one, two = features[min(start, last)], features[min(start + 1, last)]
    three, four = features[min(start + 2, last)], features[min(start + 3, last)]
    for k in range(len(natural)):
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for p in range(size):
            eta = natural[k, p]
            a += eta * one[p]
            b += eta * two[p]
            c += eta * three[p]
            d += eta * four[p]
        found[0, k], found[1, k], found[2, k], found[3, k] = a, b, c, d


@compiled
def _normalise(shares: Array, j: int) -> float:
    """Turn the logs in line ``j`` into responsibilities; return the log normaliser."""
    count, near = shares.shape[1], 0
    top = shares[j, 0]
    for k in range(1, count):  # as values, not places: a branch on which is the largest is mostly guessed wrong
        top = shares[j, k] if shares[j, k] > top else top
    for k in range(count):
        near += 1 if shares[j, k] - top > _NEGLIGIBLE else 0
    if near == 1:
        for k in range(count):
            shares[j, k] = 1.0 if shares[j, k] == top else 0.0
        return float(top)
    total = 0.0
    for k in range(count):
        away, share = shares[j, k] - top, 0.0
        if away > _NEGLIGIBLE:
            share = np.exp(away)
            total += share
        shares[j, k] = share
    for k in range(count):
        shares[j, k] /= total
    return float(top + np.log(total))


@compiled
def _sweep(natural: Array, features: Array) -> tuple[Array, float]:
    count, size = natural.shape
    sums, shares, total = np.zeros((count, size)), np.empty((_AT_ONCE, count)), 0.0
    for start in range(0, len(features), _AT_ONCE):
        _products(natural, features, start, shares)
        for j in range(min(_AT_ONCE, len(features) - start)):
            total += _normalise(shares, j)
            for k in range(count):
                share = shares[j, k]
                if share > 0.0:
                    for p in range(size):
                        sums[k, p] += share * features[start + j, p]
    return sums, total


@compiled
def _assign(natural: Array, features: Array, found: Array, normalisers: Array) -> None:
    count = len(natural)
    shares = np.empty((_AT_ONCE, count))
    for start in range(0, len(features), _AT_ONCE):
        _products(natural, features, start, shares)
        for j in range(min(_AT_ONCE, len(features) - start)):
            normalisers[start + j] = _normalise(shares, j)
            for k in range(count):
                found[k, start + j] = shares[j, k]


@compiled
def _gather(responsibilities: Array, features: Array) -> Array:
    count, size = len(responsibilities), features.shape[1]
    sums = np.zeros((count, size))
    for n in range(len(features)):
        for k in range(count):
            share = responsibilities[k, n]
            if share > 0.0:
                for p in range(size):
                    sums[k, p] += share * features[n, p]
    return sums


@compiled
def entropy(responsibilities: Array) -> Array:
    """Return minus the sum of r log r over rows for each component; together they are the entropy."""
    found = np.zeros(len(responsibilities))
    for k in range(len(responsibilities)):
        for share in responsibilities[k]:
            if 0.0 < share < 1.0:
                found[k] -= share * np.log(share)
    return found


@compiled
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


def in_chunks[Answer](task: Callable[[slice], Answer], rows: int, chunk: int = CHUNK) -> Sequence[Answer]:
    """Return the answers of a task for each chunk of rows, in their order; side by side where there are several.

    Examples
    --------
    >>> in_chunks(lambda rows: rows.start, 5, chunk=2)
    [0, 2, 4]
    """
    places = [slice(start, min(start + chunk, rows)) for start in range(0, rows, chunk)]
    if len(places) == 1:
        return [task(place) for place in places]
    with ThreadPoolExecutor(min(len(places), os.cpu_count() or 1)) as pool:
        return list(pool.map(task, places))


def sweep(natural: Array, features: Array) -> tuple[Array, float]:
    """Return the sums of features (component, feature) under new responsibilities, and the sum of log normalisers."""
    found = in_chunks(lambda rows: _sweep(natural, features[rows]), len(features))
    return np.sum([sums for sums, _ in found], axis=0), float(np.sum([total for _, total in found]))


def assign(natural: Array, features: Array) -> tuple[Array, Array]:
    """Return responsibilities (component, row) and log normalisers (row,)."""
    responsibilities, normalisers = np.empty((len(natural), len(features))), np.empty(len(features))
    in_chunks(lambda rows: _assign(natural, features[rows], responsibilities[:, rows], normalisers[rows]), len(features))
    return responsibilities, normalisers


def gather(responsibilities: Array, features: Array) -> Array:
    """Return the sums of features (component, feature) under responsibilities (component, row)."""
    found = in_chunks(lambda rows: _gather(responsibilities[:, rows], features[rows]), len(features))
    return np.asarray(np.sum(found, axis=0))
