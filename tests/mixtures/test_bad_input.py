"""Tables that are hard to describe: each is refused with the fix, or fitted with a finding; nothing returns NaN."""

from __future__ import annotations

import numpy as np
import pytest

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture

COMPONENTS = ("gaussian", "tied_gaussian", "diagonal_gaussian", "spherical_gaussian", "student_t")


@pytest.mark.parametrize("component", [*COMPONENTS, "poisson", "negative_binomial"])
@pytest.mark.parametrize(("values", "says"), [
    ([1.0, np.nan, 2.0, 3.0], "missing='marginalise'"), ([1.0, np.inf, 2.0, 3.0], "infinite"),
    (["1", "b", "c", "1"], "holds a category"), ([None] * 4, "missing"),
], ids=["NaN", "infinity", "strings", "nothing"])
def test_bad_columns_are_refused(component, values, says):
    with pytest.raises(BayesGLMError, match=says) as caught:
        Mixture(["x"], {"x": values}, component={"x": component})
    assert caught.value.fix
    assert caught.value.column == "x"


@pytest.mark.parametrize("component", [*COMPONENTS, "poisson"])
def test_constant_columns_are_refused(component):
    with pytest.raises(BayesGLMError, match=r"constant|0 in every row"):
        Mixture(["x"], {"x": [0.0] * 5}, component=component)


ODD = {
    "two rows": {"x": [1.0, 2.0]},
    "fewer rows than components": {"x": [1.0, 2.0, 5.0], "y": [2.0, 4.0, 10.0]},
    "duplicates": {"x": [0.0] * 15 + [1.0] * 15},
    "outlier": {"x": [0.0] * 30 + [1e9]},
    "scales": {"x": [1e9 + step for step in range(30)], "y": [1e-9 * (step % 7) for step in range(30)]},
    "collinear": {"x": [float(step) for step in range(30)], "y": [2.0 * step for step in range(30)]},
}


SOME = [("gaussian", name, "marginalise") for name in ODD] + [
    ("tied_gaussian", "outlier", "refuse"), ("tied_gaussian", "collinear", "marginalise"),
    ("diagonal_gaussian", "scales", "refuse"), ("spherical_gaussian", "duplicates", "refuse"),
    ("spherical_gaussian", "scales", "refuse"), ("student_t", "outlier", "refuse"),
    ("student_t", "two rows", "refuse"), ("student_t", "collinear", "refuse")]


@pytest.mark.parametrize(("component", "name", "missing"), [
    *SOME, *(pytest.param(component, name, missing, marks=pytest.mark.slow) for component in COMPONENTS for name in ODD
             for missing in ("refuse", "marginalise") if (component, name, missing) not in SOME)])
def test_odd_tables_give_finite_numbers(component, name, missing):
    data = ODD[name]
    fit = Mixture(list(data), data, component=component, max_components=3, missing=missing).fit(seed=1)
    table = fit.components
    assert np.isfinite(table.select_dtypes("number").to_numpy()).all()
    assert np.isfinite(fit.score(data)).all()
    assert np.isfinite(fit.responsibilities(data)).all()
    assert (fit.tail_probability(data, size=50) > 0).all()
    assert not any(np.isnan(each).any() for each in fit.draws(1, 5)["posterior"].data_vars.values())


def kinds(data, **options):
    return [each.kind for each in Mixture(list(data), data, **options).findings]


def test_findings_fire_on_their_fault_and_are_silent_without():
    rng = np.random.default_rng(1)
    plain = {f"x{j}": rng.normal(size=120) for j in range(3)}
    assert kinds(plain) == []
    assert kinds({f"x{j}": rng.normal(size=2000) for j in range(51)}, component="diagonal_gaussian") == ["many_columns"]
    assert kinds({f"x{j}": rng.normal(size=60) for j in range(20)}) == ["few_rows"]
    assert kinds({"x": [1.0, 2.0, 4.0]}, component="spherical_gaussian") == ["fewer_rows_than_components"]
    assert kinds({name: np.repeat(values[:20], 6) for name, values in plain.items()}) == ["repeated_rows"]
    assert kinds({"s": ["1", "2", "1"] * 20}) == ["numeric_text"]
    assert kinds(plain | {"s": [f"u{n // 4}" for n in range(120)]}) == ["many_levels"]
    assert kinds(plain | {"s": [f"u{n % 10}" for n in range(120)]}) == []


def test_five_hundred_columns_have_a_way():
    rng = np.random.default_rng(1)
    wide = {f"x{j}": rng.normal(size=200) + (np.arange(200) % 2) * 2 for j in range(500)}
    mixture = Mixture(list(wide), wide, component="diagonal_gaussian", max_components=3)
    assert [each.kind for each in mixture.findings] == ["many_columns", "few_rows"]
    fit = mixture.fit(seed=1)
    assert np.isfinite(fit.score(wide)).all()
    assert fit.posterior.size == 2


@pytest.mark.parametrize("component", ["poisson", "negative_binomial"])
@pytest.mark.parametrize("value", [2.5, -1.0, 1e30])
def test_new_values_that_are_no_counts_are_refused(component, value):
    fit = Mixture(["n"], {"n": np.random.default_rng(1).poisson(3.0, 60)}, component=component, max_components=2).fit(seed=1)
    for ask in (fit.score, fit.responsibilities, fit.tail_probability, fit.update):
        with pytest.raises(BayesGLMError, match="no counts"):
            ask({"n": [3.0, value, 1.0]})


@pytest.mark.parametrize("component", ["gaussian", "diagonal_gaussian", "student_t"])
def test_numbers_beyond_all_measure_are_refused_and_others_have_finite_scores(component):
    rng = np.random.default_rng(1)
    data = {"x": 1e-20 * rng.normal(size=60), "y": rng.normal(size=60)}
    fit = Mixture(["x", "y"], data, component=component, max_components=2).fit(seed=1)
    for ask in (fit.score, fit.responsibilities, fit.tail_probability, fit.update):
        with pytest.raises(BayesGLMError, match=r"further than 1e.100 from the center"):
            ask({"x": [0.0, 1e90], "y": [0.0, 1.0]})
    far = {"x": [1e70], "y": [1e70]}
    assert np.isfinite(fit.score(far)).all()
    assert np.isfinite(fit.responsibilities(far)).all()
