"""How often checks call what is there, and what is not: simulation studies against their stated rates."""

from __future__ import annotations

import numpy as np
import pytest

import bayesglm as bg
from bayesglm.checks.check import Check
from bayesglm.checks.zeros import zeros_from_spread
from bayesglm.registry import discover
from tests.fits_by_hand import counts, made

CHECKS = discover("bayesglm.checks", Check)
REPEATS = 100


def rate(name: str, models, truth, *, bad: tuple[str, ...] = ("warn", "fail"), seeds=range(REPEATS)) -> float:
    """Return how often a check answers badly."""
    return float(np.mean([CHECKS[name].run(made(models(seed), truth, seed=seed), seed).verdict in bad
                          for seed in seeds]))


def poisson(family="poisson", **options):
    return lambda seed: bg.Model("y ~ x", counts(500, seed=seed, **options), family=family, context=["zone"])


def test_spread_explains_the_zeros_of_spread_counts():
    def calls(k: float, zeros: float) -> float:
        called = 0
        for seed in range(200):
            rng = np.random.default_rng(seed)
            mean = 5.0 * np.exp(0.3 * rng.normal(size=500))
            spread = rng.gamma(k, 1 / k, 500) if np.isfinite(k) else 1.0
            y = rng.poisson(mean * spread) * (rng.uniform(size=500) >= zeros)
            share, error = zeros_from_spread(y.astype(np.float64), mean * (1 - zeros))
            called += (y == 0).mean() > share + 3.0 * error
        return called / 200

    assert calls(0.5, 0.0) < 0.05
    assert calls(2.0, 0.0) < 0.05
    assert calls(np.inf, 0.2) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", ["predictive", "by_group", "zeros", "dispersion"])
def test_the_correct_model_is_left_alone(name):
    truth = {"Intercept": np.log(5.0), "beta": [0.3]}
    assert rate(name, poisson(), truth) < 0.10


@pytest.mark.slow
def test_spread_counts_are_not_called_inflated():
    truth = {"Intercept": np.log(5.0), "beta": [0.3], "concentration": 0.5}
    assert rate("zeros", poisson("negative_binomial", k=0.5), truth) < 0.10


@pytest.mark.slow
def test_a_fifth_of_extra_zeros_is_called():
    truth = {"Intercept": np.log(4.0), "beta": [0.3]}
    assert rate("zeros", poisson(zeros=0.2), truth) > 0.90
    spread = {**truth, "concentration": 4.0}
    assert rate("zeros", poisson("negative_binomial", zeros=0.2), spread) > 0.90


@pytest.mark.slow
def test_a_wrong_family_is_found():
    truth = {"Intercept": np.log(5.0), "beta": [0.3]}
    assert rate("predictive", poisson(k=2.0), truth) > 0.95


@pytest.mark.slow
def test_the_dispersion_statistic_has_its_value():
    def ratio(seed: int, k: float, family: str) -> float:
        rng = np.random.default_rng(seed)
        y = rng.negative_binomial(k, k / (k + 10.0), 2000)
        model = bg.Model("y ~ 1", {"y": y}, family=family)
        truth = {"Intercept": np.log(y.mean())} | ({} if family == "poisson" else {"concentration": k})
        return float(CHECKS["dispersion"].run(made(model, truth), seed).table["observed"][0])

    sound = [ratio(seed, 2.0, "negative_binomial") for seed in range(30)]
    assert np.mean([0.9 < each < 1.1 for each in sound]) > 0.9
    assert np.mean([ratio(seed, 2.0, "poisson") for seed in range(30)]) == pytest.approx(6.0, abs=0.3)


@pytest.mark.slow
def test_small_zero_inflated_counts_are_weakly_identified():
    rng = np.random.default_rng(3)
    y = rng.poisson(0.5 * rng.gamma(1.0, 1.0, 400)) * (rng.uniform(size=400) > 0.3)
    fit = bg.Model("y ~ 1", {"y": y}, family="zero_inflated_negative_binomial").fit(seed=1, progress=False)
    assert CHECKS["weak_identification"].run(fit, 0).verdict == "warn"
    y = rng.poisson(8.0 * rng.gamma(3.0, 1 / 3, 400)) * (rng.uniform(size=400) > 0.3)
    fit = bg.Model("y ~ 1", {"y": y}, family="zero_inflated_negative_binomial").fit(seed=1, progress=False)
    assert CHECKS["weak_identification"].run(fit, 0).verdict == "pass"
