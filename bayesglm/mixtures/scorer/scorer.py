"""Scorer: an exported mixture, read from its file, and the scores of rows, with NumPy alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import negative_binomial, poisson  # noqa: TID252 - the folder is copied as it is
from .students import independent, joint, log_sum, scale_mixture  # noqa: TID252
from .transforms import Transform, changed, transform  # noqa: TID252

Array = NDArray[np.float64]

FORMAT = "bayesglm scorer 3"
_FURTHEST, _MOST = 1e100, 2.0**53  # sds from the center, and counts
_ROWS = 1024  # at most at once: what they need stays in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One part of a row.

    Attributes
    ----------
    names : tuple of str
        Its columns.
    levels : tuple of str
        Levels of a categorical column, else empty.
    transforms : tuple of Transform
        Of each column.
    center, scale : array, shape (column,)
        ``transformed value = center + scale * z``.
    exposure : tuple of str
        Of counts, the column that multiplies the mean of each column, "" for none; else empty.
    exposure_unit : array, shape (column,)
        In which exposures are counted.
    density : callable
        ``density(z)`` gives the log density of each component, shape (row, component); exposures stand behind counts.
    """

    names: tuple[str, ...]
    levels: tuple[str, ...]
    transforms: tuple[Transform, ...]
    center: Array
    scale: Array
    exposure: tuple[str, ...]
    exposure_unit: Array
    density: Callable[[Array], Array]


def _categories(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    return lambda z: np.asarray(arrays["log_probability"].T[z[:, 0].astype(np.intp)])


FORMS: Mapping[str, Callable[[Mapping[str, Array]], Callable[[Array], Array]]] = {
    "joint": joint, "independent": independent, "scale_mixture": scale_mixture, "poisson": poisson,
    "negative_binomial": negative_binomial, "categories": _categories,
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
            Missing or infinite values, a level that the fit has not seen, a value that its transform does not take, or another
            number of columns.
        """
        columns = [self._columns(block, rows) for block in self.blocks]
        found = np.empty(len(columns[0][0]))
        for start in range(0, len(found), _ROWS):
            place, logs, jacobian = slice(start, start + _ROWS), self.log_weights, np.zeros(1)
            for block, held in zip(self.blocks, columns, strict=True):
                z, of_scale = _standardised(block, [each[place] for each in held])
                logs, jacobian = logs + block.density(z), jacobian + of_scale
            found[place] = log_sum(logs) + jacobian
        return found

    def _columns(self, block: Block, rows: Any) -> Sequence[NDArray[Any]]:
        names = [*block.names, *(name for name in block.exposure if name)]
        if isinstance(rows, np.ndarray):
            if rows.ndim != 2 or rows.shape[1] != len(self.columns):
                raise ValueError(f"rows of shape {rows.shape}: the columns are {', '.join(self.columns)}. Give an array of shape "
                                 f"(row, {len(self.columns)}), or columns by name.")
            return [rows[:, self.columns.index(name)] for name in names]
        return [np.asarray(rows[name]) for name in names]


def _block(about: Mapping[str, Any], arrays: Mapping[str, Array]) -> Block:
    density = FORMS[about["form"]](arrays)
    transforms = tuple(map(transform, about["transforms"]))
    return Block(tuple(about["names"]), tuple(about["levels"]), transforms, np.array(about["center"]),
                 np.array(about["scale"]), tuple(about["exposure"]), np.array(about["exposure_unit"]), density)


def _standardised(block: Block, columns: Sequence[NDArray[Any]]) -> tuple[Array, Array]:
    """Return what the densities see, and the log Jacobian of each row."""
    if block.levels:
        place = {level: code for code, level in enumerate(block.levels)}
        place |= {f"{level}.0": code for level, code in place.items() if level.lstrip("-").isdigit()}  # whole numbers as floats
        codes = np.array([place.get(each, -1) for each in map(str, columns[0].tolist())], np.float64)
        if (codes < 0).any():
            raise ValueError(f"`{block.names[0]}`: {columns[0][codes < 0][0]!r} is a level that the fit has not seen. "
                             "Drop the rows, or fit again.")
        return codes[:, None], np.zeros(len(codes))
    values = np.stack([np.asarray(each, np.float64) for each in columns[:len(block.names)]], axis=1)
    jacobian = np.full(len(values), -np.log(block.scale).sum())
    for j, how in changed(block.transforms):
        held = how.holds(values[:, j])
        if not held.all():
            raise ValueError(f"`{block.names[j]}`: {how.wrong}, such as {values[~held, j][0]:g}; {how.rule}. Drop the rows.")
        values[:, j] = how.forward(values[:, j])
        jacobian += how.log_slope(values[:, j])
    numbers = (values - block.center) / block.scale
    near = (np.abs(numbers) <= _FURTHEST).all(axis=0)
    if not near.all():
        raise ValueError(f"missing or infinite values in {_named(block, ~near)}, or further than {_FURTHEST:g} sds from the "
                         "center. Drop the rows.")
    if block.exposure:
        return np.hstack([numbers, _exposures(block, numbers, columns[len(block.names):])]), jacobian
    return numbers, jacobian


def _exposures(block: Block, counts: Array, columns: Sequence[NDArray[Any]]) -> Array:
    """Return exposures in their units, 1 for columns without."""
    wrong = ((counts < 0) | (counts > _MOST) | (counts != np.floor(counts))).any(axis=0)
    if wrong.any():
        raise ValueError(f"numbers that are no counts in {_named(block, wrong)}: counts are whole numbers from 0 to 2^53. "
                         "Correct the rows.")
    found, given = np.ones(counts.shape), iter(columns)
    for j, name in enumerate(block.exposure):
        if not name:
            continue
        each = np.asarray(next(given), np.float64)
        if not (np.isfinite(each) & (each >= 0) & ((each > 0) | (counts[:, j] == 0))).all():
            raise ValueError(f"`{name}`: exposures that are missing, infinite, negative, or 0 where something was counted. "
                             "Correct the rows.")
        found[:, j] = each / block.exposure_unit[j]
    return found


def _named(block: Block, which: NDArray[np.bool_]) -> str:
    return ", ".join(f"`{name}`" for name, held in zip(block.names, which, strict=True) if held)
