"""Every check passes on data from its own model, answers its planted fault, and says why where it does not apply."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import bayesglm as bg
from bayesglm.checks.check import Check, CheckResult
from bayesglm.fitted import Fitted
from bayesglm.registry import discover
from tests.fits_by_hand import counts, made

CHECKS = discover("bayesglm.checks", Check)
BAD = ("warn", "fail")


def answer(name: str, fitted: Fitted, seed: int = 0) -> CheckResult:
    return CHECKS[name].run(fitted, seed)


def poisson_truth(mu: float = 5.0) -> dict[str, object]:
    return {"Intercept": np.log(mu), "beta": [0.3]}


def negative_binomial_truth(k: float, mu: float = 5.0) -> dict[str, object]:
    return {**poisson_truth(mu), "concentration": k}


@pytest.fixture(scope="module")
def sound() -> Fitted:
    """A Poisson model of Poisson counts with groups, a label and a time."""
    table = counts(400, seed=3)
    model = bg.Model("y ~ x + (1 | zone)", table, family="poisson", time="t", context=["zone"])
    truth = {**poisson_truth(), "sd_zone": [0.05], "effect_zone": np.zeros((4, 1))}
    return made(model, truth)


@pytest.fixture(scope="module")
def inflated() -> Fitted:
    """A zero-inflated negative binomial whose two parts are drawn independently."""
    rng = np.random.default_rng(5)
    y = rng.poisson(8 * rng.gamma(3, 1 / 3, 500)) * (rng.uniform(size=500) > 0.3)
    model = bg.Model("y ~ 1", {"y": y}, family="zero_inflated_negative_binomial")
    return made(model, {"Intercept": np.log(8), "concentration": 3.0, "zero_probability": 0.3})


def test_every_check_has_the_same_parts():
    for name, check in CHECKS.items():
        assert name == check.name
        assert check.question.endswith("?")
        assert check.source
    assert [name for name, check in CHECKS.items() if check.decisive] == ["convergence"]


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "weak_identification"])
def test_a_sound_fit_passes(name, sound):
    found = answer(name, sound)
    assert (found.name, found.verdict) == (name, "pass"), found
    assert found.finding
    assert found.advice == ""


def test_a_sound_inflated_fit_passes(inflated):
    for name in ("weak_identification", "zeros", "dispersion", "predictive"):
        assert answer(name, inflated).verdict == "pass", name


@pytest.mark.parametrize("name", CHECKS)
def test_the_same_seed_gives_the_same_answer(name, sound):
    first, second = answer(name, sound, 7), answer(name, sound, 7)
    assert first.finding == second.finding
    assert first.table.equals(second.table)


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in ("convergence", "weak_identification")])
def test_without_data_the_answer_is_a_reason(name, sound):
    found = answer(name, replace(sound, problem=None))
    assert found.verdict == "not applicable"
    assert "saved without its data" in found.finding


def test_checks_of_the_draws_need_no_data(sound, inflated):
    assert answer("convergence", replace(sound, problem=None)).verdict == "pass"
    assert answer("weak_identification", replace(inflated, problem=None)).verdict == "pass"


# The planted faults.


@pytest.fixture(scope="module")
def overdispersed() -> Fitted:
    return made(bg.Model("y ~ x", counts(400, k=2.0, mu=10.0, seed=2), family="poisson"), poisson_truth(10.0))


def test_a_poisson_model_of_spread_counts(overdispersed):
    dispersion = answer("dispersion", overdispersed)
    assert dispersion.verdict == "fail"
    assert dispersion.table["dispersion"][0] == "over"
    assert "negative_binomial" in dispersion.advice
    assert "truncated" not in dispersion.advice
    predictive = answer("predictive", overdispersed)
    assert predictive.verdict == "fail"
    assert predictive.table.set_index("statistic").loc["variance", "p"] < 0.01


def test_zeros_that_spread_explains_are_not_called_inflated(overdispersed):
    found = answer("zeros", overdispersed)
    assert found.verdict in BAD
    assert "explains without zero inflation" in found.finding
    assert "zero_inflated" not in found.advice


def test_extra_zeros_are_called_and_the_family_is_named():
    model = bg.Model("y ~ x", counts(400, zeros=0.2), family="poisson")
    found = answer("zeros", made(model, poisson_truth()))
    assert found.verdict == "fail"
    assert "zero_inflated_poisson" in found.advice
    again = bg.Model("y ~ x", counts(400, zeros=0.2), family="negative_binomial")
    spread = answer("zeros", made(again, negative_binomial_truth(4.0, 4.0)))
    assert spread.verdict == "fail"
    assert "zero_inflated_negative_binomial" in spread.advice


def test_fewer_zeros_than_the_family_says():
    table = counts(800, mu=1.0)
    kept = table["y"] > 0
    model = bg.Model("y ~ x", {name: values[kept] for name, values in table.items()}, family="poisson")
    found = answer("zeros", made(model, poisson_truth(1.4)))
    assert found.verdict == "fail"
    assert "truncated" in found.advice


def test_underdispersion():
    rng = np.random.default_rng(2)
    model = bg.Model("y ~ 1", {"y": rng.binomial(20, 0.9, 400)}, family="poisson")
    found = answer("dispersion", made(model, {"Intercept": np.log(18.0)}))
    assert found.verdict == "fail"
    assert found.table["dispersion"][0] == "under"


def test_a_group_that_the_formula_lacks():
    table = counts(400)
    table["y"] = np.where(table["zone"] == "c", 2 * table["y"], table["y"])
    model = bg.Model("y ~ x", table, family="poisson", context=["zone"])
    found = answer("by_group", made(model, poisson_truth(6.0)))
    assert found.verdict == "fail"
    assert found.table.loc[0, "group"] == "c"
    assert "zone" in found.advice


def test_rows_that_follow_each_other():
    rng = np.random.default_rng(4)
    wave = np.convolve(rng.normal(size=320), np.ones(20) / np.sqrt(20), mode="valid")[:300]
    y = rng.poisson(np.exp(2.0 + 0.5 * wave))
    model = bg.Model("y ~ 1", {"y": y, "t": np.arange(300)}, family="negative_binomial", time="t")
    found = answer("autocorrelation", made(model, {"Intercept": 2.1, "concentration": 4.0}))
    assert found.verdict == "fail"
    assert "ar(t)" in found.advice


def test_neighbours_in_time_are_those_of_their_own_series():
    rng = np.random.default_rng(4)
    level = np.repeat([1.0, 3.0], 100)
    table = {"y": rng.poisson(np.exp(level)), "t": np.tile(np.arange(100), 2), "host": np.repeat(["a", "b"], 100)}
    order = rng.permutation(200)
    model = bg.Model("y ~ host", {name: values[order] for name, values in table.items()}, family="poisson", time="t",
                     context=["host"])
    found = answer("autocorrelation", made(model, {"Intercept": 1.0, "beta": [2.0]}))
    assert found.verdict == "pass"
    assert found.table["pairs"][0] == 198


def test_zero_probability_and_dispersion_on_a_ridge(inflated):
    posterior = inflated.draws["posterior"].to_dataset()
    ridge = posterior.assign(concentration=3.0 + 20.0 * (posterior["zero_probability"] - 0.3))
    found = answer("weak_identification", replace(inflated, draws=xr.DataTree.from_dict({"posterior": ridge})))
    assert found.verdict == "warn"
    assert "weakly identified" in found.finding


def test_a_level_without_events():
    table = counts(200)
    table["y"] = np.where(table["zone"] == "d", 0, table["y"])
    model = bg.Model("y ~ x + zone", table, family="poisson")
    found = answer("separation", made(model, {"Intercept": 1.6, "beta": [0.3, 0.0, 0.0, -5.0]}))
    assert found.verdict == "warn"
    assert found.table["coefficient"].tolist() == ["zone[d]"]


def test_a_number_that_separates_events():
    x = np.linspace(-1, 1, 60)
    model = bg.Model("y ~ x", {"y": (x > 0.1).astype(float), "x": x}, family="bernoulli")
    found = answer("separation", made(model, {"Intercept": 0.0, "beta": [8.0]}))
    assert found.verdict == "warn"


# Where a check does not apply.


@pytest.fixture(scope="module")
def binary() -> Fitted:
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    y = (rng.uniform(size=300) < 1 / (1 + np.exp(-x))).astype(float)
    return made(bg.Model("y ~ x", {"y": y, "x": x}, family="bernoulli"), {"Intercept": 0.0, "beta": [1.0]})


def test_one_trial_has_no_dispersion_and_no_zeros_of_its_own(binary):
    for name, why in (("dispersion", "one trial"), ("zeros", "no counts"), ("autocorrelation", "time"),
                      ("by_group", "grouping"), ("weak_identification", "no zero probability")):
        found = answer(name, binary)
        assert found.verdict == "not applicable", name
        assert why in found.finding
    assert answer("predictive", binary).verdict == "pass"
    assert answer("predictive", binary).table["statistic"].tolist() == ["mean"]


def test_categories_have_shares():
    rng = np.random.default_rng(1)
    table = {"y": rng.choice(["ok", "slow", "failed"], 300, p=[0.2, 0.5, 0.3]),
             "zone": rng.choice(["a", "b"], 300)}
    model = bg.Model("y ~ 1", table, family="categorical", context=["zone"])
    names = [predictor.name("Intercept") for predictor in model.problem.specification.predictors]
    levels = model.problem.specification.response_levels
    share = {"ok": 0.2, "slow": 0.5, "failed": 0.3}
    truth = {name: np.log(share[level] / share[levels[0]]) for name, level in zip(names, levels[1:], strict=True)}
    fitted = made(model, truth)
    for name in ("dispersion", "zeros", "separation"):
        assert answer(name, fitted).verdict == "not applicable"
    assert answer("predictive", fitted).verdict == "pass"
    assert answer("by_group", fitted).verdict == "pass"
    wrong = made(model, {name: value + 1.0 for name, value in truth.items()})
    assert answer("predictive", wrong).verdict == "fail"


def test_continuous_responses():
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    model = bg.Model("y ~ x", {"y": 2 + x + rng.normal(size=300), "x": x}, family="gaussian")
    fitted = made(model, {"Intercept": 2.0, "beta": [1.0], "sigma": 1.0})
    assert answer("zeros", fitted).verdict == "not applicable"
    assert answer("dispersion", fitted).verdict == "pass"
    assert answer("predictive", fitted).verdict == "pass"
    assert answer("dispersion", made(model, {"Intercept": 2.0, "beta": [1.0], "sigma": 0.6})).verdict == "fail"


def test_zero_truncated_counts_have_no_zeros_to_judge():
    y = np.random.default_rng(1).poisson(2.0, 300)
    model = bg.Model("y ~ 1", {"y": y[y > 0]}, family="truncated_poisson")
    assert answer("zeros", made(model, {"Intercept": np.log(2.0)})).verdict == "not applicable"


# Weights and exposure.


def test_a_weighted_row_stands_for_as_many_rows():
    y = np.random.default_rng(1).poisson(3.0, 300)
    values, times = np.unique(y, return_counts=True)
    model = bg.Model("y ~ 1", {"y": values, "n": times}, family="poisson", weights="n")
    weighted = made(model, {"Intercept": np.log(3)})
    plain = made(bg.Model("y ~ 1", {"y": y}, family="poisson"), {"Intercept": np.log(3)})
    for name in ("predictive", "zeros"):
        one, other = answer(name, weighted).table, answer(name, plain).table
        assert np.allclose(one["observed"], other["observed"])
        assert np.allclose(one["predicted_mean"], other["predicted_mean"], rtol=0.02, atol=0.02)
    assert answer("dispersion", weighted).table["df"][0] == 300


def test_rows_without_exposure_are_left_out():
    rng = np.random.default_rng(1)
    hours = np.r_[rng.uniform(1, 3, 200), np.zeros(200)]
    model = bg.Model("y ~ 1", {"y": rng.poisson(4 * hours), "hours": hours}, family="poisson", exposure="hours")
    fitted = made(model, {"Intercept": np.log(4)})
    assert answer("zeros", fitted).verdict == "pass"
    assert answer("dispersion", fitted).table["df"][0] == 200


