"""Limits that tie the families to each other, identities of their moments, and their conventions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from bayesglm.families.family import Family
from bayesglm.families.gamma_ratio import log_rising, log_rising_numbers
from bayesglm.registry import discover
from tests.families import laws

FAMILIES = discover("bayesglm.families", Family)
MU = np.array([0.02, 0.9, 6.0, 40.0])
COUNTS = np.arange(80.0)[:, None]


def density(name, etas, y=COUNTS, trials=None, links=None):
    shape = {each: np.broadcast_to(np.asarray(eta, dtype=float), (4,)) for each, eta in etas.items()}
    return laws.log_density(FAMILIES[name], links)(y, shape, None if trials is None else np.full(4, float(trials)))


def differ(a, b, tolerance):
    return np.abs(np.exp(a) - np.exp(b)).max() > tolerance


@pytest.mark.parametrize(("name", "at_limit", "before_it", "plain", "rest", "trials"), [
    ("negative_binomial", {"concentration": 25.0}, {"concentration": 4.0}, "poisson", {}, None),
    ("negative_binomial_nb1", {"delta": -25.0}, {"delta": -4.0}, "poisson", {}, None),
    ("zero_inflated_poisson", {"zero_probability": -30.0}, {"zero_probability": -4.0}, "poisson", {}, None),
    ("zero_inflated_negative_binomial", {"zero_probability": -30.0}, {"zero_probability": -4.0}, "negative_binomial",
     {"concentration": 0.4}, None),
    ("hurdle_negative_binomial", {"concentration": 25.0}, {"concentration": 4.0}, "hurdle_poisson",
     {"zero_probability": 0.3}, None),
    ("truncated_negative_binomial", {"concentration": 25.0}, {"concentration": 4.0}, "truncated_poisson", {}, None),
    ("beta_binomial", {"phi": 25.0}, {"phi": 4.0}, "binomial", {}, 9),
    ("zero_inflated_binomial", {"zero_probability": -30.0}, {"zero_probability": -4.0}, "binomial", {}, 9),
    ("student_t", {"nu": 22.0}, {"nu": 3.0}, "gaussian", {"sigma": 0.3}, None),
])
def test_limit(name, at_limit, before_it, plain, rest, trials):
    first = FAMILIES[name].parameters[0].name
    eta = {first: np.array([-2.0, -0.5, 0.4, 2.0])}
    y = COUNTS if trials is None else np.arange(trials + 1.0)[:, None]
    shared = {key: value for key, value in rest.items() if key in {each.name for each in FAMILIES[name].parameters}}
    expected = density(plain, {**eta, **rest}, y, trials)
    order = [each.name for each in FAMILIES[name].parameters]
    near = {**eta, **shared, **at_limit}
    np.testing.assert_allclose(np.exp(density(name, {key: near[key] for key in order}, y, trials)), np.exp(expected),
                               atol=1e-8)
    far = {**eta, **shared, **before_it}
    assert differ(density(name, {key: far[key] for key in order}, y, trials), expected, 1e-4)


def test_one_trial_is_bernoulli():
    eta, y = np.array([-2.0, 0.0, 0.3, 4.0]), np.array([[0.0], [1.0]])
    np.testing.assert_allclose(density("binomial", {"p": eta}, y, 1), density("bernoulli", {"p": eta}, y), rtol=1e-14)


def test_two_levels_are_bernoulli_logistic():
    eta, y = np.array([-2.0, 0.0, 0.3, 4.0]), np.array([[0.0], [1.0]])
    np.testing.assert_allclose(density("categorical", {"score[1]": eta}, y), density("bernoulli", {"p": eta}, y), rtol=1e-13)


def test_beta_binomial_keeps_its_digits_at_a_large_precision():
    # A second route: beta-binomial = binomial times products over the successes and failures, no gamma function at all.
    n, p, phi, y = 30, special.expit(0.4), 1e9, 11
    rising = [np.log1p(i / (p * phi)) for i in range(y)] + [np.log1p(i / ((1 - p) * phi)) for i in range(n - y)]
    exact = stats.binom.logpmf(y, n, p) + sum(rising) - sum(np.log1p(i / phi) for i in range(n))
    found = density("beta_binomial", {"p": 0.4, "phi": np.log(phi)}, np.full((1, 1), y), n)[0, 0]
    assert found == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("a", [1e-6, 0.3, 7.0, 9_999.0, 10_001.0, 1e6, 1e12])
def test_rising_factorials(a):
    exact = np.log(a) * 12 + sum(np.log1p(i / a) for i in range(12))
    assert float(log_rising(np.float64(a), np.float64(12.0)).eval()) == pytest.approx(exact, rel=1e-12, abs=3e-11)
    assert log_rising_numbers(a, 12.0) == pytest.approx(exact, rel=1e-12, abs=3e-11)


@pytest.mark.parametrize("k", [None, 0.3, 5.0])
@pytest.mark.parametrize("p0", [0.0, 0.35, 0.99])
def test_mean_of_a_hurdle(k, p0):
    family = FAMILIES["hurdle_poisson" if k is None else "hurdle_negative_binomial"]
    numbers = {"mu": MU, "zero_probability": np.full(4, p0)} | ({} if k is None else {"concentration": np.full(4, k)})
    zero = np.exp(-MU) if k is None else (1 + MU / k) ** -k
    np.testing.assert_allclose(family.mean(numbers, None), (1 - p0) * MU / (1 - zero), rtol=1e-8)
    np.testing.assert_array_equal(family.zero(numbers, None), p0)


@pytest.mark.parametrize(("name", "parameter", "words"), [
    ("negative_binomial", "concentration", "1/k"), ("zero_inflated_negative_binomial", "concentration", "1/k"),
])
def test_conversion_to_the_reciprocal_and_back(name, parameter, words):
    convert = FAMILIES[name].parameter(parameter).conversions[words]
    k = np.array([0.5, 1.0, 10.0])
    np.testing.assert_array_equal(convert(k), 1 / k)
    np.testing.assert_allclose(convert(convert(k)), k, rtol=1e-15)


def test_the_dispersions_mean_what_their_conversions_say():
    rng, n = np.random.default_rng(3), 100_000
    nb2 = {"mu": np.full(n, 4.0), "concentration": np.full(n, 2.5)}
    alpha = FAMILIES["negative_binomial"].parameter("concentration").conversions["1/k"](np.float64(2.5))
    assert FAMILIES["negative_binomial"].draw(rng, nb2, None).var() == pytest.approx(4 + alpha * 16, rel=0.03)
    nb1 = {"mu": np.full(n, 4.0), "delta": np.full(n, 1.5)}
    ratio = FAMILIES["negative_binomial_nb1"].parameter("delta").conversions["variance/mean"](np.float64(1.5))
    assert FAMILIES["negative_binomial_nb1"].draw(rng, nb1, None).var() == pytest.approx(4 * ratio, rel=0.03)
    pairs = {"p": np.full(n, 0.3), "phi": np.full(n, 4.0)}
    rho = FAMILIES["beta_binomial"].parameter("phi").conversions["intraclass correlation"](np.float64(4.0))
    two = FAMILIES["beta_binomial"].draw(rng, pairs, np.full(n, 2.0))
    assert two.var() == pytest.approx(2 * 0.21 * (1 + rho), rel=0.03)
    times = {"mu": np.full(n, 3.0), "shape": np.full(n, 4.0)}
    cv = FAMILIES["gamma"].parameter("shape").conversions["coefficient of variation"](np.float64(4.0))
    draws = FAMILIES["gamma"].draw(rng, times, None)
    assert draws.std() / draws.mean() == pytest.approx(cv, rel=0.03)


def test_more_structural_zeros_with_a_higher_predictor():
    rng = np.random.default_rng(4)
    for name in ("zero_inflated_poisson", "hurdle_poisson"):
        family = FAMILIES[name]
        link = family.parameter("zero_probability").link()
        few, many = ({"mu": np.full(2_000, 5.0), "zero_probability": np.full(2_000, link.inverse(eta))} for eta in (-2, 1))
        assert (family.draw(rng, many, None) == 0).mean() > (family.draw(rng, few, None) == 0).mean() + 0.4


@pytest.mark.parametrize("name", ["gaussian", "student_t", "gamma", "poisson", "negative_binomial"])
def test_a_point_far_off_has_a_finite_density(name):
    family = FAMILIES[name]
    numbers = {each.name: np.full(1, 2.0 if each.name != "nu" else 5.0) for each in family.parameters}
    etas = {each.name: each.link().forward(numbers[each.name]) for each in family.parameters}
    far = numbers["mu"] + 100 * np.sqrt(family.variance(numbers, None))
    assert np.isfinite(laws.log_density(family)(np.ceil(far)[None], etas)).all()


def test_counts_of_any_mean_can_be_drawn():
    rng = np.random.default_rng(5)
    mu = np.array([0.0, 1e-300, 1e14, 1e16, 1e100, np.inf])
    poisson = FAMILIES["poisson"].draw(rng, {"mu": mu}, None)
    np.testing.assert_array_equal(poisson[[0, 1, 5]], [0.0, 0.0, np.inf])
    np.testing.assert_allclose(poisson[2:5], mu[2:5], rtol=1e-6)
    for name, extra in (("negative_binomial", {"concentration": np.full(6, 1e9)}), ("negative_binomial_nb1", {
            "delta": np.full(6, 1e-9)}), ("zero_inflated_poisson", {"zero_probability": np.full(6, 0.5)})):
        draws = FAMILIES[name].draw(rng, {"mu": mu, **extra}, None)
        assert not np.isnan(draws).any()
        assert (draws[:2] == 0).all()
