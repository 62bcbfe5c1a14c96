"""Schema: what the columns were like at the fit. New data are held against it; it is stored with the fit as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.faults import counted, first_rows, raise_where
from bayesglm.data.missing import MissingPolicy
from bayesglm.data.table import Column, ExposureScale, Finding, Kind, Observations
from bayesglm.errors import ColumnTypeError, StorageError, TimezoneError

_VERSION = 1
_NAMED = 5


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """One column at the fit.

    Attributes
    ----------
    kind : {"numeric", "boolean", "category", "time"}
        What it held.
    levels : tuple of str
        Levels of a category, in their order.
    lower, upper : float or str, optional
        Smallest and largest value; text in ISO 8601 for times; None for labels, which have no range.
    timezone : str, optional
        Time zone the times were converted from.
    missing : MissingPolicy
        What happens to missing cells, and what they are filled with.
    """

    kind: Kind
    levels: tuple[str, ...] = ()
    lower: float | str | None = None
    upper: float | str | None = None
    timezone: str | None = None
    missing: MissingPolicy = field(default_factory=MissingPolicy)


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of the table a model was fitted to.

    Attributes
    ----------
    columns : mapping
        Name to `ColumnSchema`.
    rows : int
        Number of rows.
    fingerprint : str
        SHA-256 of the columns.
    exposure : ExposureScale, optional
        Unit and median of the exposure.
    response_levels : tuple of str
        Levels of a categorical response.

    Examples
    --------
    >>> schema = Schema({"x": ColumnSchema("numeric", lower=0.0, upper=2.0)}, rows=3, fingerprint="00")
    >>> Schema.from_dict(schema.to_dict()) == schema
    True
    """

    columns: Mapping[str, ColumnSchema]
    rows: int
    fingerprint: str
    exposure: ExposureScale | None = None
    response_levels: tuple[str, ...] = ()

    def with_observations(self, observations: Observations) -> Schema:
        """Return the schema with the exposure's scale and the response's levels."""
        return replace(self, exposure=observations.exposure_scale, response_levels=observations.levels)

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as plain values that JSON can hold."""
        return {"version": _VERSION, **asdict(replace(self, columns=dict(self.columns)))}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Schema:
        """Return the schema that `to_dict` wrote.

        Raises
        ------
        StorageError
            The values are no schema, or one of another version.
        """
        try:
            if stored["version"] != _VERSION:
                raise StorageError(f"a schema of version {stored['version']}", value=stored["version"],
                                   rule=f"this version reads schemas of version {_VERSION}", fix="Fit the model again.")
            exposure = stored["exposure"]
            columns = {str(name): _column_schema(each) for name, each in stored["columns"].items()}
            return cls(columns, int(stored["rows"]), str(stored["fingerprint"]),
                       None if exposure is None else ExposureScale(**exposure), tuple(stored["response_levels"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise StorageError("no schema", value=str(error), rule="a schema is stored as Schema.to_dict writes it",
                               fix="Fit the model again.") from error


def _column_schema(stored: Mapping[str, Any]) -> ColumnSchema:
    return ColumnSchema(**{**stored, "levels": tuple(stored["levels"]), "missing": MissingPolicy(**stored["missing"])})


def describe(column: Column, timezone: str | None, missing: MissingPolicy, *, label: bool) -> ColumnSchema:
    """Return the schema of a column."""
    lower: float | str | None = None
    upper: float | str | None = None
    if column.kind == "time":
        lower, upper = str(column.values.min()), str(column.values.max())
    elif column.kind == "numeric" and not label:
        lower, upper = float(np.nanmin(column.values)), float(np.nanmax(column.values))
    return ColumnSchema(column.kind, column.levels, lower, upper, timezone, missing)


def conform(column: Column, timezone: str | None, fitted: ColumnSchema) -> Column:
    """Return a new column as the kind it had at the fit, its levels coded with the fit's first.

    Parameters
    ----------
    column : Column
        The new column, missing cells still marked.
    timezone : str, optional
        Time zone its times were converted from.
    fitted : ColumnSchema
        The column at the fit.

    Raises
    ------
    ColumnTypeError
        It holds another kind of values.
    TimezoneError
        One has a time zone and the other has none.
    """
    if fitted.kind == "boolean" and column.kind == "numeric":
        raise_where(~np.isin(column.values, (0.0, 1.0)) & ~np.isnan(column.values), ColumnTypeError,
                    "{} values that are neither 0 nor 1", column=column.name, values=column.values,
                    rule="the column was boolean at the fit", fix="Give booleans, or 0 and 1.")
        return Column(column.name, "boolean", column.values)
    if fitted.kind == "numeric" and column.kind == "boolean" and (fitted.lower, fitted.upper) == (0.0, 1.0):
        return Column(column.name, "numeric", column.values, integer=True)
    if fitted.kind != column.kind:
        raise ColumnTypeError(f"holds {_WORDS[column.kind]}", column=column.name, value=column.kind,
                              rule=f"the model was fitted to {_WORDS[fitted.kind]} here",
                              fix="Convert the column to what it was at the fit.")
    if column.kind == "time" and (timezone is None) != (fitted.timezone is None):
        raise TimezoneError(f"times {_zone(timezone)}", column=column.name, value=timezone,
                            rule=f"the model was fitted to times {_zone(fitted.timezone)}",
                            fix="Localise the times to their zone, or convert them to UTC and drop it, as at the fit.")
    return _recoded(column, fitted.levels) if column.kind == "category" else column


_WORDS = {"numeric": "numbers", "boolean": "booleans", "category": "strings or categories", "time": "times"}


def _zone(timezone: str | None) -> str:
    return "without a time zone" if timezone is None else f"in the time zone {timezone}"


def _recoded(column: Column, levels: tuple[str, ...]) -> Column:
    """Code with the fit's levels first and unseen ones after them, in the order they have among themselves."""
    known = set(levels)
    every = (*levels, *(level for level in column.levels if level not in known))
    place = {level: code for code, level in enumerate(every)}
    codes = np.array([place[level] for level in column.levels] + [-1], np.int64)
    return Column(column.name, "category", codes[column.values], every)


def outside(column: Column, fitted: ColumnSchema) -> tuple[Finding, ...]:
    """Return what new data hold that the fit has not seen: values outside its range, unseen levels.

    A column whose levels the schema does not hold, because it was saved without them, has none to compare with.
    """
    if column.kind == "category" and fitted.levels:
        known = len(fitted.levels)
        return _finding("unseen_level", column, column.values >= known, "{} rows with levels the fit has not seen",
                        _named(column.levels[known:]))
    if column.kind == "numeric" and isinstance(fitted.lower, float) and isinstance(fitted.upper, float):
        beyond = (column.values < fitted.lower) | (column.values > fitted.upper)
        return _finding("outside_range", column, beyond, "{} values outside the range of the fit",
                        f"{fitted.lower:g} to {fitted.upper:g}")
    return ()


def _named(levels: Collection[str]) -> str:
    named = ", ".join(map(repr, list(levels)[:_NAMED]))
    return f"{named} and {len(levels) - _NAMED} more" if len(levels) > _NAMED else named


def _finding(kind: str, column: Column, rows: NDArray[np.bool_], problem: str, said: str) -> tuple[Finding, ...]:
    count = int(rows.sum())
    if count == 0:
        return ()
    text = f"`{column.name}`: {counted(problem, count)}: {said}"
    return (Finding(kind, column.name, first_rows(rows, 20), count, text),)
