"""A weight w stands for w identical rows, everywhere; and the model over rows equals the model over cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pytensor.compile.mode import Mode

import bayesglm as bg
from bayesglm.checks import dispersion, predictive
from bayesglm.checks.replicates import units_of
from bayesglm.engines.density import unconstrained_shapes
from bayesglm.errors import WeightsError
from bayesglm.model import build, likelihood_units

ROWS = 24
PYTHON = Mode(linker="py", optimizer="fast_compile")  # nothing to compile, and fast enough for a few points


@dataclass(frozen=True, slots=True)
class Words:
    family: str
    left: str
    options: Mapping[str, Any] = field(default_factory=dict)
    right: str = "x + a + (1 + x | g)"

    def model(self, table: pd.DataFrame, **options: Any) -> bg.Model:
        return bg.Model(f"{self.left} ~ {self.right}", table, self.family, **{**self.options, **options})


CASES = {
    "poisson": Words("poisson", "count", {"exposure": "e"}),
    "poisson, default exposure": Words("poisson", "count"),
    "negative_binomial": Words("negative_binomial", "count", {"exposure": "e", "dispersion": "~ a"}),
    "negative_binomial, k by exposure": Words(
        "negative_binomial", "count", {"exposure": "e", "dispersion_scaling": "exposure"}),
    "zero_inflated_poisson": Words("zero_inflated_poisson", "count", {"exposure": "e", "zero": "~ x"}),
    "binomial": Words("binomial", "count | trials(n)"),
    "beta_binomial": Words("beta_binomial", "count | trials(n)"),
    "bernoulli": Words("bernoulli", "event"),
    "gaussian": Words("gaussian", "real", right="x + s(x, knots=4) - x + season(hour, period=24) + rw(hour)"),
    "categorical": Words("categorical", "kind"),
}


def table_of(seed: int = 1) -> pd.DataFrame:
    """Rows among which some are identical, some were never exposed, and some weigh nothing."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({
        "x": rng.normal(size=ROWS).round(1), "a": np.resize(["u", "v"], ROWS), "g": np.resize(list("ABC"), ROWS),
        "hour": np.arange(ROWS) // 2, "e": rng.uniform(0.5, 3.0, ROWS).round(1), "n": rng.integers(6, 12, ROWS),
        "count": rng.poisson(2.0, ROWS), "real": rng.normal(size=ROWS).round(1), "event": rng.integers(0, 2, ROWS),
        "kind": np.resize(list("pqr"), ROWS), "w": rng.integers(1, 4, ROWS),
    })
    table.loc[[3, 17], ["e", "n", "count"]] = 0
    table.loc[[5, 20], "w"] = 0
    return pd.concat([table, table.iloc[[0, 1, 7]]], ignore_index=True)


def expanded(table: pd.DataFrame) -> pd.DataFrame:
    return table.loc[table.index.repeat(table["w"])].reset_index(drop=True)


def points(model: pm.Model, number: int = 3) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    shapes = unconstrained_shapes(model)
    return [{name: rng.normal(scale=0.7, size=shape) for name, shape in shapes.items()} for _ in range(number)]


def log_densities(model: pm.Model, at: list[dict[str, np.ndarray]]) -> np.ndarray:
    function = model.compile_logp(mode=PYTHON)
    return np.array([float(function(each)) for each in at])


@pytest.mark.parametrize("name", CASES)
def test_weights_are_an_expanded_table_and_rows_are_cells(name: str) -> None:
    words, table = CASES[name], table_of()
    weighted, long = words.model(table, weights="w"), words.model(expanded(table))
    at = points(weighted.pymc)
    expected = log_densities(long.pymc, at)
    assert np.isfinite(expected).all()
    for model in (weighted.pymc, build(weighted.problem, over="cell"), build(long.problem, over="cell")):
        np.testing.assert_allclose(log_densities(model, at), expected, rtol=1e-10)


def test_weights_left_out_are_noticed() -> None:
    words, table = CASES["poisson"], table_of()
    weighted, plain = words.model(table, weights="w").pymc, words.model(table).pymc
    at = points(weighted)
    assert np.abs(log_densities(plain, at) / log_densities(weighted, at) - 1).min() > 1e-3


@pytest.mark.parametrize("name", ["poisson", "binomial", "zero_inflated_poisson", "negative_binomial, k by exposure"])
def test_rows_without_exposure_or_trials_add_nothing(name: str) -> None:
    table = table_of()
    exposed = table[table["e"] > 0].reset_index(drop=True)
    whole, part = CASES[name].model(table), CASES[name].model(exposed)
    at = points(whole.pymc)
    expected = log_densities(part.pymc, at)
    np.testing.assert_allclose(log_densities(whole.pymc, at), expected, rtol=1e-10)
    np.testing.assert_allclose(log_densities(build(whole.problem, over="cell"), at), expected, rtol=1e-10)
    assert whole.pymc.coords["obs"] == tuple(np.flatnonzero(table["e"] > 0))


def test_cells_are_fewer_than_rows_and_hold_them_all() -> None:
    problem = CASES["poisson"].model(table_of(), weights="w").problem
    rows, cells = likelihood_units(problem, "obs"), likelihood_units(problem, "cell")
    table = table_of()
    assert len(rows.response) == cells.frequency.sum() == table["w"][table["e"] > 0].sum()
    assert len(cells.response) == len(table[(table["e"] > 0) & (table["w"] > 0)].drop_duplicates(["x", "a", "g", "e", "count"]))


@pytest.fixture(scope="module")
def fits() -> tuple[bg.Fit, bg.Fit]:
    """One posterior, with the weighted table and with the expanded one: their log densities are equal, as held above."""
    words, table = Words("negative_binomial", "count", {"exposure": "e"}, right="x + (1 | g)"), table_of()
    weighted = words.model(table, weights="w").fit(draws=200, tune=200, chains=2, seed=3, progress=False)
    long = words.model(expanded(table)).problem
    return weighted, replace(weighted, problem=long, specification=long.specification)


def test_loo_counts_every_row(fits: tuple[bg.Fit, bg.Fit]) -> None:
    weighted, long = (fit.loo() for fit in fits)
    table = table_of()
    assert weighted.n_data_points == long.n_data_points == table["w"][table["e"] > 0].sum()
    for name in ("elpd", "se", "p"):
        assert getattr(weighted, name) == pytest.approx(getattr(long, name), rel=1e-9)


def test_log_likelihood_has_an_entry_for_every_row(fits: tuple[bg.Fit, bg.Fit]) -> None:
    weighted, long = (fit.with_log_likelihood().draws["log_likelihood"]["count"] for fit in fits)
    assert weighted.sizes["obs"] == long.sizes["obs"]
    np.testing.assert_allclose(weighted, long, rtol=1e-9)


def test_predictive_checks_see_every_row(fits: tuple[bg.Fit, bg.Fit]) -> None:
    weighted, long = fits
    assert units_of(weighted.data()).size == units_of(long.data()).size == fits[0].loo().n_data_points
    for check in (predictive.MEMBER, dispersion.MEMBER):
        left, right = (check.run(fit, 0).table for fit in fits)
        pd.testing.assert_frame_equal(left, right, rtol=1e-9)
    assert dispersion.MEMBER.run(weighted, 0).table["df"].item() == weighted.loo().n_data_points


@pytest.mark.parametrize(("weights", "words"), [
    ([0.5, 1.0, 2.0], "no integer"), ([-1.0, 1.0, 1.0], "negative"), ([0.0, 0.0, 0.0], "every weight is 0"),
])
def test_weights_that_count_nothing_are_refused(weights: list[float], words: str) -> None:
    table = pd.DataFrame({"y": [1, 2, 3], "x": [0.1, 0.4, 0.2], "w": weights})
    with pytest.raises(WeightsError, match=words) as caught:
        bg.Model("y ~ x", table, "poisson", weights="w")
    assert caught.value.column == "w"
    assert caught.value.fix
