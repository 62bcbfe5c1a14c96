"""Findings: what of a table makes its mixture less telling than it could be, with advice; nothing is refused for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayesglm.data.table import Finding, Table
from bayesglm.mixtures.columns import Part

MANY = 50
_REPEATED = 0.5
_ROWS_A_LEVEL, _LEVELS = 5, 10


def findings_of(parts: Sequence[Part], table: Table, limit: int) -> tuple[Finding, ...]:
    """Return what was found in a table that a mixture is to describe.

    Parameters
    ----------
    parts : sequence of Part
        What describes the columns.
    table : Table
        The rows.
    limit : int
        Most components.
    """
    return (*table.findings, *many_columns(parts), *_few_rows(parts, table, limit), *_repeated_rows(parts, table),
            *_many_levels(parts, table))


def many_columns(parts: Sequence[Part]) -> list[Finding]:
    """Point out columns that are described together and are many."""
    joint = [part for part in parts if part.component.scaled and len(part.layout.names) > MANY]
    return [Finding("many_columns", part.layout.names[0], (), len(part.layout.names),
                    f"{len(part.layout.names)} columns are described together: distances hardly differ in so many. "
                    "Give projection='pca', scores=0.95.") for part in joint]


def _few_rows(parts: Sequence[Part], table: Table, limit: int) -> list[Finding]:
    needed = sum(part.component.parameters(len(part.layout.names), len(part.layout.levels), 1) for part in parts)
    name = parts[0].layout.names[0]
    if table.rows < needed:
        return [Finding("few_rows", name, (), table.rows,
                        f"{table.rows} rows for {needed} parameters of one component: its covariance is the prior's in part, and "
                        "the number of components says little. Give fewer columns, projection='pca', or "
                        "component='diagonal_gaussian'.")]
    if table.rows < limit:
        return [Finding("fewer_rows_than_components", name, (), table.rows,
                        f"{table.rows} rows and up to {limit} components: at most {table.rows} are tried.")]
    return []


def _many_levels(parts: Sequence[Part], table: Table) -> list[Finding]:
    """Point out categories with about as many levels as rows: what occurs once says nothing of what rows have in common."""
    found = [(part.layout.names[0], len(part.layout.levels)) for part in parts]
    return [Finding("many_levels", name, (), levels,
                    f"{levels} levels in {table.rows} rows: a level with few rows says nothing of which kind they are. Group the "
                    "levels, or leave the column out and see association() for what goes with the components.")
            for name, levels in found if levels * _ROWS_A_LEVEL > table.rows and levels > _LEVELS]


def _repeated_rows(parts: Sequence[Part], table: Table) -> list[Finding]:
    """Point out rows that occur again and again: the width of a component of equal rows is the prior's."""
    scaled = [name for part in parts if part.component.scaled for name in part.layout.names]
    if not scaled:
        return []
    order = np.lexsort([table[name].values for name in scaled])
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for name in scaled:
        values = table[name].values[order]
        same &= values[1:] == values[:-1]
    count = int(same.sum())
    if count < _REPEATED * table.rows:
        return []
    return [Finding("repeated_rows", scaled[0], tuple(order[1:][same][:20].tolist()), count,
                    f"{count} of {table.rows} rows repeat another in every numeric column: equal rows are a component as narrow "
                    "as the prior lets it be. Drop copies, describe counts as counts and codes as categories.")]
