"""Withheld: schema and audit without what they say of single rows, for a fit that is saved without its data.

What a prediction needs stays: levels and ranges of the columns that the formulas read, the levels of a categorical
response, the median exposure. What stays besides is what a fit must tell of its data: fingerprint, number of rows,
range of times.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bayesglm.data.audit import Audit, NamedRows
from bayesglm.data.missing import MissingPolicy, indicator_name
from bayesglm.data.schema import ColumnSchema, Schema
from bayesglm.data.table import Roles

# Findings whose text names the column and no value.
_VALUE_FREE = ("timezone", "rounded_time", "numeric_text")
_BINARY = (0.0, 1.0)


def withhold(schema: Schema, audit: Audit, roles: Roles, read: Collection[str]) -> tuple[Schema, Audit]:
    """Return schema and audit without values of single rows.

    Parameters
    ----------
    schema, audit : Schema, Audit
        Of the fit.
    roles : Roles
        Which column plays which part.
    read : collection of str
        The columns that the formulas read.

    Examples
    --------
    >>> schema = Schema({"y": ColumnSchema("numeric", lower=2.0, upper=97.0)}, rows=3, fingerprint="00")
    >>> audit = Audit(3, 3, 3, NamedRows(), NamedRows(), NamedRows(), {}, "00")
    >>> withhold(schema, audit, Roles("y"), read=())[0].columns["y"].upper is None
    True
    """
    kept = {name for name in schema.columns if name in read or indicator_name(name) in read}
    columns = {name: each if name in kept else _bare(each, name, roles) for name, each in schema.columns.items()}
    findings = tuple(each for each in audit.findings if each.column in kept or each.kind in _VALUE_FREE)
    return replace(schema, columns=columns), replace(
        audit, findings=findings, zero_weight=_unnamed(audit.zero_weight), zero_exposure=_unnamed(audit.zero_exposure),
        zero_trials=_unnamed(audit.zero_trials),
    )


def _bare(column: ColumnSchema, name: str, roles: Roles) -> ColumnSchema:
    """Return what stays of a column that no formula reads: its kind, and of times and the response a little more."""
    ranged = name == roles.time or (column.lower, column.upper) == _BINARY
    lower, upper = (column.lower, column.upper) if ranged else (None, None)
    return ColumnSchema(column.kind, column.levels if name == roles.response else (), lower, upper, column.timezone,
                        MissingPolicy(column.missing.how, None, column.missing.imputed))


def _unnamed(rows: NamedRows) -> NamedRows:
    return replace(rows, names=tuple(f"row {row}" for row in rows.rows))
