"""Any data frame gives the same table; the schema survives JSON; the fingerprint obeys its laws."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bayesglm.data.door import read_table
from bayesglm.data.fingerprint import fingerprint
from bayesglm.data.missing import weighted_median
from bayesglm.data.schema import Schema
from bayesglm.data.table import Table
from bayesglm.errors import BayesGLMError, StorageError

HOSTILE = ["__class__", "a b", "`x`", "<script>", "columns", "{}", "naïve ☃", "", "x:y", "'; drop--", "%s", "шум"]
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
DAY = dt.datetime(2024, 3, 31, 0, 30)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = {
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "integer": st.integers(-(2**53), 2**53),
    "boolean": st.booleans(),
    "text": TEXT,
    "category": st.sampled_from(["b", "a", "c ☃"]),
    "time": st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)),
    "zoned": st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2037, 1, 1), timezones=st.just(dt.UTC)).map(
        lambda time: time.astimezone(BERLIN)
    ),
    "date": st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)),
}
PANDAS = {
    "float": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "text": "str",
    "time": "datetime64[us]",
    "zoned": "datetime64[us, Europe/Berlin]",
    "date": object,
}
POLARS = {
    "float": pl.Float64,
    "integer": pl.Int64,
    "boolean": pl.Boolean,
    "text": pl.String,
    "time": pl.Datetime("us"),
    "zoned": pl.Datetime("us", "Europe/Berlin"),
    "date": pl.Date,
    "category": pl.Enum(["c ☃", "b", "a", "unused"]),
}
ARROW = {
    "float": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "time": pa.timestamp("us"),
    "zoned": pa.timestamp("us", "Europe/Berlin"),
    "date": pa.date32(),
}
ORDER = ["c ☃", "b", "a", "unused"]


def as_pandas(columns):
    return pd.DataFrame(
        {
            name: pd.Categorical(values, categories=ORDER)
            if kind == "category"
            else pd.Series(values, dtype=PANDAS[kind])
            for name, (kind, values) in columns.items()
        }
    )


def as_polars(columns):
    return pl.DataFrame({name: pl.Series(name, values, dtype=POLARS[kind]) for name, (kind, values) in columns.items()})


def as_arrow(columns):
    def array(kind, values):
        if kind != "category":
            return pa.array(values, ARROW[kind])
        codes = [None if value is None else ORDER.index(value) for value in values]
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(ORDER))

    return pa.table({name: array(kind, values) for name, (kind, values) in columns.items()})


def contents(table):
    return {
        name: (column.kind, column.values.dtype.str, column.values.tolist(), column.levels)
        for name, column in table.columns.items()
    }


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 12))
    columns = {}
    for name in draw(st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=4, unique=True)):
        kind = draw(st.sampled_from(sorted(VALUES)))
        values = draw(st.lists(VALUES[kind], min_size=rows, max_size=rows))
        if kind not in ("time", "zoned", "date"):
            gaps = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
            values = [None if gap and i else value for i, (gap, value) in enumerate(zip(gaps, values, strict=True))]
        columns[name] = (kind, values)
    return columns


@settings(max_examples=150, deadline=None)
@example({"a": ("text", ["\x00", "b"])})
@given(tables())
def test_every_data_frame_gives_the_same_table(columns):
    missing = {name: "impute" for name, (kind, _) in columns.items() if kind not in ("time", "zoned", "date")}
    read = [read_table(make(columns), list(columns), missing=missing) for make in (as_pandas, as_polars, as_arrow)]
    assert contents(read[0][0]) == contents(read[1][0]) == contents(read[2][0])
    assert read[0][1] == read[1][1] == read[2][1]
    assert Schema.from_dict(json.loads(json.dumps(read[0][1].to_dict()))) == read[0][1]
    again, same = read_table(as_arrow(columns), list(columns), read[0][1])
    assert contents(again) == contents(read[0][0])
    assert same is read[0][1]
    assert again.findings == tuple(each for each in read[0][0].findings if each.kind == "timezone")


@pytest.mark.parametrize("make", [as_pandas, as_polars, as_arrow])
def test_pieces_of_a_long_column_join(make, monkeypatch):
    monkeypatch.setattr("bayesglm.data.column._CHUNK", 3)
    values = ["b", "a", None, "d", "c", "a", "b", "e"]
    table, _ = read_table(make({"x": ("text", values)}), ["x"], missing={"x": "none"})
    assert table["x"].labels().tolist() == ["b", "a", "none", "d", "c", "a", "b", "e"]
    assert table["x"].levels == ("a", "b", "c", "d", "e", "none")


def test_several_dictionaries_of_one_arrow_column():
    chunks = [pa.array(["b", None]).dictionary_encode(), pa.array(["a", "b"]).dictionary_encode()]
    table, _ = read_table(pa.table({"x": pa.chunked_array(chunks)}), ["x"], missing={"x": "?"})
    assert table["x"].labels().tolist() == ["b", "?", "a", "b"]


def test_nothing_but_the_named_columns_is_read():
    frame = pd.DataFrame({"x": [1], "bad": [[1]], "worse": [np.nan]})
    assert list(read_table(frame, ["x", "x"])[0].columns) == ["x"]
    assert read_table(pl.LazyFrame({"x": [1], "bad": [[1]]}), ["x"])[0]["x"].values.tolist() == [1.0]


def test_the_table_does_not_change_with_the_frame():
    values = np.array([1.0, 2.0])
    table, _ = read_table({"x": values}, ["x"])
    values[0] = 9.0
    assert table["x"].values.tolist() == [1.0, 2.0]


def test_declared_order_is_kept_and_unused_levels_are_not():
    frame = pd.DataFrame({"x": pd.Categorical(["low", "high"], categories=["low", "middle", "high"], ordered=True)})
    assert read_table(frame, ["x"])[0]["x"].levels == ("low", "high")
    assert read_table(pl.DataFrame({"x": pl.Series(["b", "a"], dtype=pl.Categorical)}), ["x"])[0]["x"].levels == (
        "a",
        "b",
    )
    assert read_table(pd.DataFrame({"x": pd.Categorical([10, 9])}), ["x"])[0]["x"].levels == ("9", "10")


def test_times_become_utc_and_say_so():
    zoned = [DAY.replace(tzinfo=BERLIN), DAY.replace(tzinfo=BERLIN) + dt.timedelta(hours=4)]
    for frame in ({"t": zoned}, pd.DataFrame({"t": zoned}), pl.DataFrame({"t": zoned})):
        table, schema = read_table(frame, ["t"])
        assert table["t"].values.tolist() == [dt.datetime(2024, 3, 30, 23, 30), dt.datetime(2024, 3, 31, 2, 30)]
        assert schema.columns["t"].timezone == "Europe/Berlin"
        assert (schema.columns["t"].lower, schema.columns["t"].upper) == (
            "2024-03-30T23:30:00.000000",
            "2024-03-31T02:30:00.000000",
        )
        assert [each.kind for each in table.findings] == ["timezone"]


def test_cut_nanoseconds_are_found():
    table, _ = read_table({"t": np.array(["2024-01-01", "2024-01-01T00:00:00.000000001"], "M8[ns]")}, ["t"])
    assert [(each.kind, each.rows, each.count) for each in table.findings] == [("rounded_time", (1,), 1)]


def test_numbers_written_as_text_are_found():
    assert [each.kind for each in read_table({"x": ["1", "2.5"]}, ["x"])[0].findings] == ["numeric_text"]
    assert read_table({"x": ["1", "b"]}, ["x"])[0].findings == ()


@pytest.mark.parametrize(
    ("values", "how", "filled"),
    [
        ([1.0, None, 4.0, 2.0], "impute", 2.0),
        ([1.0, None, 4.0, 2.0], 0, 0.0),
        ([1, None, 3], "impute", 2.0),
        ([True, None, True, False], "impute", 1.0),
        ([True, None, True], False, 0.0),
        (["b", None, "b", "a"], "impute", "b"),
        (["b", None, "a"], "unknown", "unknown"),
    ],
)
def test_missing_cells_are_filled_and_marked(values, how, filled):
    table, schema = read_table({"x": values}, ["x", "x_missing"], missing={"x": how})
    assert table["x"].labels()[1] == filled
    assert table["x_missing"].values.tolist() == [float(value is None) for value in values]
    assert table.imputed == {"x": 1}
    stored = schema.columns["x"].missing
    assert (stored.fill, stored.imputed) == (filled, 1)
    new, _ = read_table({"x": [None, None]}, ["x"], schema)
    assert new["x"].labels().tolist() == [filled, filled]
    assert new["x_missing"].values.tolist() == [1.0, 1.0]
    assert new.imputed == {"x": 2}


def test_the_indicator_alone_brings_its_column():
    table, _ = read_table({"x": [1.0, None]}, ["x_missing"], missing={"x": "impute"})
    assert sorted(table.columns) == ["x", "x_missing"]


def test_a_column_without_gaps_keeps_its_policy():
    table, schema = read_table({"x": [1.0, 3.0]}, ["x"], missing={"x": "impute"})
    assert table.imputed == {"x": 0}
    assert table["x_missing"].values.tolist() == [0.0, 0.0]
    assert read_table({"x": [None]}, ["x"], schema)[0]["x"].values.tolist() == [2.0]
    assert read_table({"x": [1.0]}, ["x"], missing={"x": "refuse"})[0].imputed == {}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 4)), min_size=1, max_size=9).filter(
        lambda pairs: any(weight for _, weight in pairs)
    )
)
def test_the_weighted_median_is_that_of_repeated_rows(pairs):
    values, weights = (np.array(each, float) for each in zip(*pairs, strict=True))
    assert weighted_median(values, weights) == np.median(np.repeat(values, weights.astype(int)))


def test_weights_count_in_what_is_filled_in():
    frame = {"w": [1, 5, 1, 1], "x": [1.0, 2.0, 9.0, None], "c": ["a", "b", "a", None], "b": [True, False, True, None]}
    table, _ = read_table(frame, list(frame), weights="w", missing={"x": "impute", "c": "impute", "b": "impute"})
    assert [table[name].labels()[3] for name in ("x", "c", "b")] == [2.0, "b", 0.0]


def test_new_data_are_held_against_the_fit():
    _, schema = read_table(
        {"x": [0.0, 2.0], "g": ["b", "d"], "k": [1, 2], "flag": [True, False]}, ["x", "g", "k", "flag"], labels=["k"]
    )
    frame = {"x": [1, 3, -1], "g": ["a", "d", "e"], "k": [7, 8, 9], "flag": [0, 1, 1]}
    table, _ = read_table(frame, list(frame), schema)
    assert table["g"].levels == ("b", "d", "a", "e")
    assert table["g"].values.tolist() == [2, 1, 3]
    assert table["flag"].kind == "boolean"
    assert [(each.kind, each.column, each.rows, each.count) for each in table.findings] == [
        ("outside_range", "x", (1, 2), 2),
        ("unseen_level", "g", (0, 2), 2),
    ]
    assert "'a', 'e'" in table.findings[1].text


@pytest.mark.parametrize("values", [[0, 1, 1], [False, True, True]])
def test_booleans_stay_booleans_to_readers(values):
    _, schema = read_table({"flag": [True, False]}, ["flag"])
    column = read_table({"flag": values}, ["flag"], schema)[0]["flag"]
    assert [type(each) for each in column.labels().tolist()] == [bool] * 3
    category = column.as_category()
    assert (category.levels, category.values.tolist()) == (("False", "True"), [0, 1, 1])


def test_booleans_that_are_all_the_same_have_one_level():
    assert read_table({"flag": [True, True]}, ["flag"])[0]["flag"].as_category().levels == ("True",)


@pytest.mark.parametrize(("values", "labels"), [
    ([3, 4], ["3", "4"]), ([3.0, 4.0], ["3.0", "4.0"]), (np.array([3, 4], object), ["3", "4"]),
    (pd.array([3, 4], "Int64"), ["3", "4"]), (np.array([3, 4], np.uint8), ["3", "4"]),
])
def test_integers_print_as_integers_and_floats_as_floats(values, labels):
    column = read_table({"k": values}, ["k"])[0]["k"]
    assert column.values.dtype == np.float64
    assert list(map(str, column.labels())) == list(map(str, column.take(np.arange(2)).labels())) == labels


def test_integers_filled_with_half_of_one_are_floats():
    table, _ = read_table({"k": pd.array([3, None, 4], "Int64")}, ["k"], missing={"k": "impute"})
    assert table["k"].labels().tolist() == [3.0, 3.5, 4.0]


def test_new_data_are_told_no_option_that_they_cannot_have():
    _, schema = read_table({"x": [1.0, 2.0]}, ["x"])
    with pytest.raises(BayesGLMError, match="Drop the rows, or give missing="):
        read_table({"x": [1.0, None]}, ["x"])
    with pytest.raises(BayesGLMError, match="Drop the rows, or fit again with missing="):
        read_table({"x": [1.0, None]}, ["x"], schema)


def test_zero_and_one_may_become_booleans():
    _, schema = read_table({"x": [0, 1]}, ["x"])
    assert read_table({"x": [True]}, ["x"], schema)[0]["x"].kind == "numeric"


def test_levels_with_braces_are_named():
    _, schema = read_table({"g": ["a"]}, ["g"])
    assert "'{0}{'" in read_table({"g": ["{0}{"]}, ["g"], schema)[0].findings[0].text


@pytest.mark.parametrize("stored", [{}, {"version": 1}, {"version": 99}, {"version": 1, "columns": []}])
def test_a_foreign_schema_is_refused(stored):
    with pytest.raises(StorageError, match="Fit the model again"):
        Schema.from_dict(stored)


PINNED = "dbc510008a71"
FRAME = pd.DataFrame({"x": [1.0, 2.0, 2.0, 5.0], "g": ["a", "b", "a", "b"], "t": pd.date_range("2024", periods=4)})


def read(frame):
    return read_table(frame, list(frame.columns))[0]


def test_the_fingerprint_is_pinned():
    assert fingerprint(read(FRAME)).startswith(PINNED)
    assert fingerprint(read(pl.from_pandas(FRAME))).startswith(PINNED)


@pytest.mark.parametrize("row_order", [True, False])
def test_one_changed_cell_changes_the_fingerprint(row_order):
    seen = {fingerprint(read(FRAME), row_order=row_order)}
    for row in range(4):
        for name, value in {"x": 3.0, "g": "c", "t": pd.Timestamp("2025")}.items():
            changed = FRAME.copy()
            changed.loc[row, name] = value
            seen.add(fingerprint(read(changed), row_order=row_order))
    seen.add(fingerprint(read(FRAME.rename(columns={"x": "z"})), row_order=row_order))
    seen.add(fingerprint(read(FRAME[["x", "g"]]), row_order=row_order))
    seen.add(fingerprint(read(FRAME.head(3)), row_order=row_order))
    assert len(seen) == 16


def test_order_of_rows_and_columns_in_the_fingerprint():
    shuffled = FRAME.sample(frac=1.0, random_state=np.random.RandomState(1))
    assert fingerprint(read(FRAME)) != fingerprint(read(shuffled))
    assert fingerprint(read(FRAME), row_order=False) == fingerprint(read(shuffled), row_order=False)
    assert fingerprint(read(FRAME)) == fingerprint(read(FRAME[["t", "g", "x"]]))


def test_cells_that_change_places_change_the_unordered_fingerprint():
    swapped = FRAME.assign(g=["b", "a", "a", "b"])
    assert fingerprint(read(FRAME), row_order=False) != fingerprint(read(swapped), row_order=False)


def test_names_and_levels_cannot_be_confused():
    def made(levels):
        return fingerprint(read(pd.DataFrame({"g": levels})))

    assert made(["ab", "c"]) != made(["a", "bc"])


def test_a_taken_table_is_a_table():
    taken = read(FRAME).take(np.array([3, 0]))
    assert isinstance(taken, Table)
    assert taken["g"].labels().tolist() == ["b", "a"]
