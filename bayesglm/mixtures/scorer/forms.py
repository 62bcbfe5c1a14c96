"""Forms: the kinds of densities that an exported mixture is made of, by name, with NumPy alone.

A form makes a density from its arrays. Where columns are independent the density leaves out what is NaN; where they are not, the
form has arrays for some of the columns too, since rows are grouped by which values they have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import surfaces  # noqa: TID252 - the folder is copied as it is
from .counts import Counted, negative_binomial, poisson  # noqa: TID252
from .students import independent, joint, joint_part, scale_mixture, scale_mixture_part  # noqa: TID252

Array = NDArray[np.float64]
Arrays = Mapping[str, Array]
Density = Callable[[Array], Array]
Marginal = Callable[[NDArray[np.bool_], int], Density]

_PATTERNS = 64  # of missing values that are kept ready
_FEW = 1000  # rows for which no table is worth its making


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of density.

    Attributes
    ----------
    density : callable
        ``density(arrays)`` gives a function of rows z, shape (row, column), to log densities, shape (row, component).
    part : callable, optional
        ``part(arrays, held)`` gives the arrays of the columns that are held; None where the density leaves out what is NaN.
    few : callable, optional
        A density for few rows, where it takes long to get the other ready.
    ready : callable, optional
        ``ready(density, columns)`` gives a density that is faster for many rows like these, which are given by columns.
    """

    density: Callable[[Arrays], Density]
    part: Callable[[Arrays, NDArray[np.bool_]], Arrays] | None = None
    few: Callable[[Arrays], Density] | None = None
    ready: Callable[[Any, Sequence[Array]], Density] | None = None

    def marginal(self, arrays: Arrays) -> Marginal | None:
        """Return ``marginal(held, rows)``, the density over some columns for about so many rows; the last ones are kept."""
        if self.part is None:
            return None
        part = self.part

        @lru_cache(maxsize=_PATTERNS)
        def of(key: bytes, few: int) -> Density:
            make = self.few if few and self.few is not None else self.density
            return make(part(arrays, np.frombuffer(key, np.bool_)))

        return lambda held, rows: of(held.tobytes(), int(rows < _FEW))


def _counts(columns: Callable[[Arrays], Sequence[Counted]]) -> Form:
    def density(arrays: Arrays) -> surfaces.Density:
        return surfaces.Density.of(columns(arrays), (arrays["fixed"] > 0).tolist())

    return Form(density, ready=surfaces.Density.ready)


def _categories(arrays: Arrays) -> Density:
    logs = arrays["log_probability"].T

    def density(z: Array) -> Array:
        gone = np.isnan(z[:, 0])
        found = logs[np.where(gone, 0.0, z[:, 0]).astype(np.intp)]
        found[gone] = 0.0
        return np.asarray(found)

    return density


FORMS: Mapping[str, Form] = {
    "joint": Form(joint, joint_part),
    "scale_mixture": Form(scale_mixture, scale_mixture_part, partial(scale_mixture, exact=True)),
    "independent": Form(independent),
    "poisson": _counts(poisson),
    "negative_binomial": _counts(negative_binomial),
    "categories": Form(_categories),
}
