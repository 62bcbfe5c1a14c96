"""Findings: check results as the sections show them, a statement and the table of its evidence."""

from __future__ import annotations

import pandas as pd

from bayesglm.checks.check import CheckResult
from bayesglm.report.section import Content, Heading, Statement, TableBlock
from bayesglm.report.standing import REGRESSION, Panel, question_of, title_of
from bayesglm.report.wording import counted, plain_column, sentence

MOST = 25
PRECISION = {"R-hat": ".3f", "ESS bulk": ",.0f", "ESS tail": ",.0f"}
FORMATS = {"p": "probability", "p adjusted": "probability", "verdict": "verdict", "parameter": "name",
           "coefficient": "name", **PRECISION}
HEADS = {"r_hat": "R-hat", "ess_bulk": "ESS bulk", "ess_tail": "ESS tail"}


def statement_of(result: CheckResult) -> Statement:
    """Return what a check found."""
    return Statement(result.verdict, heading_of(result), sentence(result.finding), result.advice)


def heading_of(result: CheckResult) -> str:
    """Return a check's name as a heading.

    Examples
    --------
    >>> heading_of(CheckResult("by_group", "pass", "all groups fit"))
    'By group'
    """
    return sentence(title_of(result.name)).rstrip(".")


def evidence_of(result: CheckResult, panel: Panel = REGRESSION) -> list[Content]:
    """Return a check's table under its question; nothing where it has none."""
    if result.table.empty:
        return []
    table = readable(result.table)
    left_out = len(table) - MOST
    some = f" The first {MOST} lines; {counted(left_out, 'line')} left out." if left_out > 0 else ""
    caption = f"{question_of(result, panel) or heading_of(result)}{some}"
    return [Heading(heading_of(result)), TableBlock(table.head(MOST), caption, FORMATS, across=True)]


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a check's table with column names for readers: an interval and its mean under one heading, a named index first.

    Examples
    --------
    >>> table = pd.DataFrame({"statistic": ["mean"], "drawn_mean": [1.0], "drawn_eti90_lb": [0.5], "drawn_eti90_ub": [1.5]})
    >>> readable(table).columns.tolist()
    [('', 'statistic'), ('drawn', 'mean'), ('drawn', '90% from'), ('drawn', '90% to')]
    """
    shown = table.reset_index() if table.index.name is not None else table
    shown = shown.loc[:, [not (values == "").all() for _, values in shown.items()]]
    names = [plain_column(str(name)) for name in shown.columns]
    bounded = {group for group, _ in names if group}
    if not bounded:
        return shown.set_axis([HEADS.get(str(raw), name) for raw, (_, name) in zip(shown.columns, names, strict=True)], axis=1)
    split = [_under(name, bounded) if not group else (group, name) for group, name in names]
    return shown.set_axis(pd.MultiIndex.from_tuples(split), axis=1)


def _under(name: str, groups: set[str]) -> tuple[str, str]:
    """Put the mean of a quantity under its heading."""
    quantity = name.removesuffix(" mean")
    return (quantity, "mean") if quantity != name and quantity in groups else ("", name)
