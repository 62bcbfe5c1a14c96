"""One series of a data frame becomes one column: float64, codes or times, with what is missing still marked.

Missing cells are NaN in numbers, -1 in codes and NaT in times, whatever the data frame calls them.
`bayesglm.data.missing` fills or refuses them next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesglm.data.faults import EXACT, EXACT_RULE, counted, first_rows, raise_where
from bayesglm.data.table import Array, Column, Kind
from bayesglm.errors import (
    AllMissingError,
    ColumnTypeError,
    ExactnessError,
    InfiniteValueError,
    MixedTypeError,
    NestedTypeError,
    TimezoneError,
)

_CHUNK = 1_000_000
_KINDS_RULE = "a column must hold numbers, booleans, strings or times"
_EXACT_FIX = "As a label, turn it into strings; as a number, count in larger units."
_NESTED = (nw.List, nw.Array, nw.Struct)
_SEQUENCES = (list, tuple, dict, set, np.ndarray)


@dataclass(frozen=True, slots=True, eq=False)
class RawColumn:
    """A column before its missing cells are seen to.

    Attributes
    ----------
    column : Column
        Its values; missing cells are NaN, NaT or the code -1.
    timezone : str, optional
        The time zone that the times were converted from.
    rounded : bool array, shape (row,), optional
        Times that were finer than a microsecond.
    """

    column: Column
    timezone: str | None = None
    rounded: NDArray[np.bool_] | None = None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells are missing."""
        values = self.column.values
        missing: NDArray[np.bool_] = (
            values < 0 if self.column.kind == "category"
            else np.isnat(values) if self.column.kind == "time"
            else np.isnan(values)
        )
        return missing


def read_column(name: str, series: nw.Series[Any], nothing: Kind | None = None) -> RawColumn:
    """Read one series.

    Parameters
    ----------
    name : str
        Name of the column.
    series : narwhals.Series
        Its values.
    nothing : {"numeric", "boolean", "category", "time"}, optional
        What a column without a single value is taken to be; an error by default.

    Raises
    ------
    ColumnTypeError
        A type that no column may have, or one of its kinds: mixed, nested, too large to be exact.
    InfiniteValueError
        A number is infinite.
    AllMissingError
        Not one value is there, and ``nothing`` is not given.
    """
    if int(series.null_count()) == len(series):
        return _nothing(name, len(series), nothing)
    raw = _reader(series)(name, series)
    if raw.column.kind == "numeric":
        values = raw.column.values
        raise_where(np.isinf(values), InfiniteValueError, "{} infinite values", column=name, values=values,
                    rule="numbers must be finite", fix="Drop the rows, or find the division by zero that made them.")
        if np.isnan(values).all():
            return _nothing(name, len(values), nothing)
    return raw


def _nothing(name: str, rows: int, kind: Kind | None) -> RawColumn:
    if kind is None:
        raise AllMissingError(f"all {rows} values are missing", column=name, value=None,
                              rule="a column must hold at least one value", fix="Leave the column out of the model.")
    empty: dict[str, NDArray[Any]] = {
        "category": np.full(rows, -1, np.int64),
        "time": np.full(rows, "NaT", "M8[us]"),
    }
    return RawColumn(Column(name, kind, empty.get(kind, np.full(rows, np.nan))))


Reader = Callable[[str, nw.Series[Any]], RawColumn]


def _reader(series: nw.Series[Any]) -> Reader:
    """Choose how to read a series by its type."""
    dtype = series.dtype
    if _holds_objects(series):
        return _from_objects
    if dtype.is_integer():
        return _from_integers
    if dtype.is_numeric():
        return lambda name, each: RawColumn(Column(name, "numeric", _floats(each)))
    if dtype == nw.Boolean:
        return lambda name, each: RawColumn(Column(name, "boolean", _floats(each)))
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        return _from_labels
    if dtype in (nw.Datetime, nw.Date):
        return _from_times
    return _refuse


def _holds_objects(series: nw.Series[Any]) -> bool:
    """Whether the values are Python objects: narwhals calls such a column a string column after a look at its head."""
    return series.dtype == nw.Object or str(getattr(series.to_native(), "dtype", "")) == "object"


def _refuse(name: str, series: nw.Series[Any]) -> RawColumn:
    dtype = series.dtype
    said = str(getattr(series.to_native(), "dtype", dtype))
    if dtype in _NESTED:
        raise NestedTypeError(f"values of type {said}", column=name, value=said, rule=_KINDS_RULE,
                              fix="Give each element a column or a row of its own.")
    fix = ("Turn it into a number in the unit you want, for example seconds." if dtype in (nw.Duration, nw.Time) else
           "Turn it into numbers, strings or times first.")
    raise ColumnTypeError(f"values of type {said}", column=name, value=said, rule=_KINDS_RULE, fix=fix)


def _floats(series: nw.Series[Any]) -> Array:
    """Return a copy as float64, NaN where missing."""
    return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)


def _from_integers(name: str, series: nw.Series[Any]) -> RawColumn:
    low, high = int(series.min()), int(series.max())
    if max(-low, high) > EXACT:
        bad = (series > EXACT if high > EXACT else series < -EXACT).fill_null(value=False).to_numpy().astype(bool)
        rows = first_rows(bad)
        raise ExactnessError(counted("{} integers beyond 2**53", int(bad.sum())), column=name, value=series[rows[0]],
                             rows=rows, rule=EXACT_RULE, fix=_EXACT_FIX)
    return RawColumn(Column(name, "numeric", _floats(series), integer=True))


def _from_times(name: str, series: nw.Series[Any]) -> RawColumn:
    zone = getattr(series.dtype, "time_zone", None)
    if zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if series.dtype == nw.Date:
        series = series.cast(nw.Datetime("us"))
    return _times(name, series.to_numpy(), zone)


def _times(name: str, times: NDArray[Any], zone: str | None) -> RawColumn:
    values = times.astype("M8[us]")
    rounded = (values.astype(times.dtype) != times) & ~np.isnat(times)
    return RawColumn(Column(name, "time", values), zone, rounded if rounded.any() else None)


def _from_labels(name: str, series: nw.Series[Any]) -> RawColumn:
    """Code strings and categories, a piece of the column at a time: Python strings are large."""
    categories = series.dtype != nw.String
    pieces = (series[start:start + _CHUNK] for start in range(0, len(series), _CHUNK))
    # Through a list: to_numpy fills the nulls of a PyArrow dictionary, and cuts NUL characters off the end of a Polars string.
    arrays = (np.array((piece.cast(nw.String) if categories else piece).to_list(), dtype=object) for piece in pieces)
    found: dict[str, int] = {}
    codes = np.empty(len(series), np.int64)
    start = 0
    for array in arrays:
        codes[start:start + len(array)] = _code(array, found)
        start += len(array)
    return RawColumn(_ordered(name, codes, list(found), _declared(series) if categories else ()))


def _code(array: NDArray[Any], found: dict[str, int]) -> NDArray[np.int64]:
    """Code one piece, adding levels in order of appearance."""
    local, values = pd.factorize(np.asarray(array, dtype=object))
    known = np.array([found.setdefault(str(value), len(found)) for value in values] + [-1], np.int64)
    return known[local]


def _ordered(name: str, codes: NDArray[np.int64], found: list[str], declared: tuple[str, ...]) -> Column:
    """Put levels into their declared order, else by name; levels that no row has are left out."""
    place = {level: position for position, level in enumerate(declared)}
    levels = sorted(found, key=lambda level: (place.get(level, len(place)), level))
    rank = {level: position for position, level in enumerate(levels)}
    recoded = np.array([rank[level] for level in found] + [-1], np.int64)
    return Column(name, "category", recoded[codes], tuple(levels))


def _declared(series: nw.Series[Any]) -> tuple[str, ...]:
    """Return the order a categorical declares; Polars' Categorical declares none (its Enum does)."""
    native = series.to_native()
    if series.dtype == nw.Enum:
        return tuple(series.dtype.categories)  # type: ignore[attr-defined]
    if series.implementation.is_pandas_like():
        return _distinct_labels(str(series.name), native.cat.categories)
    if series.implementation.is_pyarrow():
        return _distinct_labels(str(series.name), native.unify_dictionaries().chunk(0).dictionary.to_pylist())
    return ()


def _distinct_labels(name: str, categories: Iterable[object]) -> tuple[str, ...]:
    """Write categories as text, unless two of them would read the same."""
    labels = tuple(map(str, categories))
    if len(set(labels)) < len(labels):
        twice = next(label for label, count in Counter(labels).items() if count > 1)
        raise MixedTypeError(f"two categories that both read {twice!r}", column=name, value=twice,
                             rule="levels are told apart by their text", fix="Rename one of the categories.")
    return labels


def _from_objects(name: str, series: nw.Series[Any]) -> RawColumn:
    """Read Python objects that are all of one kind."""
    values = np.asarray(series.to_numpy(), dtype=object)
    held = ~pd.isna(values) if values.ndim == 1 else np.ones(len(values), bool)
    tag = pd.api.types.infer_dtype(values[held], skipna=False)
    if tag == "string":
        found: dict[str, int] = {}
        return RawColumn(_ordered(name, _code(values, found), list(found), ()))
    if tag in ("boolean", "integer", "floating", "decimal", "mixed-integer-float"):
        return _from_object_numbers(name, values, held, tag)
    if tag in ("datetime", "datetime64", "date"):
        return _from_object_times(name, values, held)
    return _refuse_objects(name, values, held)


def _from_object_numbers(name: str, values: NDArray[Any], held: NDArray[np.bool_], tag: str) -> RawColumn:
    kind: Kind = "boolean" if tag == "boolean" else "numeric"
    if kind == "numeric":
        bad = np.array([isinstance(value, int | np.integer) and abs(int(value)) > EXACT for value in values])
        raise_where(bad, ExactnessError, "{} integers beyond 2**53", column=name, values=values, rule=EXACT_RULE,
                    fix=_EXACT_FIX)
    numbers = np.full(len(values), np.nan)
    numbers[held] = values[held].astype(np.float64)
    return RawColumn(Column(name, kind, numbers, integer=tag == "integer"))


def _from_object_times(name: str, values: NDArray[Any], held: NDArray[np.bool_]) -> RawColumn:
    try:
        times = pd.Series(pd.to_datetime(pd.Series(values[held], dtype=object)))
    except ValueError as error:
        raise TimezoneError("times with several time zones, or some without one", column=name, value=values[held][0],
                            rule="all times of a column must have the same time zone, or none",
                            fix="Convert them to UTC first.") from error
    zone = getattr(times.dtype, "tz", None)
    naive = times.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else times
    found = naive.to_numpy()
    full = np.full(len(values), "NaT", found.dtype)
    full[held] = found
    return _times(name, full, None if zone is None else str(zone))


def _refuse_objects(name: str, values: NDArray[Any], held: NDArray[np.bool_]) -> RawColumn:
    kinds = list(dict.fromkeys(map(type, values[held])))
    named = ", ".join(sorted(kind.__name__ for kind in kinds))
    row = int(np.flatnonzero(held)[0])
    if any(issubclass(kind, _SEQUENCES) for kind in kinds):
        raise NestedTypeError(f"values of type {named}", column=name, value=type(values[row]).__name__, rows=(row,),
                              rule=_KINDS_RULE, fix="Give each element a column or a row of its own.")
    if len(kinds) == 1:
        raise ColumnTypeError(f"values of type {named}", column=name, value=named, rule=_KINDS_RULE,
                              fix="Turn it into numbers, strings or times first.")
    odd = np.array([keep and type(value) is not kinds[0] for value, keep in zip(values, held, strict=True)])
    rows = first_rows(odd)
    raise MixedTypeError(f"values of several types ({named})", column=name, value=repr(values[rows[0]]), rows=rows,
                         rule="all values of a column must be of one kind",
                         fix="Turn the whole column into numbers or into strings.")
