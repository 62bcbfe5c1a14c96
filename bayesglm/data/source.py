"""Source: a table that is read in pieces as often as it is needed, with what one pass over it found.

A model of such a table holds a sample of its rows; everything that speaks of single rows speaks of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.batches import Batches
from bayesglm.data.schema import Schema

SAMPLE = 32_768


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A table in pieces.

    Attributes
    ----------
    batches : Batches
        The pieces, as data frames.
    schema : Schema
        What they are held against: kinds and levels of the sample, ranges of the whole table.
    rows : int
        Rows of the whole table.
    predictors : tuple of str
        Columns that the formulas name.
    columns : tuple of str
        All columns that are read.
    random : bool array, shape (sample row,)
        Which rows of the sample were drawn at random from all; the others stand for a level or an end of a range.
    """

    batches: Batches
    schema: Schema
    rows: int
    predictors: tuple[str, ...]
    columns: tuple[str, ...]
    random: NDArray[np.bool_]
