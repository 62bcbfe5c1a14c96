"""Cells: what is summed is the same rows in fewer numbers, and what compresses is decided by declared facts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.describe import describe_fit
from bayesglm.latent.cells import cells_of
from bayesglm.model import likelihood_units
from bayesglm.report.section import Material
from bayesglm.report.sections.data import MEMBER as DATA
from bayesglm.summary import Summary, summarise_fit
from tests.fits_by_hand import made
from tests.latent.cases import CASES, likelihood_of, model_of, table_of

KEPT_APART = {
    "negative_binomial, k ~ x", "negative_binomial, k by exposure", "negative_binomial, k ~ x by exposure",
    "zero_inflated_negative_binomial, all", "truncated_negative_binomial, k ~ x",
}
IDENTICAL = {"student_t", "student_t, all", "gamma, shape by exposure"}


@pytest.mark.parametrize("name", CASES)
def test_every_row_is_in_one_cell(name):
    cells, problem = likelihood_of(name).cells, model_of(name).problem
    units = likelihood_units(problem, "cell")
    assert cells.rows == cells.frequency.sum() == units.frequency.sum()
    assert cells.kind == ("apart" if name in KEPT_APART else "identical" if name in IDENTICAL else "own")
    assert (np.diff(cells.pattern) >= 0).all()
    per_pattern = np.bincount(cells.pattern, cells.frequency, minlength=cells.patterns)
    np.testing.assert_array_equal(per_pattern, np.bincount(units.pattern, units.frequency, minlength=cells.patterns))
    least, most = (len(np.unique(units.pattern)), len(units.response))
    assert cells.size == most if cells.kind != "own" else least <= cells.size <= most


@pytest.mark.parametrize(("name", "by"), [
    ("poisson", ["x", "a"]), ("gamma", ["x", "a"]), ("gaussian", ["x", "a"]), ("binomial", ["x", "a"]),
    ("negative_binomial", ["x", "a", "e"]), ("hurdle_poisson", ["x", "a", "e"]), ("zero_inflated_binomial", ["x", "a", "n"]),
    ("negative_binomial, k ~ x", ["x", "a", "e", "count"]),
])
def test_cells_are_the_groups_of_a_group_by(name, by):
    table = table_of()
    groups = table[table["w"] > 0].assign(total=table["w"] * table["count"]).groupby(by)
    cells = likelihood_of(name).cells
    assert cells.size == groups.ngroups
    if "y" in cells.statistics:
        assert sorted(cells.statistics["y"]) == sorted(groups["total"].sum())


def normal(table: pd.DataFrame, **options) -> bg.Model:
    return bg.Model("y ~ x", table, "gaussian", **options)


def test_sums_of_squares_keep_their_digits_far_from_zero():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"x": np.resize([0, 1], 5_000), "y": 1e9 + rng.integers(0, 9, 5_000) * 2.0**-20})
    cells = cells_of(normal(table).problem)
    for x, residual, ratio in zip((0, 1), cells.statistics["residual"], cells.statistics["ratio"], strict=True):
        exact = (table["y"][table["x"] == x].to_numpy() - 1e9) * 2.0**20  # whole numbers: their sums are exact
        spread = ((exact - exact.mean()) ** 2).sum() * 2.0**-40
        assert residual == pytest.approx(spread, rel=1e-5)
        assert ratio == pytest.approx(1e9 + exact.mean() * 2.0**-20, abs=2e-7)


@pytest.mark.parametrize("name", ["poisson", "gaussian", "negative_binomial", "gamma"])
def test_order_and_repetition_of_rows_change_nothing(name):
    case, table = CASES[name], table_of()
    cells = cells_of(case.model(table).problem)
    repeated = table.loc[table.index.repeat(table["w"])].assign(w=1)
    for other in (table.sample(frac=1.0, random_state=1), repeated):
        found = cells_of(case.model(other).problem)
        assert found.rows == cells.rows
        assert found.size == cells.size
        np.testing.assert_allclose(found.number, cells.number, rtol=1e-12)
        for key, values in cells.statistics.items():
            np.testing.assert_allclose(np.sort(found.statistics[key]), np.sort(values), rtol=1e-12, atol=1e-12)


def test_rows_that_add_nothing_are_in_no_cell():
    table = pd.DataFrame({"y": [1, 0, 2, 0], "x": [0, 0, 1, 2], "e": [1.0, 0.0, 2.0, 0.0]})
    cells = cells_of(bg.Model("y ~ x", table, "poisson", exposure="e").problem)
    assert cells.summary == "2 rows, 2 cells"
    assert cells.patterns == 3
    assert cells.pattern.tolist() == [0, 1]
    assert cells.exposure.tolist() == [1.0, 2.0]


def test_rows_stay_rows_elsewhere():
    problem = model_of("poisson").problem
    assert len(likelihood_units(problem, "obs").response) == likelihood_of("poisson").rows > likelihood_of("poisson").cells.size


def test_a_model_a_fit_and_a_report_say_how_many_cells_the_rows_became():
    x = np.arange(60) % 3
    model = bg.Model("y ~ x", pd.DataFrame({"y": np.arange(60) % 7, "x": x}), "poisson")
    fit = made(model, {"Intercept": 1.0, "beta": [0.1]})
    assert "60 rows, 3 cells" in repr(model)
    assert "60 rows, 3 cells" in Summary(summarise_fit(fit), describe_fit(fit)).heading
    (facts,) = DATA.content(Material(fit, (), 0))
    told = dict(facts.items)
    assert (told["rows in the likelihood"], told["cells, sums over rows that the likelihood needs"]) == ("60", "3")
    # With its mean in a column of its own each row is a cell.
    assert "60 rows, 60 cells" in repr(bg.Model("y ~ x", pd.DataFrame({"y": x, "x": np.linspace(0, 1, 60)}), "poisson"))
