"""Owned: the coefficients of a problem that have scales of their own, collected prior by prior.

`bayesglm.latent.layout.field_of` collects them; `bayesglm.latent.variables` reports them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.own_scales import OwnScales
from bayesglm.priors import Prior

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """Coefficients with scales of their own, under one prior.

    Attributes
    ----------
    variable : str
        The variable.
    scales : OwnScales
        How the scales depend on theta.
    begin : int
        Which theta is their first.
    predictor : int
        Which predictor they are of.
    columns : array, shape (coef, rows)
        Their columns.
    place : int array, shape (coef,)
        Their coordinates in the sparse part.
    """

    variable: str
    scales: OwnScales[Prior]
    begin: int
    predictor: int
    columns: Array
    place: Index


def own_arrays(found: Sequence[Own], rows: int) -> dict[str, Any]:
    """Return what the layout knows of them; see `bayesglm.latent.layout.Layout`."""
    none, a = np.zeros(0, np.int64), [each.scales.a for each in found]
    counts = np.concatenate([none, *(np.bincount(each.row, minlength=each.size) for each in a)])
    slabs = [each.begin + each.scales.slab if each.scales.slab >= 0 else -1 for each in found]
    powers = np.concatenate([np.zeros((0, 2)), *(np.stack([each.power, each.other], axis=1) for each in a)])

    def repeated(values: Sequence[float], kind: Any) -> NDArray[Any]:
        return np.repeat(np.array(values, kind), [each.size for each in a])

    return {
        "own_place": np.concatenate([none, *(each.place for each in found)]),
        "own_predictor": repeated([each.predictor for each in found], np.int64),
        "own_columns": np.concatenate([np.zeros((0, rows)), *(each.columns for each in found)]),
        "own_constant": repeated([each.constant for each in a], np.float64), "own_slab": repeated(slabs, np.int64),
        "own_begin": np.cumsum(counts) - counts, "own_end": np.cumsum(counts),
        "own_theta": np.concatenate([none, *(each.begin + each.scales.a.theta for each in found)]),
        "own_power": powers[:, 0].copy(), "own_other": powers[:, 1].copy(),
    }
