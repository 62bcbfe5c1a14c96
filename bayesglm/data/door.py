"""The data door: any data frame becomes a checked table and a schema, once; nothing after it checks the data again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from bayesglm.data.column import RawColumn, read_column
from bayesglm.data.faults import first_rows
from bayesglm.data.fingerprint import fingerprint
from bayesglm.data.frame import Frame, open_frame
from bayesglm.data.missing import (
    KEEP,
    Given,
    MissingPolicy,
    fill_missing,
    indicator,
    indicator_name,
    learn_policy,
    refuse_missing,
)
from bayesglm.data.schema import ColumnSchema, Schema, conform, describe, outside
from bayesglm.data.table import Array, Column, Finding, Table
from bayesglm.errors import ColumnNameError, OptionError, unknown

_TEXT_LEVELS = 1000
_FILLED = ("impute", "value")


def read_table(
    frame: object,
    names: Sequence[str],
    schema: Schema | None = None,
    *,
    missing: Given | None = None,
    weights: str | None = None,
    labels: Collection[str] = (),
) -> tuple[Table, Schema]:
    """Read the named columns of a data frame and check them.

    Parameters
    ----------
    frame : data frame, lazy frame or mapping of str to sequences
        pandas, Polars, PyArrow or anything else that narwhals reads. Other columns than the named ones are not touched.
    names : sequence of str
        The columns to read; ``x_missing`` is made from ``x`` where that has a policy for missing values.
    schema : Schema, optional
        The fit's schema, for new data: kinds, levels and fill values are then the fit's.
    missing : mapping, optional
        Column to "refuse" (the default), "impute" (median, or most frequent level), a value to fill in, or `KEEP`.
    weights : str, optional
        Column of counts of identical rows, for the median and the most frequent level.
    labels : collection of str
        Columns that only name something (groups, ids): a number there has no range to be outside of.

    Returns
    -------
    table : Table
        Finite columns of equal length, complete unless what is missing is kept, with `Table.findings` and `Table.imputed`.
    schema : Schema
        Of this table, or the one that was given.

    Raises
    ------
    BayesGLMError
        One of its kinds for each fault, with the column, the first rows, the rule and the fix.

    Examples
    --------
    >>> frame = {"errors": [0, 3, 1], "deploy": [True, False, None], "zone": ["b", "a", "b"]}
    >>> table, schema = read_table(frame, ["errors", "deploy", "zone"], missing={"deploy": "impute"})
    >>> table["zone"].levels, table["deploy_missing"].values.tolist(), table.imputed
    (('a', 'b'), [0.0, 0.0, 1.0], {'deploy': 1})
    >>> new, _ = read_table({"zone": ["c", "a"]}, ["zone"], schema)
    >>> new["zone"].levels, new.findings[0].text
    (('a', 'b', 'c'), "`zone`: 1 row with levels the fit has not seen: 'c'")
    """
    given = _policies(missing, schema)
    indicators = {indicator_name(name): name for name, how in given.items() if how != "refuse" and how is not KEEP}
    wanted = list(dict.fromkeys(indicators.get(name, name) for name in names))
    for name in given:
        if schema is None and name not in wanted:
            raise unknown("column in missing=", name, wanted)
    opened = open_frame(frame, wanted)
    _check_indicators(indicators, opened, wanted)
    return _read_new(opened, schema) if schema is not None else _read_first(opened, given, weights, frozenset(labels))


def _policies(missing: Given | None, schema: Schema | None) -> Given:
    """Return how each column's missing cells are treated: as the user says at the fit, as the fit did afterwards."""
    if schema is None:
        return dict(missing or {})
    if missing:
        raise OptionError("missing= was given for new data", value=dict(missing),
                          rule="missing cells of new data are filled as at the fit", fix="Leave missing= out.")
    return {name: KEEP if column.missing.how == "keep" else column.missing.how for name, column in schema.columns.items()}


def _check_indicators(indicators: Mapping[str, str], opened: Frame, wanted: Sequence[str]) -> None:
    for made, name in indicators.items():
        if name in wanted and made in opened.names:
            raise ColumnNameError("the table has a column of this name already", column=made, value=made,
                                  rule=f"missing= for `{name}` makes a column `{made}`",
                                  fix=f"Rename `{made}` in the table.")


def _read_first(opened: Frame, given: Given, weights: str | None, labels: frozenset[str]) -> tuple[Table, Schema]:
    """Read the table of a fit."""
    raw = {name: read_column(name, series) for name, series in opened.series.items()}
    counts = _counts(raw[weights]) if weights in raw else None
    columns: dict[str, Column] = {}
    schemas: dict[str, ColumnSchema] = {}
    for name, each in raw.items():
        policy = learn_policy(each.column, each.missing, given.get(name, "refuse"), counts)
        columns.update(_completed(each.column, each, policy, fitted=False))
        schemas[name] = describe(columns[name], each.timezone, policy, label=name in labels)
    findings = [finding for each in raw.values() for finding in (*_time_findings(each), *_text_findings(each.column))]
    imputed = {name: each.missing.imputed for name, each in schemas.items() if each.missing.how in _FILLED}
    table = Table(columns, opened.rows, tuple(findings), imputed)
    return table, Schema(schemas, opened.rows, fingerprint(table))


def _read_new(opened: Frame, schema: Schema) -> tuple[Table, Schema]:
    """Read new data by the schema of the fit."""
    columns: dict[str, Column] = {}
    findings: list[Finding] = []
    imputed: dict[str, int] = {}
    for name, series in opened.series.items():
        fitted = schema.columns.get(name)
        if fitted is None:
            raise unknown("column of the fit", name, schema.columns)
        raw = read_column(name, series, fitted.kind)
        conformed = conform(raw.column, raw.timezone, fitted) if not raw.missing.all() else Column(
            name, fitted.kind, raw.column.values, fitted.levels)
        columns.update(_completed(conformed, raw, fitted.missing, fitted=True))
        findings += [*_time_findings(raw), *outside(columns[name], fitted)]
        if fitted.missing.how in _FILLED:
            imputed[name] = int(raw.missing.sum())
    return Table(columns, opened.rows, tuple(findings), imputed), schema


def _completed(column: Column, raw: RawColumn, policy: MissingPolicy, *, fitted: bool) -> dict[str, Column]:
    """Return the column without missing cells, and its indicator where the policy fills them."""
    missing = raw.missing
    if policy.how == "keep":
        return {column.name: column}
    if policy.fill is None:
        refuse_missing(column, missing, fitted=fitted)
        return {column.name: column}
    made = indicator(column.name, missing)
    return {column.name: fill_missing(column, missing, policy.fill), made.name: made}


def _counts(raw: RawColumn) -> Array | None:
    """Return weights that a median can use; weights that are none are refused when the observations are read."""
    usable = raw.column.kind == "numeric" and bool(np.all(raw.column.values >= 0)) and bool(raw.column.values.any())
    return raw.column.values if usable else None


def _time_findings(raw: RawColumn) -> tuple[Finding, ...]:
    found = []
    name, rows = raw.column.name, len(raw.column.values)
    if raw.timezone not in (None, "UTC"):
        found.append(Finding("timezone", name, (), rows, f"`{name}`: times converted from {raw.timezone} to UTC"))
    if raw.rounded is not None:
        count = int(raw.rounded.sum())
        found.append(Finding("rounded_time", name, first_rows(raw.rounded, 20), count,
                             f"`{name}`: {count} times cut to whole microseconds"))
    return tuple(found)


def _text_findings(column: Column) -> tuple[Finding, ...]:
    """Point out numbers that came as text: they would be coded as a factor."""
    if not column.levels or len(column.levels) > _TEXT_LEVELS or not all(map(_is_number, column.levels)):
        return ()
    return (Finding("numeric_text", column.name, (), len(column.values),
                    f"`{column.name}`: numbers written as text or categories are treated as levels"),)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
