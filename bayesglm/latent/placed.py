"""Placed: what the entries of a field are, and where the blocks of a model stand in it.

`bayesglm.latent.layout.field_of` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.design import Predictor
from bayesglm.log_density import LogDensity
from bayesglm.terms.term import Block

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """What a core entry is: ``location + sd u`` is an entry of a variable of the model.

    Attributes
    ----------
    variable : str
        The variable, one-dimensional or a scalar.
    position : int
        Which entry of it.
    location, sd : float
        Of its prior where that is normal, else of a normal density that resembles it.
    coefficient : int
        Which column of the predictor's common effects it multiplies, -1 for none.
    other : LogDensity, optional
        The prior where it is not normal.
    """

    variable: str
    position: int
    location: float
    sd: float
    coefficient: int = -1
    other: LogDensity | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Where a block stands in the field.

    Attributes
    ----------
    block : Block
        The block.
    predictor : Predictor
        Whose it is.
    sparse : int array, shape (levels, effects), or None
        Coordinates of the sparse part, -1 where a walk is anchored; None for a curve in the core.
    core : int array, shape (effects,), or None
        Core entries of a curve.
    sd, partial, rho : int arrays
        Which theta are its scales (one for each effect), partial correlations and autocorrelation.
    levels : int array, shape (order, paths)
        Coordinates of the levels, and for order 2 slopes, of a walk that no coefficient takes up; empty elsewhere.
    """

    block: Block
    predictor: Predictor
    sparse: Index | None
    core: Index | None
    sd: Index
    partial: Index
    rho: Index
    levels: Index
