"""Distinct covariate patterns: an exact index back to the rows, in order of first appearance, weights counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesglm.data.door import read_table
from bayesglm.data.patterns import distinct, patterns_of

ROWS = st.integers(1, 30).flatmap(
    lambda rows: st.lists(
        st.tuples(
            st.sampled_from([0.0, -0.0, 1.5, -7.0, 1e300]), st.sampled_from("abc"), st.booleans(), st.integers(0, 3)
        ),
        min_size=rows,
        max_size=rows,
    )
)


def frame(rows):
    x, g, flag, weight = zip(*rows, strict=True)
    times = np.array(["2024-01-01", "2024-01-02"], "M8[us]")[np.array(flag, int)]
    return {"x": list(x), "g": list(g), "flag": list(flag), "t": times, "w": list(weight)}


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_patterns_are_the_distinct_rows(rows):
    table, _ = read_table(frame(rows), ["x", "g", "flag", "t", "w"])
    names = ["x", "g", "flag", "t"]
    patterns = patterns_of(table, names, table["w"].values)
    seen = [(x, g, flag) for x, g, flag, _ in rows]
    assert patterns.table.rows == len(set(seen)) == len(patterns.counts)
    assert list(dict.fromkeys(seen)) == [seen[int(np.argmax(patterns.index == i))] for i in range(patterns.table.rows)]
    for name in names:
        assert (patterns.table[name].values[patterns.index] == table[name].values).all()
    assert patterns.counts.tolist() == [
        float(sum(weight for *key, weight in rows if tuple(key) == pattern)) for pattern in dict.fromkeys(seen)
    ]


def test_no_column_makes_one_pattern():
    table, _ = read_table({"y": [1, 2, 3]}, ["y"])
    patterns = patterns_of(table, [], np.array([1.0, 2.0, 0.0]))
    assert patterns.index.tolist() == [0, 0, 0]
    assert patterns.counts.tolist() == [3.0]
    assert patterns.table.rows == 1


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    first, index = distinct([np.zeros(rows)], rows)
    assert first.tolist() == index.tolist() == [0] * rows


def test_many_columns_of_many_values_do_not_overflow():
    rng = np.random.default_rng(1)
    keys = [rng.permutation(5000) for _ in range(12)]
    first, index = distinct(keys, 5000)
    assert first.tolist() == index.tolist() == list(range(5000))
