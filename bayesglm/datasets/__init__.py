"""Small data sets with their sources: seven that were published and one drawn from a known truth.

Every file ships with the package; nothing is fetched. Records of the columns, units and sources stand in `catalogue`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

import pandas as pd

from bayesglm.datasets.catalogue import RECORDS
from bayesglm.datasets.record import ColumnRecord, DatasetRecord
from bayesglm.datasets.service_errors import TRUTH, ServiceErrorsTruth
from bayesglm.errors import UnknownNameError, suggestion

__all__ = [
    "ColumnRecord",
    "DatasetRecord",
    "ServiceErrorsTruth",
    "dataset_names",
    "describe_dataset",
    "load_dataset",
    "truth",
]

_RECORDS: Mapping[str, DatasetRecord] = MappingProxyType({record.name: record for record in RECORDS})
_TRUTHS: Mapping[str, ServiceErrorsTruth] = MappingProxyType({"service_errors": TRUTH})


def dataset_names() -> tuple[str, ...]:
    """Give the names that `load_dataset` knows.

    Returns
    -------
    tuple of str
        The names, in alphabetical order.

    Examples
    --------
    >>> dataset_names()[:3]
    ('coal_disasters', 'old_faithful', 'orings')
    """
    return tuple(sorted(_RECORDS))


def describe_dataset(name: str) -> DatasetRecord:
    """Give what is known about a data set.

    Parameters
    ----------
    name : str
        One of `dataset_names`.

    Returns
    -------
    DatasetRecord
        Title, source, citation, columns with units and meaning, number of rows, notes.

    Raises
    ------
    UnknownNameError
        If there is no data set of that name.

    Examples
    --------
    >>> record = describe_dataset("pump_failures")
    >>> record.source, record.units["operation_time"]
    ("Gaver and O'Muircheartaigh (1987)", 'thousand hours')
    """
    if name not in _RECORDS:
        raise UnknownNameError(
            f"there is no data set {name!r}",
            value=name,
            rule="a data set is one of those that ship with the package",
            fix=suggestion(str(name), _RECORDS),
        )
    return _RECORDS[name]


def load_dataset(name: str) -> pd.DataFrame:
    """Load one of the package's small data sets.

    Labels are strings, counts are int64, and the frame's ``attrs`` hold the name, the source and the units.

    Parameters
    ----------
    name : str
        One of the names below.

        - ``"coal_disasters"``: disasters in British coal mines by year, 1851 to 1962 (Jarrett 1979).
        - ``"old_faithful"``: durations of a geyser's eruptions and the waiting times (Härdle 1991; Azzalini and
          Bowman 1990).
        - ``"orings"``: O-rings in distress on 23 Space Shuttle flights, launch temperature, leak-check pressure (Dalal,
          Fowlkes and Hoadley 1989).
        - ``"pump_failures"``: failures of ten pumps in a power plant, time of operation (Gaver and O'Muircheartaigh
          1987).
        - ``"request_latency"``: latency of a server every five minutes, with three labelled events (Lavin and Ahmad 2015).
        - ``"service_errors"``: simulated from a known truth: errors and requests of eight services by hour, with
          deployments and one incident; `truth` returns the parameters.
        - ``"ship_incidents"``: damage incidents of cargo ships by type, construction and period (McCullagh and Nelder
          1989, section 6.3.2).
        - ``"surgical_deaths"``: deaths after cardiac surgery on babies in twelve hospitals (BUGS examples, volume I;
          Spiegelhalter et al. 1996).

    Returns
    -------
    pandas.DataFrame
        A new table, with the columns that `describe_dataset` lists.

    Raises
    ------
    UnknownNameError
        If there is no data set of that name.

    See Also
    --------
    describe_dataset : Columns, units, full citation and notes.

    Examples
    --------
    >>> ships = load_dataset("ship_incidents")
    >>> ships.shape
    (40, 5)
    >>> int(ships["incidents"].sum())
    356
    """
    record = describe_dataset(name)
    with (files("bayesglm.datasets") / f"{record.name}.csv").open("r", encoding="utf-8") as file:
        text = pd.read_csv(file, dtype="str", keep_default_na=False)
    frame = text.astype({column.name: column.dtype for column in record.columns})
    frame.attrs = {"name": record.name, "source": record.source, "units": record.units}
    return frame


def truth(name: str) -> ServiceErrorsTruth:
    """Give the parameters from which a simulated data set was drawn.

    Parameters
    ----------
    name : str
        Name of a simulated data set: ``"service_errors"``.

    Returns
    -------
    ServiceErrorsTruth
        The parameters, each on the scale that its name says.

    Raises
    ------
    UnknownNameError
        If the data set is unknown, or was observed and has no known truth.

    Examples
    --------
    >>> truth("service_errors").deploy_ratio
    1.6
    """
    record = describe_dataset(name)
    if record.name not in _TRUTHS:
        raise UnknownNameError(
            f"the data set {name!r} was observed, not simulated",
            value=name,
            rule="only a simulated data set has a known truth",
            fix=suggestion(name, _TRUTHS),
        )
    return _TRUTHS[record.name]
