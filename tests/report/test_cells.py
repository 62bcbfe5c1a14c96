"""Cells: numbers keep the digits they need, and no text breaks out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesglm.report.cells import clean, decimals, grid, number
from bayesglm.report.page import prose
from bayesglm.report.section import TableBlock
from bayesglm.report.wording import quoted


def texts(frame: pd.DataFrame, **options) -> list[list[str]]:
    return [[cell.text for cell in line] for line in grid(TableBlock(frame, "", **options)).lines]


def test_columns_under_one_heading_share_their_decimals():
    frame = pd.DataFrame({"name": ["a", "b"], "mean": [-5.921, 0.33], "sd": [0.296, 0.293]})
    assert texts(frame) == [["a", "−5.92", "0.30"], ["b", "0.33", "0.29"]]


def test_a_small_line_keeps_its_digits():
    frame = pd.DataFrame({"mean": [-5.921, 0.000021], "sd": [0.296, 0.00001]})
    assert texts(frame)[1] == ["0.0000210", "0.0000100"]


def test_a_small_number_beside_a_large_one_is_a_plain_zero():
    assert texts(pd.DataFrame({"mean": [-0.0001, 0.5], "sd": [0.3, 0.3]}))[0] == ["0.000", "0.300"]


def test_lines_with_units_of_their_own():
    frame = pd.DataFrame({"statistic": ["variance", "zeros"], "observed": [240.3, 0.235], "mean": [541.2, 0.21], "p": [0.3, 1]})
    assert texts(frame, across=True, formats={"p": "probability"}) == [
        ["variance", "240", "541", "0.300"], ["zeros", "0.235", "0.210", "> 0.999"],
    ]


@pytest.mark.parametrize(("value", "text"), [
    (np.nan, "–"), (None, "–"), (np.inf, "∞"), (-np.inf, "−∞"), (True, "yes"), (np.bool_(False), "no"), (12345, "12,345"),
    (np.int64(-3), "−3"), ("<b>", "<b>"), (pd.NaT, "–"),
])
def test_values_of_every_kind(value, text):
    assert texts(pd.DataFrame({"x": pd.Series([value], dtype=object)})) == [[text]]


def test_headings_span_their_columns():
    frame = pd.DataFrame([[1, 2.0, 3.0]], columns=pd.MultiIndex.from_tuples([("", "a"), ("rate", "b"), ("rate", "c")]))
    assert [(each.text, each.span) for each in grid(TableBlock(frame, "")).groups] == [("", 1), ("rate", 2)]


def test_an_empty_table_has_no_lines():
    assert grid(TableBlock(pd.DataFrame({"a": []}), "")).lines == ()


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_no_number_loses_its_first_two_digits(first, second):
    shown = number(first, f".{decimals([first])}f")
    assert float(shown) == pytest.approx(first, rel=0.06)
    assert decimals([first, second]) >= 0


@given(st.text())
def test_text_stays_text(text):
    html = str(prose(text))
    inside = html.replace("<code><bdi>", "").replace("</bdi></code>", "")
    assert "<" not in inside
    assert ">" not in inside
    clean(text).encode("utf-8")


@given(st.text())
def test_cleaning_again_changes_nothing(text):
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize("name", ["a", "a`b", "`a`", "a b"])
def test_quoted_names_become_code(name):
    assert str(prose(f"before {quoted(name)} after")) == f"before <code><bdi>{name}</bdi></code> after"
