"""Season: a smooth periodic curve, by its first harmonics.

    f(t) = sum_k a_k sin(2 pi k t / period) + b_k cos(2 pi k t / period),      a_k, b_k ~ Normal(0, sd^2)

With ``by`` each level has a curve of its own and all share sd; the curve of a level without data is drawn from that
population.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from bayesglm.data.table import Column, Table
from bayesglm.errors import ColumnTypeError, OptionError
from bayesglm.formula import Call, Option, OptionValue, Signature, Variable
from bayesglm.terms.curves import code_levels, curve_block, learn_levels, name_of
from bayesglm.terms.term import Array, Basis, Block, Coded, Context, State, Term

SEASON = Signature(
    "season", "structured", nests=False, note="a periodic curve by its first harmonics",
    options=(Option("period", ("float", "int", "str")), Option("harmonics", ("int",), default=3, minimum=1),
             Option("by", ("column",), default=None)),
)
_MICROSECOND = pd.Timedelta(1, "us")


def learn_season(node: Call, table: Table, context: Context) -> State:  # noqa: ARG001
    """Learn period, harmonics and levels; more harmonics than the phases in the data can tell apart are refused."""
    settings = SEASON.settings(node)
    column = table[node.columns[0]]
    by, levels = learn_levels(settings["by"], table)
    state = {
        "name": name_of(node), "column": column.name, "time": column.kind == "time", "by": by, "levels": levels,
        "period": _period(settings["period"], column), "harmonics": settings["harmonics"],
    }
    _check_harmonics(state, _turns(state, column), settings["period"])
    return state


def code_season(state: State, table: Table) -> Coded:
    """Code the harmonics of each row: sin and cos of 1, 2, ... turns."""
    angle = 2 * np.pi * _turns(state, table[state["column"]])[:, None] * np.arange(1, state["harmonics"] + 1)
    index, added = code_levels(state["by"], state["levels"], table)
    values = np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(table.rows, -1)
    return Coded(bases=(Basis(values, index, len(state["levels"]), added),))


def season_block(state: State) -> Block:
    """Return the prior of the seasonal coefficients."""
    effects = [f"{wave}{k}" for k in range(1, state["harmonics"] + 1) for wave in ("sin", "cos")]
    return curve_block(state["name"], state["levels"], effects, size=float(np.sqrt(state["harmonics"])))


def _turns(state: State, column: Column) -> Array:
    """Return where in its period each value stands, in [0, 1)."""
    if (column.kind == "time") != state["time"]:
        was = "times" if state["time"] else "numbers"
        raise ColumnTypeError(f"is {_noun(column)} and was learnt from {was}", column=column.name,
                              rule="new data have the types of the fitted ones", fix=f"Give the column as {was}.")
    values = column.values.astype("datetime64[us]").astype(np.int64) if state["time"] else column.values
    return np.asarray(np.mod(values, state["period"]) / np.float64(state["period"]), dtype=np.float64)


def _period(period: OptionValue | Variable, column: Column) -> float | int:
    """Return the period in the column's unit: a number, or microseconds for times."""
    if column.kind not in ("numeric", "time"):
        raise ColumnTypeError(f"is {_noun(column)}", column=column.name, value=column.labels()[0],
                              rule="season() takes a number or a time",
                              fix="Convert the column with pandas.to_datetime or to numbers.")
    wanted = "text" if column.kind == "time" else "number"
    if isinstance(period, str) != (column.kind == "time"):
        example = 'period="1d" (or "7d", "12h", "1h30m")' if wanted == "text" else "period=24"
        raise OptionError(f"period={period!r} for {_noun(column)}", column=column.name, value=period,
                          rule=f"the period of {_noun(column)} is a {wanted}", fix=f"Write {example}.")
    length: Any = _duration(period, column) / _MICROSECOND if isinstance(period, str) else period
    if not length > (0.5 if isinstance(period, str) else 0) or not np.isfinite(length):
        raise OptionError(f"period={period!r}", column=column.name, value=period,
                          rule="a period is above 0 (a microsecond, for times) and finite",
                          fix="Give the length of one cycle, in the column's unit or as a text with a unit.")
    return round(length) if isinstance(period, str) else float(length)


def _duration(period: str, column: Column) -> pd.Timedelta:
    try:
        # pandas spells the day with a capital in short units, people do not.
        return pd.Timedelta(re.sub(r"d(?![a-z])", "D", period))
    except ValueError:
        raise OptionError(f"period={period!r} is no duration", column=column.name, value=period,
                          rule="the period of a time is a length of time",
                          fix='Write period="1d" (or "7d", "12h", "1h30m").') from None


def _noun(column: Column) -> str:
    return {"numeric": "a number", "boolean": "a boolean", "category": "a category", "time": "a time"}[column.kind]


def _check_harmonics(state: State, turns: Array, period: Any) -> None:
    """Refuse more than h harmonics for 2h + 1 distinct phases: a trigonometric polynomial has at most 2h zeros."""
    phases = len(np.unique(np.mod(np.round(turns, 9), 1.0)))
    most = (phases - 1) // 2
    if state["harmonics"] <= most:
        return
    fix = f"Write harmonics={most}." if most else "Check the period against the column's unit, or leave the season out."
    raise OptionError(
        f"harmonics={state['harmonics']} with {phases} distinct phases of period={period!r}", column=state["column"],
        value=state["harmonics"], rule="h harmonics need at least 2h + 1 distinct phases in the data", fix=fix,
    )


MEMBER = Term(
    name="season", learn=learn_season, code=code_season, blocks=lambda state: (season_block(state),),
    signatures=(SEASON,),
    source="Harvey (1989), Forecasting, Structural Time Series Models and the Kalman Filter, section 2.3.4",
)
