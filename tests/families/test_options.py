"""Truncation limits and levels: what they mean, far out too, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayesglm as bg
from bayesglm.errors import LevelError, OptionError
from bayesglm.families.counts import NEGATIVE_BINOMIAL, POISSON
from bayesglm.families.family import Family
from bayesglm.families.truncation import MOST_COUNTS, draw, log_kept, moments, truncated
from bayesglm.families.values import Values
from bayesglm.registry import discover

FAMILIES = discover("bayesglm.families", Family)
LAWS = {"poisson": (POISSON, ()), "negative_binomial": (NEGATIVE_BINOMIAL, (np.float64(1.7),)),
        "dispersed": (NEGATIVE_BINOMIAL, (np.float64(0.05),))}
LIMITS = ((1, None), (4, None), (20, None), (0, 5), (2, 9), (30, 40))
MEANS = 10.0 ** np.arange(-8.0, 9.0)


def table(law, lower, upper, mu, *rest):
    """Return counts, and their log masses between the limits, summed in log space."""
    y = np.arange(lower, 60_000.0 if upper is None else upper + 1.0)
    logs = law.log_pmf(y, mu, *rest)
    return y, logs - np.logaddexp.reduce(logs)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("name", LAWS)
def test_kept_probability_and_moments_at_any_mean(name, limits):
    law, rest = LAWS[name]
    found = moments(law, *limits, MEANS, *(np.full(MEANS.shape, each) for each in rest))
    log_s = log_kept(law, *limits, pt.as_tensor(MEANS), *(pt.as_tensor(np.full(MEANS.shape, each)) for each in rest))
    log_s = log_s.eval(mode="FAST_COMPILE") if hasattr(log_s, "eval") else log_s
    for i, mu in enumerate(MEANS):
        if limits[1] is None and 40 * mu * (1 + 1 / (rest[0] if rest else 1)) > 60_000:
            continue  # the sum over counts would end too early
        y, logs = table(law, *limits, mu, *rest)
        p = np.exp(logs)
        exact = (p * y).sum()
        assert found[0][i] == pytest.approx(exact, rel=1e-6)
        assert found[1][i] == pytest.approx((p * (y - exact) ** 2).sum(), rel=1e-6, abs=1e-9)
        assert log_s[i] == pytest.approx(np.logaddexp.reduce(law.log_pmf(y, mu, *rest)), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("name", LAWS)
def test_draws_at_any_mean(name, limits):
    law, rest = LAWS[name]
    n = 3_000
    for mu in (0.0, 1e-8, 0.3, 7.0, 35.0, 3_000.0):
        of = (np.full(n, mu), *(np.full(n, each) for each in rest))
        draws = draw(np.random.default_rng(1), law, *limits, *of)
        assert (draws >= limits[0]).all()
        assert (draws <= (np.inf if limits[1] is None else limits[1])).all()
        mean, variance = moments(law, *limits, *of)
        assert abs(draws.mean() - mean[0]) < 5 * max(np.sqrt(variance[0] / n), 1e-6), mu


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("name", ["truncated_poisson", "truncated_negative_binomial"])
def test_pymc_draws_far_out(name, limits):
    family = FAMILIES[name].with_options(lower=limits[0], upper=limits[1])
    mu = np.repeat([1e-8, 7.0, 100.0], 2_000)
    values = Values({"mu": pt.as_tensor(mu), "concentration": pt.as_tensor(np.float64(1.7))}, {}, {})
    draws = pm.draw(family.likelihood(values), random_seed=1, mode="FAST_COMPILE").reshape(3, -1)
    numbers = {"mu": mu.reshape(3, -1)[:, 0], "concentration": np.full(3, 1.7)}
    score = (draws.mean(1) - family.mean(numbers, None)) / np.sqrt(np.maximum(family.variance(numbers, None), 1e-6) / 2_000)
    assert np.abs(score).max() < 5
    assert not any(bad.any() for _, bad, _ in family.support.faults(draws.ravel().astype(float)))


def test_the_mean_before_the_cut_is_the_parameter():
    numbers = {"mu": np.array([1.5])}
    zero_cut = FAMILIES["truncated_poisson"]
    assert zero_cut.mean(numbers, None)[0] == pytest.approx(1.5 / (1 - np.exp(-1.5)))
    assert zero_cut.zero(numbers, None)[0] == 0
    capped = zero_cut.with_options(lower=0, upper=3)
    assert capped.zero(numbers, None)[0] == pytest.approx(np.exp(-1.5) / stats.poisson.cdf(3, 1.5))


def test_limits_are_facts_of_the_family():
    family = FAMILIES["truncated_negative_binomial"].with_options(upper=20)
    assert family.options == {"lower": 1, "upper": 20}
    assert (family.support.lower, family.support.upper) == (1, 20)
    assert family.support.rule.endswith(">= 1 and <= 20")
    problems = [problem for problem, bad, _ in family.support.faults(np.array([0.0, 25.0, 3.0])) if bad.any()]
    assert problems == ["{} values below the lower limit", "{} values above the upper limit"]
    assert family.with_options(upper=None).options == {"lower": 1, "upper": None}


@pytest.mark.parametrize(("options", "message"), [
    ({"lower": -1}, "lower=-1"), ({"lower": 1.5}, "lower=1.5"), ({"lower": True}, "lower=True"),
    ({"upper": "20"}, "upper='20'"), ({"lower": 3, "upper": 3}, "upper must be above lower"),
    ({"lower": 0}, "cuts something off"), ({"lower": MOST_COUNTS}, "fewer than"), ({"upper": 10 * MOST_COUNTS}, "fewer than"),
])
def test_limits_that_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        truncated(POISSON, **{"lower": 1, "upper": None, **options})


def test_only_truncated_families_have_options():
    assert [name for name, family in FAMILIES.items() if family.configure] == [
        "truncated_negative_binomial", "truncated_poisson"]
    with pytest.raises(OptionError, match="poisson has no options"):
        FAMILIES["poisson"].with_options(lower=1)


def test_levels_of_a_category():
    family = FAMILIES["categorical"].for_levels(("ok", "slow", "failed"))
    assert [each.name for each in family.parameters] == ["score[slow]", "score[failed]"]
    assert [each.prefix for each in family.parameters] == ["slow_", "failed_"]
    numbers = {"score[slow]": np.array([[0.3, 900.0]]), "score[failed]": np.array([[-1.0, 2.0]])}
    share = family.mean(numbers, None)
    assert share.shape == (1, 2, 3)
    np.testing.assert_allclose(share.sum(-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.log(share[0, 0, 1:] / share[0, 0, 0]), [0.3, -1.0], rtol=1e-12)
    np.testing.assert_array_equal(share[0, 1], [0.0, 1.0, 0.0])


@pytest.mark.parametrize("levels", [(), ("one",), ("a", "b", "a")])
def test_levels_that_are_refused(levels):
    with pytest.raises(LevelError, match="at least two distinct levels"):
        FAMILIES["categorical"].for_levels(levels)


def test_the_default_priors_of_a_scale_follow_the_unit_of_the_response():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40)})
    thousandths = data.assign(y=1_000 * data["y"])

    def priors(table, **options):
        model = bg.Model("y ~ x", table, family="gaussian", **options).pymc
        return {rv.name: [float(each.eval()) for each in rv.owner.inputs[2:] if each.ndim == 0] for rv in model.free_RVs}

    plain, scaled = priors(data)["sigma"], priors(thousandths)["sigma"]
    assert scaled[-1] == pytest.approx(1_000 * plain[-1])
    name = next(name for name in priors(data, dispersion="~ x") if name.startswith("sigma_Intercept"))
    plain, scaled = (priors(table, dispersion="~ x")[name] for table in (data, thousandths))
    assert scaled[0] == pytest.approx(plain[0] + np.log(1_000))
