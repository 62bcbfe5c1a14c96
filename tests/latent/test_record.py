"""Records: compiled code reads every array of a named tuple as it is, whatever its type, shape and strides."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from bayesglm.engines.evaluations import evaluate
from bayesglm.engines.native import native
from bayesglm.latent.record import record

Array = NDArray[np.float64]


@record
class Shelf(NamedTuple):
    """Arrays of several kinds."""

    empty: Array
    vector: Array
    table: Array
    index: NDArray[np.int64]
    small: NDArray[np.uint32]
    true: NDArray[np.bool_]


@njit
def read(shelf: Any) -> Any:
    """Return what each array says, with its shape."""
    total = 0.0
    for i in range(len(shelf.index)):
        total += shelf.vector[shelf.index[i]] * (1.0 if shelf.true[i] else -1.0)
    return total, shelf.empty.shape, shelf.table.shape, shelf.table.sum(), shelf.table[1, 0], shelf.small[2]


@njit
def through(shelf: Any) -> Any:
    """Pass a record on, and return copies of two arrays."""
    return read(shelf), shelf.table.copy(), shelf.vector[1:].copy()


def shelf(table: Array) -> Shelf:
    return Shelf(np.zeros((0, 3)), np.array([1.0, 2.0, 4.0]), table, np.array([2, 0]), np.array([5, 6, 7], np.uint32),
                 np.array([True, False]))


@pytest.mark.parametrize("table", [
    np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(24.0).reshape(4, 6)[::2, ::2],
], ids=["rows", "columns", "strided"])
def test_every_array_is_read_as_it_is(table):
    given = shelf(table)
    found, copied, vector = through(given)
    assert found == (3.0, (0, 3), table.shape, table.sum(), table[1, 0], 7)
    np.testing.assert_array_equal(copied, table)
    np.testing.assert_array_equal(vector, [2.0, 4.0])
    assert read(given) == found


def test_reading_leaves_no_reference_behind():
    given = shelf(np.ones((2, 2)))
    through(given)
    before = [sys.getrefcount(each) for each in given]
    for _ in range(10):
        through(given)
    assert [sys.getrefcount(each) for each in given] == before


def test_what_is_no_array_is_refused():
    with pytest.raises(TypeError, match=r"Shelf\.table is str and not an array"):
        read(shelf("no table"))


def test_two_records_with_other_arrays_share_the_code():
    before = len(read.signatures)
    read(shelf(np.ones((5, 2))))
    read(shelf(np.zeros((2, 7))))
    assert len(read.signatures) <= before + 1


def test_a_density_reads_records_and_arrays_without_python():
    class Normal(NamedTuple):
        middle: Array
        precision: Array

    @njit
    def density(q: Any, gradient: Any, prior: Any, scale: Any) -> float:
        total = 0.0
        for i in range(len(q)):
            gradient[i] = -scale[0] * prior.precision[i] * (q[i] - prior.middle[i])
            total += 0.5 * gradient[i] * (q[i] - prior.middle[i])
        return total

    bound = native(density, [record(Normal)(np.array([1.0, -1.0]), np.array([2.0, 3.0])), np.array([0.5])])
    q = np.array([[1.0, -1.0], [2.0, 1.0]])
    np.testing.assert_allclose(evaluate(bound, q), [0.0, -0.5 - 3.0])
