"""Every fault at the data door: its kind, column, first rows, rule and fix."""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from bayesglm import errors
from bayesglm.data.door import read_table
from bayesglm.data.observations import read_observations
from bayesglm.data.table import Roles

UTC, BERLIN = dt.UTC, dt.timezone(dt.timedelta(hours=1))
DAY = dt.datetime(2024, 1, 1)
NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Case:
    """One bad input of `read_table`."""

    frame: Any
    kind: type[errors.BayesGLMError]
    text: str
    column: str | None = None
    rows: tuple[int, ...] = ()
    names: tuple[str, ...] = ("x",)
    fitted: Any = None
    options: dict[str, Any] = field(default_factory=dict)


def pandas(values, **options):
    return pd.DataFrame({"x": pd.Series(values, **options)})


OBJECT = {"dtype": object}
TABLES = {
    "none": Case(None, errors.NotATableError, "NoneType.*data frame"),
    "list": Case([1, 2], errors.NotATableError, "builtins.list"),
    "string": Case("data.csv", errors.NotATableError, "builtins.str.*pandas.DataFrame"),
    "array": Case(np.zeros((2, 2)), errors.NotATableError, "numpy.ndarray"),
    "series": Case(pd.Series([1.0], name="x"), errors.NotATableError, "Series"),
    "scalar in a dict": Case({"x": 1}, errors.NotATableError, "single value, 1", "x"),
    "text in a dict": Case({"x": "abc"}, errors.NotATableError, "single value, 'abc'", "x"),
    "matrix in a dict": Case({"x": np.zeros((2, 2))}, errors.NotATableError, "2 dimensions", "x"),
    "unequal lengths": Case(
        {"x": [1, 2], "y": [1]}, errors.NotATableError, "1 values where `x` has 2", "y", names=("x", "y")
    ),
    "empty pandas": Case(pandas([], dtype=float), errors.EmptyTableError, "no rows"),
    "empty polars": Case(pl.DataFrame({"x": []}), errors.EmptyTableError, "filter or the join"),
    "empty pyarrow": Case(pa.table({"x": pa.array([], pa.float64())}), errors.EmptyTableError, "at least one row"),
    "empty dict": Case({"x": []}, errors.EmptyTableError, "no rows"),
    "duplicate pandas": Case(
        pd.DataFrame([[1, 2, 3]], columns=["x", "b", "b"]), errors.DuplicateColumnError, "unique", "b"
    ),
    "duplicate pyarrow": Case(
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]),
        errors.DuplicateColumnError,
        "Rename or drop",
        "x",
    ),
    "integer names": Case(pd.DataFrame([[1, 2]]), errors.ColumnNameError, "column name 0 is a int"),
    "several header rows": Case(
        pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), errors.ColumnNameError, "is a tuple"
    ),
    "bytes names": Case({b"x": [1]}, errors.ColumnNameError, "is a bytes"),
    "missing column": Case(pandas([1.0]), errors.MissingColumnError, "The table has: x", "y", names=("x", "y")),
    "misspelt column": Case(
        {"requests": [1], "errors": [0]},
        errors.MissingColumnError,
        "Did you mean 'requests'",
        "request",
        names=("request",),
    ),
    "one of many columns": Case({f"c{i}": [1] for i in range(50)}, errors.MissingColumnError, "and 30 more", "x"),
    "lazy without it": Case(pl.LazyFrame({"z": [1]}), errors.MissingColumnError, "The table has: z", "x"),
}
COLUMNS = {
    "nan": Case(pandas([1.0, NAN, NAN]), errors.MissingValueError, "2 missing.*'impute'", "x", (1, 2)),
    "null text": Case(pandas(["a", None]), errors.MissingValueError, "1 missing", "x", (1,)),
    "null boolean": Case(pl.DataFrame({"x": [None, True]}), errors.MissingValueError, "every row", "x", (0,)),
    "null integer": Case(pa.table({"x": [1, None]}), errors.MissingValueError, "1 missing", "x", (1,)),
    "null time": Case(pandas([DAY, None]), errors.MissingValueError, "1 missing", "x", (1,)),
    "null category": Case(
        pa.table({"x": pa.array(["a", None]).dictionary_encode()}), errors.MissingValueError, "1 missing", "x", (1,)
    ),
    "NA": Case(pandas([1, pd.NA], dtype="Int64"), errors.MissingValueError, "1 missing", "x", (1,)),
    "NA object": Case(pandas([1, pd.NA], **OBJECT), errors.MissingValueError, "1 missing", "x", (1,)),
    "polars nan": Case(pl.DataFrame({"x": [NAN, 1.0, None]}), errors.MissingValueError, "2 missing", "x", (0, 2)),
    "all nan": Case(pandas([NAN, NAN]), errors.AllMissingError, "all 2 values", "x"),
    "all none": Case(pandas([None, None], **OBJECT), errors.AllMissingError, "at least one value", "x"),
    "polars nulls": Case(pl.DataFrame({"x": [None, None]}), errors.AllMissingError, "Leave the column out", "x"),
    "polars nan and null": Case(pl.DataFrame({"x": [None, NAN]}), errors.AllMissingError, "all 2", "x"),
    "pyarrow nulls": Case(pa.table({"x": pa.nulls(3)}), errors.AllMissingError, "all 3 values", "x"),
    "infinite": Case(pandas([1.0, INF, -INF]), errors.InfiniteValueError, "2 infinite.*finite.*division", "x", (1, 2)),
    "infinite object": Case({"x": [1.0, -INF]}, errors.InfiniteValueError, "-inf", "x", (1,)),
    "large integer": Case(pandas([1, 2**53 + 1]), errors.ExactnessError, "9007199254740993.*exact.*strings", "x", (1,)),
    "large negative": Case(pl.DataFrame({"x": [-(2**60), 0]}), errors.ExactnessError, "1 integer beyond", "x", (0,)),
    "large nullable": Case(pa.table({"x": [None, 2**60]}), errors.ExactnessError, "1152921504606846976", "x", (1,)),
    "large unsigned": Case(
        pl.DataFrame({"x": pl.Series([2**64 - 1, 0], dtype=pl.UInt64)}),
        errors.ExactnessError,
        "18446744073709551615",
        "x",
        (0,),
    ),
    "large python": Case({"x": [10**30, 1]}, errors.ExactnessError, "beyond 2", "x", (0,)),
    "mixed": Case(
        pandas(["a", 3, "b", 4], **OBJECT), errors.MixedTypeError, "int, str.*one kind.*into strings", "x", (1, 3)
    ),
    "mixed late": Case(pandas(["a"] * 200 + [3], **OBJECT), errors.MixedTypeError, "several types", "x", (200,)),
    "mixed boolean": Case(pandas([True, 2], **OBJECT), errors.MixedTypeError, "bool, int", "x", (1,)),
    "text of a number": Case({"x": [1.0, "n/a"]}, errors.MixedTypeError, "'n/a'", "x", (1,)),
    "same text": Case(pandas(pd.Categorical([1, "1"])), errors.MixedTypeError, "both read '1'", "x"),
    "lists": Case(pandas([[1], [2]]), errors.NestedTypeError, "list.*column or a row", "x", (0,)),
    "dicts": Case({"x": [{"a": 1}]}, errors.NestedTypeError, "dict", "x", (0,)),
    "polars lists": Case(pl.DataFrame({"x": [[1], [2]]}), errors.NestedTypeError, "List", "x"),
    "polars struct": Case(pl.DataFrame({"x": [{"a": 1}]}), errors.NestedTypeError, "Struct", "x"),
    "pyarrow lists": Case(pa.table({"x": [[1]]}), errors.NestedTypeError, "List", "x"),
    "complex": Case(pandas([1j]), errors.ColumnTypeError, "complex128", "x"),
    "duration": Case(pandas([dt.timedelta(1)]), errors.ColumnTypeError, "seconds", "x"),
    "time of day": Case(pl.DataFrame({"x": [dt.time(1)]}), errors.ColumnTypeError, "seconds", "x"),
    "period": Case(pandas(pd.period_range("2024", periods=2)), errors.ColumnTypeError, "period", "x"),
    "interval": Case(pandas(pd.interval_range(0, 2)), errors.ColumnTypeError, "interval", "x"),
    "bytes": Case(pandas([b"a"]), errors.ColumnTypeError, "bytes", "x"),
    "polars bytes": Case(pl.DataFrame({"x": [b"a"]}), errors.ColumnTypeError, "Binary", "x"),
    "objects": Case(pandas([SimpleNamespace()]), errors.ColumnTypeError, "SimpleNamespace", "x"),
    "zones": Case(
        {"x": [DAY.replace(tzinfo=UTC), DAY.replace(tzinfo=BERLIN)]}, errors.TimezoneError, "Convert them to UTC", "x"
    ),
    "naive and aware": Case(
        {"x": [DAY, DAY.replace(tzinfo=UTC)]}, errors.TimezoneError, "same time zone, or none", "x"
    ),
}
POLICIES = {
    "unknown column": Case(pandas([1.0]), errors.UnknownNameError, "missing=", options={"missing": {"y": "impute"}}),
    "text for a number": Case(
        pandas([1.0]), errors.OptionError, "a finite number", "x", options={"missing": {"x": "low"}}
    ),
    "nan for a number": Case(
        pandas([1.0]), errors.OptionError, "a finite number", "x", options={"missing": {"x": NAN}}
    ),
    "boolean for a number": Case(
        pandas([1.0]), errors.OptionError, "gives True", "x", options={"missing": {"x": True}}
    ),
    "number for a level": Case(pandas(["a"]), errors.OptionError, "a string", "x", options={"missing": {"x": 1.0}}),
    "2 for a boolean": Case(pandas([True]), errors.OptionError, "True or False", "x", options={"missing": {"x": 2}}),
    "time": Case(pandas([DAY]), errors.OptionError, "cannot be imputed", "x", options={"missing": {"x": "impute"}}),
    "indicator there": Case(
        {"x": [1], "x_missing": [0]},
        errors.ColumnNameError,
        "Rename `x_missing`",
        "x_missing",
        options={"missing": {"x": "impute"}},
    ),
    "policy for new data": Case(
        pandas([1.0]),
        errors.OptionError,
        "filled as at the fit",
        fitted=pandas([1.0]),
        options={"missing": {"x": "impute"}},
    ),
}
NEW = {
    "gone": Case({"y": [1]}, errors.MissingColumnError, "The table has: y", "x", fitted={"x": [1]}),
    "never fitted": Case({"y": [1]}, errors.UnknownNameError, "column of the fit", names=("y",), fitted={"x": [1]}),
    "null": Case({"x": [1, None]}, errors.MissingValueError, "1 missing", "x", (1,), fitted={"x": [1]}),
    "nothing": Case({"x": [None]}, errors.MissingValueError, "1 missing", "x", (0,), fitted={"x": [1]}),
    "infinite": Case({"x": [INF]}, errors.InfiniteValueError, "1 infinite", "x", (0,), fitted={"x": [1]}),
    "text for numbers": Case(
        {"x": ["1"]}, errors.ColumnTypeError, "holds strings.*fitted to numbers", "x", fitted={"x": [1]}
    ),
    "numbers for text": Case(
        {"x": [1]}, errors.ColumnTypeError, "holds numbers.*fitted to strings", "x", fitted={"x": ["1"]}
    ),
    "booleans for numbers": Case({"x": [True]}, errors.ColumnTypeError, "holds booleans", "x", fitted={"x": [1, 2]}),
    "times for numbers": Case({"x": [DAY]}, errors.ColumnTypeError, "holds times", "x", fitted={"x": [1]}),
    "2 for booleans": Case({"x": [1, 2]}, errors.ColumnTypeError, "neither 0 nor 1", "x", (1,), fitted={"x": [True]}),
    "zone lost": Case(
        {"x": [DAY]},
        errors.TimezoneError,
        "times without.*in the time zone UTC",
        "x",
        fitted={"x": [DAY.replace(tzinfo=UTC)]},
    ),
    "zone won": Case(
        {"x": [DAY.replace(tzinfo=UTC)]}, errors.TimezoneError, "fitted to times without", "x", fitted={"x": [DAY]}
    ),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{group}: {name}")
        for group, cases in {"table": TABLES, "column": COLUMNS, "policy": POLICIES, "new": NEW}.items()
        for name, case in cases.items()
    ],
)
def test_a_bad_table_is_refused(case):
    schema = None if case.fitted is None else read_table(case.fitted, list(case.fitted))[1]
    with pytest.raises(errors.BayesGLMError, match=f"(?s){case.text}") as caught:
        read_table(case.frame, case.names, schema, **case.options)
    error = caught.value
    assert type(error) is case.kind
    assert error.column == case.column
    assert error.rows[:5] == case.rows
    assert error.rule in str(error)
    assert error.fix in str(error)


def test_the_types_that_hold_numbers_are_read():
    frame = pd.DataFrame(
        {
            "decimal": [decimal.Decimal("1.5"), decimal.Decimal(2)],
            "object": pd.Series([1, 2.5], dtype=object),
            "small": np.array([1, 2], np.int8),
            "half": np.array([0.5, 1], np.float32),
            "limit": [2**53, -(2**53)],
            "nullable": pd.array([1.5, 2], dtype="Float64"),
        }
    )
    table, _ = read_table(frame, list(frame))
    assert {name: column.values.tolist() for name, column in table.columns.items()} == {
        "decimal": [1.5, 2],
        "object": [1, 2.5],
        "small": [1, 2],
        "half": [0.5, 1],
        "limit": [2**53, -(2**53)],
        "nullable": [1.5, 2],
    }


def support(kind, *faults, rule="the rule of the family"):
    return SimpleNamespace(
        kind=kind, rule=rule, faults=lambda values: tuple((problem, bad(values), fix) for problem, bad, fix in faults)
    )


COUNT = support(
    "count",
    ("{} negative values", lambda y: y < 0, "Drop the rows."),
    ("{} fractions", lambda y: y != np.floor(y), "Give exposure=."),
)
BINARY = support("binary", ("{} values beside 0 and 1", lambda y: (y != 0) & (y != 1), "Use binomial."))
SUCCESSES = support("successes", ("{} negative values", lambda y: y < 0, "Drop the rows."))
REAL, CATEGORY = support("real"), support("category")


@dataclass(frozen=True)
class Seen:
    """One bad combination of response, exposure, trials and weights."""

    data: dict[str, Any]
    support: Any
    kind: type[errors.BayesGLMError]
    text: str
    column: str | None
    rows: tuple[int, ...] = ()
    roles: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, Any] | None = None


E, T, W = {"exposure": "e"}, {"trials": "n"}, {"weights": "w"}
OBSERVED = {
    "negative": Seen(
        {"y": [1, -2, -3]}, COUNT, errors.ResponseError, "2 negative values.*-2.*family.*Drop", "y", (1, 2)
    ),
    "fraction": Seen({"y": [1, 1.5]}, COUNT, errors.ResponseError, "1 fractions.*1.5.*exposure=", "y", (1,)),
    "beyond exact": Seen({"y": [1.0, 2.0**60]}, COUNT, errors.ExactnessError, "beyond 2", "y", (1,)),
    "booleans as counts": Seen({"y": [True, False]}, COUNT, errors.ResponseError, "booleans.*bernoulli", "y"),
    "text as counts": Seen({"y": ["a", "b"]}, COUNT, errors.ResponseError, "text such as 'a'.*into numbers", "y"),
    "times as counts": Seen({"y": [DAY]}, COUNT, errors.ResponseError, "holds times.*duration", "y"),
    "booleans as reals": Seen({"y": [True, False]}, REAL, errors.ResponseError, "bernoulli", "y"),
    "two strings": Seen({"y": ["no", "yes"]}, BINARY, errors.ResponseError, r"data\['y'\] == 'yes'", "y"),
    "three strings": Seen({"y": ["a", "b", "c"]}, BINARY, errors.ResponseError, "3 levels.*categorical", "y"),
    "a two": Seen({"y": [0, 1, 2]}, BINARY, errors.ResponseError, "1 value beside", "y", (2,)),
    "one level": Seen({"y": ["a", "a"]}, CATEGORY, errors.ResponseError, "one level only, 'a'.*at least two", "y"),
    "measured levels": Seen({"y": [1.5, 2]}, CATEGORY, errors.ResponseError, "no integer .*gaussian", "y", (0,)),
    "times as levels": Seen({"y": [DAY]}, CATEGORY, errors.ResponseError, "holds times", "y"),
    "negative exposure": Seen(
        {"y": [0, 1], "e": [1, -1]}, COUNT, errors.NegativeExposureError, ">= 0.*drop them", "e", (1,), E
    ),
    "counted in nothing": Seen(
        {"y": [0, 3], "e": [0, 0.0]}, COUNT, errors.ZeroExposureError, "every exposure is 0", "e", (), E
    ),
    "counted at zero": Seen(
        {"y": [0, 3, 1], "e": [0, 0, 1]},
        COUNT,
        errors.ZeroExposureError,
        "1 row where something was counted at exposure 0.*Correct",
        "e",
        (1,),
        E,
    ),
    "text exposure": Seen(
        {"y": [1], "e": ["a"]}, COUNT, errors.ColumnTypeError, "category column as exposure", "e", (), E
    ),
    "boolean exposure": Seen({"y": [1], "e": [True]}, COUNT, errors.ColumnTypeError, "boolean column", "e", (), E),
    "exposure for trials": Seen(
        {"y": [1], "e": [2], "n": [3]},
        SUCCESSES,
        errors.ExposureError,
        r"trials\(e\)",
        "e",
        (),
        {**E, **T},
        {"takes_exposure": False, "takes_trials": True},
    ),
    "exposure for reals": Seen(
        {"y": [1.5], "e": [2]},
        REAL,
        errors.ExposureError,
        "Leave it out.*trials",
        "e",
        (),
        E,
        {"takes_exposure": False},
    ),
    "unit without exposure": Seen(
        {"y": [1]}, COUNT, errors.OptionError, "without an exposure", None, (), {"exposure_unit": "minutes"}
    ),
    "no trials": Seen(
        {"y": [1]}, SUCCESSES, errors.TrialsError, r"y \| trials\(n\)", "y", (), {}, {"takes_trials": True}
    ),
    "trials for counts": Seen({"y": [1], "n": [2]}, COUNT, errors.TrialsError, "binomial", "n", (), T),
    "one trials for counts": Seen({"y": [1]}, COUNT, errors.TrialsError, "has no trials", None, (), {"trials": 3}),
    "more successes": Seen(
        {"y": [1, 3], "n": [2, 2]},
        SUCCESSES,
        errors.TrialsError,
        "more successes.*swapped",
        "y",
        (1,),
        T,
        {"takes_trials": True},
    ),
    "more than one number": Seen(
        {"y": [1, 3]}, SUCCESSES, errors.TrialsError, "more successes", "y", (1,), {"trials": 2}, {"takes_trials": True}
    ),
    "success without trials": Seen(
        {"y": [1, 0], "n": [0, 2]},
        SUCCESSES,
        errors.TrialsError,
        "more successes",
        "y",
        (0,),
        T,
        {"takes_trials": True},
    ),
    "fraction of a trial": Seen(
        {"y": [0], "n": [2.5]},
        SUCCESSES,
        errors.TrialsError,
        "no integer .*not a share",
        "n",
        (0,),
        T,
        {"takes_trials": True},
    ),
    "negative trials": Seen(
        {"y": [0], "n": [-1]}, SUCCESSES, errors.TrialsError, "negative", "n", (0,), T, {"takes_trials": True}
    ),
    "all trials zero": Seen(
        {"y": [0], "n": [0]},
        SUCCESSES,
        errors.TrialsError,
        "every number of trials",
        "n",
        (),
        T,
        {"takes_trials": True},
    ),
    "trials of text": Seen(
        {"y": [0], "n": ["a"]}, SUCCESSES, errors.ColumnTypeError, "as trials", "n", (), T, {"takes_trials": True}
    ),
    "zero for all": Seen(
        {"y": [0]}, SUCCESSES, errors.TrialsError, "an integer >= 1", None, (), {"trials": 0}, {"takes_trials": True}
    ),
    "true for all": Seen(
        {"y": [0]}, SUCCESSES, errors.TrialsError, r"trials\(True\)", None, (), {"trials": True}, {"takes_trials": True}
    ),
    "fractional weight": Seen(
        {"y": [0, 1], "w": [1, 0.5]}, COUNT, errors.WeightsError, "identical rows.*dispersion", "w", (1,), W
    ),
    "negative weight": Seen({"y": [0, 1], "w": [-1, 1]}, COUNT, errors.WeightsError, "integers >= 0", "w", (0,), W),
    "no weight": Seen({"y": [0, 1], "w": [0, 0]}, COUNT, errors.WeightsError, "every weight is 0", "w", (), W),
    "weights of text": Seen({"y": [0], "w": ["a"]}, COUNT, errors.ColumnTypeError, "as weights", "w", (), W),
    "weights beyond exact": Seen({"y": [0], "w": [2.0**60]}, COUNT, errors.ExactnessError, "beyond", "w", (0,), W),
    "response as exposure": Seen(
        {"y": [1]}, COUNT, errors.OptionError, "the response and the exposure", "y", (), {"exposure": "y"}
    ),
    "repeated id": Seen(
        {"y": [0, 1, 2], "id": ["a", "b", "a"]},
        COUNT,
        errors.DuplicateIdError,
        "names one row.*context",
        "id",
        (2,),
        {"id": "id"},
    ),
    "repeated number": Seen(
        {"y": [0, 1, 2], "id": [7, 7, 7]},
        COUNT,
        errors.DuplicateIdError,
        "2 rows with a repeated id",
        "id",
        (1, 2),
        {"id": "id"},
    ),
    "imputed response": Seen(
        {"y": [0, None]}, COUNT, errors.OptionError, "never imputed", "y", missing={"y": "impute"}
    ),
    "imputed exposure": Seen(
        {"y": [0, 1], "e": [1, None]}, COUNT, errors.OptionError, "never imputed", "e", (), E, missing={"e": 1.0}
    ),
    "imputed weights": Seen(
        {"y": [0, 1], "w": [1, 1]}, COUNT, errors.OptionError, "for the weights", "w", (), W, missing={"w": 1}
    ),
    "imputed trials": Seen(
        {"y": [0, 1], "n": [1, 1]},
        SUCCESSES,
        errors.OptionError,
        "for the trials",
        "n",
        (),
        T,
        {"takes_trials": True},
        missing={"n": 1},
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in OBSERVED.items()])
def test_a_bad_observation_is_refused(case):
    options = {"takes_exposure": True, "takes_trials": False, **case.options}
    table, _ = read_table(case.data, list(case.data), missing=case.missing)
    with pytest.raises(errors.BayesGLMError, match=f"(?s){case.text}") as caught:
        read_observations(table, Roles("y", **case.roles), case.support, family_name="toy", **options)
    error = caught.value
    assert type(error) is case.kind
    assert error.column == case.column
    assert error.rows == case.rows
    assert error.rule in str(error)
    assert error.fix in str(error)


def test_there_are_at_least_fifty_faults():
    assert len(TABLES) + len(COLUMNS) + len(POLICIES) + len(NEW) + len(OBSERVED) >= 120
