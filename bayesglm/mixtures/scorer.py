"""Scorer: the log predictive density of an exported mixture, with NumPy alone and nothing else of the package.

The file that `MixtureFit.export` writes holds weights, means and Cholesky factors; this module, copied as it is to where rows
come in, reads and scores it. For a part b of a row and component k, in standardised columns z,

    Student-t, jointly:       log c_k - (nu_k + d) / 2 log(1 + |L_k^-1 (z - m_k)|^2 / nu_k)
    Student-t, independent:   the same for each column, added
    categories:               log p_kl

and log p(x) = log sum_k w_k exp(sum_b ...) plus the log Jacobian of the standardisation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FORMAT = "bayesglm scorer 1"
_ROWS = 1024  # at most at once: what they need stays in the processor's cache
_PRODUCTS = 200_000  # multiplications at once: BLAS takes larger products to several threads, which wait for each other


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One part of a row.

    Attributes
    ----------
    names : tuple of str
        Its columns.
    levels : tuple of str
        Levels of a categorical column, else empty.
    log : bool array, shape (column,)
        Whether a column is on the log scale.
    center, scale : array, shape (column,)
        ``value = center + scale * z``.
    density : callable
        ``density(z)`` gives the log density of each component, shape (row, component).
    """

    names: tuple[str, ...]
    levels: tuple[str, ...]
    log: NDArray[np.bool_]
    center: Array
    scale: Array
    density: Callable[[Array], Array]


def joint(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    """Return the log density of multivariate Student-t: rows are whitened, a 1 in front taking the mean away.

    Parameters
    ----------
    arrays : mapping
        ``df`` and ``constant``, shape (component,); ``mean``, shape (component, column); ``root``, Cholesky factors of scales.
    """
    df, size = arrays["df"], arrays["mean"].shape[1]
    inverse = np.linalg.inv(arrays["root"])
    shift = np.einsum("kij,kj->ki", inverse, arrays["mean"])
    turn = np.ascontiguousarray(np.concatenate([-shift[:, None], inverse.swapaxes(1, 2)], axis=1))
    constant, power = arrays["constant"], (df + size) / 2
    at_once = max(_PRODUCTS // max(size * (size + 1), 1), 1)

    def density(z: Array) -> Array:
        square = np.empty((len(z), len(df)))
        for start in range(0, len(z), at_once):
            rows = z[start:start + at_once]
            with_one = np.empty((len(rows), size + 1))
            with_one[:, 0], with_one[:, 1:] = 1.0, rows
            white = with_one @ turn  # (component, row, column)
            np.einsum("kni,kni->nk", white, white, out=square[start:start + at_once])
        return np.asarray(constant - power * np.log1p(square / df))

    return density


def log_sum(logs: Array) -> Array:
    """Return log sum_k exp(logs), shape (row,), for finite logs of shape (row, component).

    Examples
    --------
    >>> log_sum(np.log([[1.0, 3.0]])).round(12).tolist() == [round(float(np.log(4)), 12)]
    True
    """
    top = logs.max(axis=1)
    return np.asarray(top + np.log(np.exp(logs - top[:, None]).sum(axis=1)))


def _independent(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    df, mean, scale = arrays["df"], arrays["mean"], arrays["scale"]

    def density(z: Array) -> Array:
        square = ((z[:, None] - mean) / scale) ** 2
        return np.asarray(arrays["constant"] - ((df + 1) / 2 * np.log1p(square / df)).sum(axis=2))

    return density


def _categories(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    return lambda z: np.asarray(arrays["log_probability"].T[z[:, 0].astype(np.intp)])


FORMS: Mapping[str, Callable[[Mapping[str, Array]], Callable[[Array], Array]]] = {
    "joint": joint, "independent": _independent, "categories": _categories,
}


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """An exported mixture.

    Attributes
    ----------
    columns : tuple of str
        The columns, in the order of arrays that are scored.
    ids : tuple of int
        Ids of the components.
    log_weights : array, shape (component,)
        Logs of the mean weights.
    blocks : tuple of Block
        The parts of a row.
    """

    columns: tuple[str, ...]
    ids: tuple[int, ...]
    log_weights: Array
    blocks: tuple[Block, ...]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scorer:
        """Read what `MixtureFit.export` wrote; nothing in the file is executed.

        Raises
        ------
        ValueError
            Another file.
        """
        with np.load(path, allow_pickle=False) as held:
            if "about" not in held or (about := json.loads(str(held["about"])))["format"] != FORMAT:
                raise ValueError(f"{os.fspath(path)} is no scorer of the format {FORMAT!r}. Give a file that "
                                 "MixtureFit.export wrote.")
            blocks = tuple(_block(each, {name: held[f"{place}_{name}"] for name in each["arrays"]})
                           for place, each in enumerate(about["blocks"]))
            return cls(tuple(about["columns"]), tuple(about["ids"]), held["log_weights"], blocks)

    def score(self, rows: Any) -> Array:
        """Return the log predictive density of each row in original units, shape (row,), as ``fit.score`` does.

        Parameters
        ----------
        rows : array, shape (row, column), or mapping
            Numbers in the order of ``columns``; or columns by name, as where some are texts.

        Raises
        ------
        ValueError
            Missing or infinite values, a level that the fit has not seen, a logarithm of a number at or below 0, or another
            number of columns.
        """
        numbers, jacobian = zip(*(_standardised(block, self._columns(block, rows)) for block in self.blocks), strict=True)
        found = np.empty(len(numbers[0]))
        for start in range(0, len(found), _ROWS):
            place = slice(start, start + _ROWS)
            logs = self.log_weights + sum(block.density(z[place]) for block, z in zip(self.blocks, numbers, strict=True))
            found[place] = log_sum(logs)
        return np.asarray(found + sum(jacobian))

    def _columns(self, block: Block, rows: Any) -> Sequence[NDArray[Any]]:
        if isinstance(rows, np.ndarray):
            if rows.ndim != 2 or rows.shape[1] != len(self.columns):
                raise ValueError(f"rows of shape {rows.shape}: the columns are {', '.join(self.columns)}. Give an array of shape "
                                 f"(row, {len(self.columns)}), or columns by name.")
            return [rows[:, self.columns.index(name)] for name in block.names]
        return [np.asarray(rows[name]) for name in block.names]


def _block(about: Mapping[str, Any], arrays: Mapping[str, Array]) -> Block:
    return Block(tuple(about["names"]), tuple(about["levels"]), np.array(about["log"], np.bool_), np.array(about["center"]),
                 np.array(about["scale"]), FORMS[about["form"]](arrays))


def _standardised(block: Block, columns: Sequence[NDArray[Any]]) -> tuple[Array, Array]:
    """Return what the densities see, and the log Jacobian of each row."""
    if block.levels:
        place = {level: code for code, level in enumerate(block.levels)}
        codes = [place.get(str(value)) for value in columns[0].tolist()]
        if None in codes:
            raise ValueError(f"`{block.names[0]}`: {columns[0][codes.index(None)]!r} is a level that the fit has not seen. "
                             "Drop the rows, or fit again.")
        return np.array(codes, np.float64)[:, None], np.zeros(len(codes))
    values = np.stack([np.asarray(each, np.float64) for each in columns], axis=1)
    jacobian = np.full(len(values), -np.log(block.scale).sum())
    if block.log.any():
        logged = values[:, block.log]
        if not (logged > 0).all():
            raise ValueError(f"values at or below 0, or missing, in {_named(block, block.log)}: they are on the log scale. "
                             "Drop the rows.")
        values[:, block.log] = np.log(logged)
        jacobian -= values[:, block.log].sum(axis=1)
    if not np.isfinite(values).all():
        raise ValueError(f"missing or infinite values in {_named(block, ~np.isfinite(values).all(axis=0))}. Drop the rows.")
    return (values - block.center) / block.scale, jacobian


def _named(block: Block, which: NDArray[np.bool_]) -> str:
    return ", ".join(f"`{name}`" for name, held in zip(block.names, which, strict=True) if held)
