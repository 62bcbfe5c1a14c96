"""What is known about a data set: where it comes from, and what each column means.

The records stand in `catalogue`; `bayesglm.datasets` reads the file that a record describes.

To add a data set: 1. put ``NAME.csv`` into this folder, with a header, UTF-8 and no missing values; 2. add a
`DatasetRecord` to `catalogue.RECORDS`, with the publication and every column; 3. pin a total that the publication
prints in ``tests/test_datasets.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["str", "int64", "float64", "datetime64[ns]"]


@dataclass(frozen=True, slots=True)
class ColumnRecord:
    """One column of a data set.

    Parameters
    ----------
    name : str
        Its name in the table.
    dtype : str
        Its type in the table: "str" for codes and labels, "int64" for counts and flags, "float64", or "datetime64[ns]".
    unit : str
        The unit of a value; "label" for codes.
    meaning : str
        What it says.
    """

    name: str
    dtype: ColumnType
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """One data set: its columns, and the source to cite.

    Parameters
    ----------
    name : str
        The name that `load_dataset` takes.
    title : str
        One line that says what was observed.
    source : str
        Where the numbers were published, in short.
    citation : str
        The full reference.
    columns : tuple of ColumnRecord
        The columns, in the order of the table.
    rows : int
        How many rows the table has.
    simulated : bool
        Whether the data were drawn from a known model instead of observed.
    notes : str
        What a user should know before modelling.
    """

    name: str
    title: str
    source: str
    citation: str
    columns: tuple[ColumnRecord, ...]
    rows: int
    notes: str
    simulated: bool = False

    @property
    def units(self) -> dict[str, str]:
        """The unit of each column."""
        return {column.name: column.unit for column in self.columns}
