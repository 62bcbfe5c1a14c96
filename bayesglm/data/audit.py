"""Audit: what was read and what of it the likelihood uses, for the summary of a model and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.faults import first_rows
from bayesglm.data.schema import Schema
from bayesglm.data.table import Finding, Observations, Roles, Table

_NAMED = 20


@dataclass(frozen=True, slots=True)
class NamedRows:
    """Some rows of a table.

    Attributes
    ----------
    count : int
        How many there are.
    rows : tuple of int
        The first positions (from 0), at most 20.
    names : tuple of str
        What the id column calls them; the positions without one.
    """

    count: int = 0
    rows: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = f" and {self.count - len(self.names)} more" if self.count > len(self.names) else ""
        return f"{self.count:,} ({', '.join(self.names)}{more})" if self.count else "0"


@dataclass(frozen=True, slots=True)
class Audit:
    """What was read.

    Attributes
    ----------
    rows : int
        Rows of the table.
    likelihood_rows : int
        Rows that add to the likelihood.
    represented : int
        Rows they stand for, weights counted.
    zero_weight, zero_exposure, zero_trials : NamedRows
        Rows that add nothing to the likelihood.
    imputed : mapping
        Number of filled cells for each column with a policy for missing values.
    fingerprint : str
        SHA-256 of the columns that were read.
    findings : tuple of Finding
        What is worth knowing.
    time_range : (str, str), optional
        First and last time, in ISO 8601.
    patterns : int, optional
        Distinct covariate patterns, once they are known.
    cells : int, optional
        Units that the likelihood runs over after exact reduction, once they are known.

    Examples
    --------
    >>> print(Audit(3, 2, 2, NamedRows(), NamedRows(1, (0,), ("row 0",)), NamedRows(), {}, "ab" * 32))
    3 rows read, 2 in the likelihood
    exposure 0, predicted as 0: 1 (row 0)
    fingerprint: abababababab
    """

    rows: int
    likelihood_rows: int
    represented: int
    zero_weight: NamedRows
    zero_exposure: NamedRows
    zero_trials: NamedRows
    imputed: Mapping[str, int]
    fingerprint: str
    findings: tuple[Finding, ...] = ()
    time_range: tuple[str, str] | None = None
    patterns: int | None = None
    cells: int | None = None

    def with_patterns(self, patterns: int) -> Audit:
        """Return the audit with the number of distinct covariate patterns."""
        return replace(self, patterns=patterns)

    def with_cells(self, cells: int) -> Audit:
        """Return the audit with the number of cells that the rows of the likelihood became."""
        return replace(self, cells=cells)

    def with_source(self, rows: int) -> Audit:
        """Return the audit of a sample of a table that is read in pieces, with a finding that says so."""
        text = (f"the table has {rows:,} rows and is read in pieces; these {self.rows:,} are a sample of them, for default "
                "priors, checks and predictions of fitted rows")
        return replace(self, findings=(Finding("in_pieces", "", (), rows, text), *self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as plain values that JSON can hold."""
        return asdict(replace(self, imputed=dict(self.imputed)))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Audit:
        """Return the audit that `to_dict` wrote."""
        rows = {name: _named_rows(stored[name]) for name in ("zero_weight", "zero_exposure", "zero_trials")}
        findings = tuple(Finding(**{**each, "rows": tuple(each["rows"])}) for each in stored["findings"])
        span = stored["time_range"]
        return cls(**{**stored, **rows, "findings": findings, "time_range": None if span is None else tuple(span)})

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        stand = f", standing for {self.represented:,}" if self.represented != self.likelihood_rows else ""
        yield f"{self.rows:,} rows read, {self.likelihood_rows:,} in the likelihood{stand}"
        if self.patterns is not None:
            yield f"distinct covariate patterns: {self.patterns:,}"
        if self.cells is not None:
            yield f"{self.represented:,} rows, {self.cells:,} cells"
        if self.time_range is not None:
            yield f"time: {self.time_range[0]} to {self.time_range[1]}"
        named = {"exposure 0, predicted as 0": self.zero_exposure, "trials 0, predicted as 0": self.zero_trials,
                 "weight 0, left out": self.zero_weight}
        yield from (f"{text}: {rows}" for text, rows in named.items() if rows.count)
        yield from (f"imputed: {count:,} cells of `{name}`" for name, count in self.imputed.items())
        yield f"fingerprint: {self.fingerprint[:12]}"
        yield from (f"note: {finding.text}" for finding in self.findings)


def audit_of(table: Table, schema: Schema, observations: Observations, roles: Roles) -> Audit:
    """Count what was read and what of it the likelihood uses.

    Parameters
    ----------
    table : Table
        The checked columns.
    schema : Schema
        Their schema.
    observations : Observations
        What was observed.
    roles : Roles
        Which column plays which part.
    """
    used = observations.informative
    ids = observations.labels.get(roles.id) if roles.id is not None else None
    span = schema.columns[roles.time] if roles.time is not None and roles.time in schema.columns else None
    timed = span is not None and span.kind == "time"
    return Audit(
        rows=table.rows,
        likelihood_rows=int(used.sum()),
        represented=int(observations.weights[used].sum()),
        zero_weight=_rows_at_zero(observations.weights, ids),
        zero_exposure=_rows_at_zero(observations.exposure, ids),
        zero_trials=_rows_at_zero(observations.trials, ids),
        imputed=dict(table.imputed),
        fingerprint=schema.fingerprint,
        findings=(*table.findings, *observations.findings),
        time_range=(str(span.lower), str(span.upper)) if timed and span is not None else None,
    )


def _rows_at_zero(values: NDArray[np.float64] | None, ids: NDArray[Any] | None) -> NamedRows:
    if values is None:
        return NamedRows()
    rows = first_rows(values == 0, _NAMED)
    names = tuple(f"row {row}" if ids is None else str(ids[row]) for row in rows)
    return NamedRows(int((values == 0).sum()), rows, names)


def _named_rows(stored: Mapping[str, Any]) -> NamedRows:
    return NamedRows(int(stored["count"]), tuple(stored["rows"]), tuple(stored["names"]))
