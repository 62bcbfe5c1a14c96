"""Contrasts: what changes when the settings change, on joint draws (g-computation over the rows)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesglm.data.table import Column, Table
from bayesglm.errors import ColumnTypeError, MissingColumnError, MissingValueError, OptionError, suggestion
from bayesglm.fitted import Fitted
from bayesglm.predict import LEVEL, check_level, interval_names, predict_rows
from bayesglm.rows import Groups, Rows

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """The average response under two settings, draw by draw.

    Attributes
    ----------
    first, second : array, shape (sample,)
        Average over the rows under each setting.
    quantity : str
        ``rate`` or ``expected``.
    settings : (mapping, mapping)
        What was set.
    """

    first: Array
    second: Array
    quantity: str
    settings: tuple[Mapping[str, Any], Mapping[str, Any]]

    def __repr__(self) -> str:
        first, second = (", ".join(f"{name}={value}" for name, value in setting.items()) for setting in self.settings)
        return f"{self.quantity}: first {first}, second {second}\n{self.to_frame()}"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self).splitlines()[0])}</pre>{self.to_frame().to_html()}"

    @property
    def difference(self) -> Array:
        """Second minus first, for each draw."""
        return self.second - self.first

    @property
    def ratio(self) -> Array:
        """Second over first, for each draw."""
        return self.second / self.first

    def to_frame(self, *, level: float = LEVEL, rope: tuple[float, float] | None = None) -> pd.DataFrame:
        """Return difference and ratio with intervals, P(second > first), and the share inside a region of equivalence.

        Parameters
        ----------
        level : float
            Probability of the equal-tailed intervals.
        rope : (float, float), optional
            Region of practical equivalence of the ratio, such as (0.95, 1.05).
        """
        check_level(level)
        rows = {name: _line(draws, level) for name, draws in (
            ("first", self.first), ("second", self.second), ("difference", self.difference), ("ratio", self.ratio))}
        frame = pd.DataFrame(rows).T
        frame["P(second > first)"] = [np.nan, np.nan, *[float((self.second > self.first).mean())] * 2]
        if rope is not None:
            inside = float(((self.ratio > rope[0]) & (self.ratio < rope[1])).mean())
            frame[f"P(ratio in {rope[0]:g}-{rope[1]:g})"] = [np.nan, np.nan, np.nan, inside]
        return frame


def _line(draws: Array, level: float) -> dict[str, float]:
    low, high = interval_names("", level)
    ends = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return {"mean": float(draws.mean()), "median": float(np.median(draws)), low.lstrip("_"): float(ends[0]),
            high.lstrip("_"): float(ends[1])}


def contrast_rows(
    fitted: Fitted, rows: Rows, first: Mapping[str, Any], second: Mapping[str, Any], *, quantity: str, groups: Groups, seed: int,
    per: float,
) -> Contrast:
    """Compare two settings over the same rows.

    Parameters
    ----------
    fitted, rows : Fitted, Rows
        The posterior and the rows to average over.
    first, second : mapping
        Column to the value it is set to in every row.
    quantity : {"rate", "expected"}
        What is averaged.
    groups : str
        As in predictions.
    seed : int
        For new levels.
    per : float
        Rates are for this much exposure.

    Raises
    ------
    MissingColumnError
        A setting names a column that the formulas do not have.
    """
    if quantity not in ("rate", "expected"):
        raise OptionError(f"quantity={quantity!r}", value=quantity, rule="a contrast compares rates or expected responses",
                          fix="Use 'rate' or 'expected'.")
    if fitted.specification.response_levels:
        raise OptionError("a categorical response", rule="a contrast compares one number", fix="Use predict() for each setting.")
    means = []
    for setting in (first, second):
        changed = _with(fitted, rows, setting)
        predicted = predict_rows(fitted, changed, quantities=(quantity,), groups=groups, seed=seed, per=per).mean()
        means.append(next(predicted.chunks())[1][quantity][:, 0])
    return Contrast(means[0], means[1], quantity, (dict(first), dict(second)))


def _with(fitted: Fitted, rows: Rows, setting: Mapping[str, Any]) -> Rows:
    columns = dict(rows.patterns.table.columns)
    if not isinstance(setting, Mapping):
        raise OptionError(f"a setting {setting!r}", value=setting, rule="a setting is a mapping of columns to values",
                          fix="Write {'deploy': 0}, for example.")
    for name, value in setting.items():
        if name not in columns:
            raise MissingColumnError(f"no predictor {name!r}", column=name, rule="a setting names a column of the formulas",
                                     fix=suggestion(name, columns))
        columns[name] = _constant(columns[name], value, rows.patterns.table.rows)
    table = Table(columns, rows.patterns.table.rows, origin=rows.patterns.table.origin)
    coded = tuple(each.code(table) for each in fitted.specification.predictors)
    return replace(rows, patterns=replace(rows.patterns, table=table), coded=coded)


def _constant(column: Column, value: Any, rows: int) -> Column:
    if column.kind == "category":
        return Column(column.name, "category", np.zeros(rows, np.int64), (str(value),))
    kind: str = {"time": "datetime64[us]"}.get(column.kind, "float64")
    try:
        values = np.full(rows, np.array(value, dtype=kind))
    except (TypeError, ValueError) as error:
        raise ColumnTypeError(f"set to {value!r}", column=column.name, value=value,
                              rule=f"the column holds {_HOLDS[column.kind]}", fix="Give a value of that kind.") from error
    if column.kind == "boolean" and values[0] not in (0.0, 1.0):
        raise ColumnTypeError(f"set to {value!r}", column=column.name, value=value, rule="the column was boolean at the fit",
                              fix="Give True or False, or 0 and 1.")
    if not np.isfinite(values[0]):
        raise MissingValueError(f"set to {value!r}", column=column.name, value=value, rule="a setting is a finite value",
                                fix="Give a value.")
    return Column(column.name, column.kind, values)


_HOLDS = {"numeric": "numbers", "boolean": "booleans", "time": "times"}
