"""Table: the checked columns of a data frame, as everything after the data door sees them.

Made by `read_table`, used by the terms (columns), the model (observations) and the predictions. Nothing below this
module checks a user's data again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["numeric", "boolean", "category", "time"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth knowing about the data that is no error.

    Attributes
    ----------
    kind : str
        What was found: ``outside_range``, ``unseen_level``, ``timezone``, ``rounded_time``, ``numeric_text``,
        ``constant_response``, ``exposure_scale``, ``in_pieces``.
    column : str
        The column it was found in.
    rows : tuple of int
        The first positions (from 0), at most 20; empty where it concerns the whole column.
    count : int
        How many rows it concerns.
    text : str
        The finding in a sentence.
    """

    kind: str
    column: str
    rows: tuple[int, ...]
    count: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column.

    Attributes
    ----------
    name : str
        Its name in the table.
    kind : {"numeric", "boolean", "category", "time"}
        What it holds.
    values : array, shape (row,)
        float64 for numeric and boolean, int64 codes for category, datetime64[us] for time.
    levels : tuple of str
        The levels that the codes of a category stand for.
    integer : bool
        Whether numbers came as integers, so that readers see 3 and not 3.0.
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    levels: tuple[str, ...] = ()
    integer: bool = False

    def as_category(self) -> Column:
        """Return the column with its values as levels: a group may be an integer, a boolean or a string."""
        if self.kind == "category":
            return self
        held = self.values.astype(bool) if self.kind == "boolean" else self.values
        values, codes = np.unique(held, return_inverse=True)
        return Column(self.name, "category", codes.astype(np.int64), tuple(_label(value) for value in values))

    def labels(self) -> NDArray[Any]:
        """Return the values as readers know them: level names for a category, True and False for a boolean, integers as such.

        A missing level or boolean is None, a missing number NaN.

        Examples
        --------
        >>> Column("build", "numeric", np.array([3.0, 4.0]), integer=True).labels().tolist()
        [3, 4]
        """
        if self.kind == "category":
            return np.asarray(np.array((*self.levels, None), dtype=object)[self.values])  # a missing value has the code -1
        if self.kind == "boolean":
            gone = np.isnan(self.values)
            held = self.values.astype(bool)
            if not gone.any():
                return held
            found = held.astype(object)
            found[gone] = None
            return found
        if self.integer and np.all(self.values == np.floor(self.values)):  # a filled median may be no integer
            return self.values.astype(np.int64)
        return self.values

    def take(self, rows: NDArray[np.intp]) -> Column:
        """Return the column at these rows."""
        return replace(self, values=self.values[rows])


def _label(value: Any) -> str:
    if isinstance(value, np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Checked columns of equal length.

    Attributes
    ----------
    columns : mapping
        The columns by name; the indicator ``x_missing`` of a column with a policy for missing values stands beside it.
    rows : int
        Number of rows.
    findings : tuple of Finding
        What was found in reading: values outside the fitted range, unseen levels, times that were converted.
    imputed : mapping
        Number of filled cells for each column with a policy for missing values, zero included.
    origin : int array, shape (row,), optional
        Position of each row in the user's data frame, where only some of its rows are left.
    """

    columns: Mapping[str, Column]
    rows: int
    findings: tuple[Finding, ...] = ()
    imputed: Mapping[str, int] = field(default_factory=dict)
    origin: NDArray[np.intp] | None = None

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def positions(self, rows: NDArray[np.intp]) -> list[int]:
        """Return where some rows stand in the user's data frame, for messages."""
        found: list[int] = (rows if self.origin is None else self.origin[rows]).tolist()
        return found

    def take(self, rows: NDArray[np.intp]) -> Table:
        """Return the table at these rows."""
        return Table({name: column.take(rows) for name, column in self.columns.items()}, len(rows))


@dataclass(frozen=True, slots=True)
class ExposureScale:
    """What an exposure was counted in at the fit, to compare new data with.

    Attributes
    ----------
    column : str
        The exposure column.
    unit : str, optional
        The unit it is counted in, if the user named one.
    median : float
        Median of the positive exposures, in that unit.
    """

    column: str
    unit: str | None
    median: float


@dataclass(frozen=True, slots=True)
class Roles:
    """Which column plays which part.

    Attributes
    ----------
    response : str
        The response column.
    trials : str or int, optional
        Trials of a binomial response: a column or one number for all rows.
    exposure, exposure_unit : str, optional
        Column that multiplies the mean, and the unit it is counted in.
    weights : str, optional
        Column of counts of identical rows.
    time, id : str, optional
        Columns that order and name the rows.
    context : tuple of str
        Label columns carried through to predictions and reports.
    """

    response: str
    trials: str | int | None = None
    exposure: str | None = None
    exposure_unit: str | None = None
    weights: str | None = None
    time: str | None = None
    id: str | None = None
    context: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """What was observed, row by row.

    Attributes
    ----------
    response : array, shape (obs,)
        The response; codes for a category; NaN where new data come without one.
    levels : tuple of str
        Levels of a categorical response.
    exposure, trials : array, shape (obs,), optional
        float64.
    weights : array, shape (obs,)
        How many identical rows each stands for (ones without weights).
    labels : mapping
        Context, id and time columns by name, as arrays of labels.
    exposure_scale : ExposureScale, optional
        Unit and median of the exposure.
    findings : tuple of Finding
        What was found: a constant response, an exposure on another scale than the fit's.
    """

    response: Array
    levels: tuple[str, ...]
    exposure: Array | None
    trials: Array | None
    weights: Array
    labels: Mapping[str, NDArray[Any]]
    exposure_scale: ExposureScale | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def informative(self) -> NDArray[np.bool_]:
        """Rows that add to the likelihood: all but those with weight, exposure or trials 0 (whose count is 0)."""
        informative = self.weights > 0
        for size in (self.exposure, self.trials):
            if size is not None:
                informative &= size > 0
        return informative
