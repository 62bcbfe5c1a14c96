"""Columns: what an exported mixture reads of rows, and the numbers its densities see, with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .forms import Density, Marginal  # noqa: TID252 - the folder is copied as it is
from .transforms import Transform, changed  # noqa: TID252

Array = NDArray[np.float64]
Given = Mapping[str, NDArray[Any]]
Places = slice | NDArray[np.intp]

_FURTHEST, _MOST = 1e100, 2.0**53  # sds from the center, and counts


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
    missing : bool
        Whether values may be missing: they are then integrated out.
    exposure : tuple of str
        Of counts, the column that multiplies the mean of each column, "" for none; else empty.
    exposure_unit : array, shape (column,)
        In which exposures are counted.
    density : callable
        ``density(z)`` gives the log density of each component, shape (row, component); exposures stand behind counts.
    marginal : callable or None
        ``marginal(held, rows)`` gives that of some columns; None where ``density`` leaves out what is NaN.
    ready : callable or None
        ``ready(columns)`` gives a density that is faster for many rows like these; None where there is none.
    """

    names: tuple[str, ...]
    levels: tuple[str, ...]
    transforms: tuple[Transform, ...]
    center: Array
    scale: Array
    missing: bool
    exposure: tuple[str, ...]
    exposure_unit: Array
    density: Density
    marginal: Marginal | None
    ready: Callable[[Sequence[Array]], Density] | None

    def read(self, given: Given) -> list[Array]:
        """Return columns of values, or of codes of levels, NaN where there is none; exposures in their units stand behind."""
        if self.levels:
            return [self._codes(given[self.names[0]])]
        values = [_numbers(given[name]) for name in self.names]
        return [*values, *self._exposures(values, given)]

    def over(self, held: NDArray[np.bool_], rows: int) -> Block:
        """Return what is said of some columns, for about so many rows; only where there is a marginal."""
        if self.marginal is None or held.all():
            return self
        def of(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(value for value, there in zip(values, held, strict=True) if there)

        return replace(self, names=of(self.names), transforms=of(self.transforms), center=self.center[held],
                       scale=self.scale[held], density=self.marginal(held, rows))

    def made_ready(self, columns: Sequence[Array]) -> Block:
        """Return the block for many rows like these."""
        return self if self.ready is None else replace(self, density=self.ready(columns))

    def standardised(self, values: Array) -> tuple[Array, Array]:
        """Return what the density sees of what was read, and the log Jacobian of each row.

        Raises
        ------
        ValueError
            Values that are infinite or too far, or that a transform does not take; no counts where there are counts.
        """
        if self.levels:
            return values, np.zeros(len(values))
        size = len(self.names)
        numbers, jacobian = scaled(self.names, self.transforms, self.center, self.scale, values[:, :size], missing=self.missing)
        if not self.exposure:
            return numbers, jacobian
        wrong = ((numbers < 0) | (numbers > _MOST) | (numbers != np.floor(numbers)) & ~np.isnan(numbers)).any(axis=0)
        if wrong.any():
            raise ValueError(f"numbers that are no counts in {_named(self.names, wrong)}: counts are whole numbers from 0 to "
                             "2^53. Correct the rows.")
        return values, jacobian

    def _codes(self, column: NDArray[Any]) -> Array:
        place: dict[str, float] = {level: float(code) for code, level in enumerate(self.levels)}
        place |= {f"{level}.0": code for level, code in place.items() if level.lstrip("-").isdigit()}  # whole numbers as floats
        cells = column.tolist()
        codes = np.array([np.nan if _gone(each) else place.get(str(each), -1.0) for each in cells], np.float64)
        if (codes < 0).any():
            raise ValueError(f"`{self.names[0]}`: {cells[int((codes < 0).argmax())]!r} is a level that the fit has not seen. "
                             "Drop the rows, or fit again.")
        if not self.missing and np.isnan(codes).any():
            raise ValueError(f"missing values in `{self.names[0]}`. Drop the rows, or fit with missing='marginalise'.")
        return codes

    def _exposures(self, counts: Sequence[Array], given: Given) -> list[Array]:
        """Return the exposure of each column in its unit, 1 for columns without; nothing where there are no counts."""
        read = {name: _numbers(given[name]) for name in dict.fromkeys(self.exposure) if name}
        for name, each in read.items():
            held = np.isfinite(each) & (each >= 0)
            if (each == 0).any():
                counted = np.any([own > 0 for own, of in zip(counts, self.exposure, strict=True) if of == name], axis=0)
                held &= (each > 0) | ~counted
            if not held.all():
                raise ValueError(f"`{name}`: exposures that are missing, infinite, negative, or 0 where something was counted. "
                                 "Correct the rows.")
        pairs = list(zip(self.exposure, self.exposure_unit.tolist(), strict=True))
        in_units = {(name, unit): read[name] / unit if name else np.ones(len(counts[0])) for name, unit in dict.fromkeys(pairs)}
        return [in_units[pair] for pair in pairs]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """How columns become the scores that are described: ``(transformed - center) / scale @ loadings / sd``.

    Attributes
    ----------
    columns : tuple of str
        The columns.
    transforms : tuple of Transform
        Of each.
    center, scale : array, shape (column,)
        Mean and sd of each.
    loadings : array, shape (column, score)
        Orthonormal columns.
    sd : array, shape (score,)
        What each score is divided by.
    """

    columns: tuple[str, ...]
    transforms: tuple[Transform, ...]
    center: Array
    scale: Array
    loadings: Array
    sd: Array

    def scores(self, given: Given) -> tuple[dict[str, Array], Array]:
        """Return scores by their names pc1, pc2 and so on, and the log Jacobian of each row, 0 with fewer scores than columns.

        Raises
        ------
        ValueError
            A value that is missing, infinite or too far, or that a transform does not take.
        """
        values = np.stack([_numbers(given[name]) for name in self.columns], axis=1)
        numbers, jacobian = scaled(self.columns, self.transforms, self.center, self.scale, values, missing=False)
        found = numbers @ self.loadings / self.sd
        whole = self.loadings.shape[0] == self.loadings.shape[1]
        return ({f"pc{j + 1}": each for j, each in enumerate(found.T)},
                jacobian - np.log(self.sd).sum() if whole else np.zeros(len(values)))


def scaled(names: Sequence[str], transforms: Sequence[Transform], center: Array, scale: Array, values: Array, *,
           missing: bool) -> tuple[Array, Array]:
    """Return transformed and standardised numbers, shape (row, column), and the log Jacobian of each row."""
    gone, jacobian = np.isnan(values), np.full(len(values), -np.log(scale).sum())
    if gone.any():
        if not missing:
            raise ValueError(f"missing values in {_named(names, gone.any(axis=0))}. Drop the rows, or fit with "
                             "missing='marginalise'; a projection takes none.")
        jacobian += gone @ np.log(scale)
    turned = changed(transforms)
    if turned:
        values = values.copy()
    for j, how in turned:
        held = how.holds(values[:, j])
        if not held.all():
            raise ValueError(f"`{names[j]}`: {how.wrong}, such as {values[~held, j][0]:g}; {how.rule}. Drop the rows.")
        values[:, j] = how.forward(values[:, j])
        jacobian += np.where(gone[:, j], 0.0, how.log_slope(values[:, j]))
    numbers = (values - center) / scale
    far = (np.abs(numbers) > _FURTHEST).any(axis=0)
    if far.any():
        raise ValueError(f"infinite values in {_named(names, far)}, or further than {_FURTHEST:g} sds from the center. "
                         "Drop the rows.")
    return numbers, jacobian


def alike(blocks: Sequence[Block], read: Sequence[Sequence[Array]]) -> Iterator[tuple[Places, list[tuple[Block, list[Array]]]]]:
    """Yield rows with the same values missing, and each block over what they have, with their columns; none of nothing."""
    rows = len(read[0][0])
    gaps = [np.stack([np.isnan(each) for each in columns], axis=1) if block.missing and block.marginal is not None
            else np.zeros((rows, 0), np.bool_) for block, columns in zip(blocks, read, strict=True)]
    if not any(each.any() for each in gaps):
        yield slice(0, rows), [(block, list(columns)) for block, columns in zip(blocks, read, strict=True)]
        return
    packed = np.packbits(np.hstack(gaps), axis=1)
    order = np.lexsort(packed.T)
    new = np.flatnonzero((packed[order[1:]] != packed[order[:-1]]).any(axis=1)) + 1
    for own in np.split(order, new):
        held = [np.ones(len(columns), np.bool_) if gone.shape[1] == 0 else ~gone[own[0]]
                for gone, columns in zip(gaps, read, strict=True)]
        yield own, [(block.over(there, len(own)), [each[own] for each, kept in zip(columns, there, strict=True) if kept])
                    for block, columns, there in zip(blocks, read, held, strict=True) if there.any()]


def _gone(value: object) -> bool:
    """Return whether a value is missing: None, or like NaN not equal to itself."""
    return value is None or (value != value) is not False  # pandas' NA is neither True nor False


def _numbers(column: NDArray[Any]) -> Array:
    if column.dtype == object:
        return np.array([np.nan if _gone(each) else each for each in column.tolist()], np.float64)
    return np.asarray(column, np.float64)


def _named(names: Sequence[str], which: NDArray[np.bool_]) -> str:
    return ", ".join(f"`{name}`" for name, held in zip(names, which, strict=True) if held)
