"""Fingerprint: a SHA-256 of the checked columns, to tell whether a fit and a table belong together."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.table import Column, Table

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def fingerprint(table: Table, *, row_order: bool = True) -> str:
    """Return the SHA-256 of a table's names, kinds, levels and values.

    Neither the order of the columns nor the kind of data frame matters; one changed cell changes it.

    Parameters
    ----------
    table : Table
        The checked columns.
    row_order : bool
        Whether the order of the rows matters.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> one = Table({"x": Column("x", "numeric", np.array([1.0, 2.0]))}, 2)
    >>> other = Table({"x": Column("x", "numeric", np.array([2.0, 1.0]))}, 2)
    >>> fingerprint(one) == fingerprint(other)
    False
    >>> fingerprint(one, row_order=False) == fingerprint(other, row_order=False)
    True
    """
    names = sorted(table.columns)
    order = None if row_order else _canonical_order([table[name] for name in names], table.rows)
    digest = hashlib.sha256()
    for name in names:
        column = table[name]
        for text in (name, column.kind, str(len(column.levels)), *column.levels):
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        words = _words(column)
        digest.update(len(words).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(words if order is None else words[order]).data)
    return digest.hexdigest()


def _words(column: Column) -> NDArray[Any]:
    """Return the values as little-endian 64-bit words."""
    values = np.ascontiguousarray(column.values)
    return values.astype(values.dtype.newbyteorder("<"), copy=False).view("<u8")


def _canonical_order(columns: list[Column], rows: int) -> NDArray[np.intp]:
    """Return an order of the rows that depends on their contents alone: by a 64-bit hash of each row."""
    mixed = np.zeros(rows, np.uint64)
    for column in columns:
        mixed += _GOLDEN
        mixed ^= _words(column)
        mixed ^= mixed >> np.uint64(30)
        mixed *= _MIX[0]
        mixed ^= mixed >> np.uint64(27)
        mixed *= _MIX[1]
        mixed ^= mixed >> np.uint64(31)
    return np.argsort(mixed, kind="stable")
