"""What each kind of component recovers from rows drawn from it: number, parameters, intervals; exposure; tied covariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayesglm.checks.check import Check
from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture
from bayesglm.mixtures.check import PANEL, examined
from bayesglm.registry import discover


def two_kinds(rows, seed):
    return np.random.default_rng(seed), np.random.default_rng(seed + 100).random(rows) < 0.3


def test_heavy_tails_are_one_component_of_student_t():
    """Where Gaussians need several for each: the planted fault of the same data."""
    rng, slow = two_kinds(700, 1)
    data = {"x": np.where(slow, 15.0, 0.0) + rng.standard_t(3, 700)}
    fit = Mixture(["x"], data, component="student_t", max_components=4).fit(seed=1)
    table = fit.components
    assert len(table) == 2
    assert Mixture(["x"], data, max_components=4).fit(seed=1).posterior.size > 2
    assert table["x_mean"].to_numpy() == pytest.approx([0, 15], abs=0.3)
    assert table["x_sd"].to_numpy() == pytest.approx(stats.t.ppf(stats.norm.cdf(1), 3), abs=0.35)
    assert (table["degrees_of_freedom_eti90_lb"] <= 3).all()
    assert (table["degrees_of_freedom_eti90_ub"] >= 3).all()


def test_negative_binomial_finds_concentrations():
    rng, slow = two_kinds(1500, 2)
    data = {"n": rng.negative_binomial(2, np.where(slow, 2 / 102, 2 / 5))}
    fit = Mixture(["n"], data, component="negative_binomial", max_components=6).fit(seed=1)
    table = fit.components
    assert len(table) == 2
    assert table["n_mean"].to_numpy() == pytest.approx([3, 100], rel=0.15)
    assert ((table["n_concentration_eti90_lb"] <= 2) & (table["n_concentration_eti90_ub"] >= 2)).all()
    assert Mixture(["n"], data, component="poisson", max_components=6).fit(seed=1).posterior.size > 2


def test_a_large_concentration_is_poisson():
    rng, _ = two_kinds(800, 3)
    data = {"n": rng.poisson(6.0, 800)}
    scores = [Mixture(["n"], data, component=each, max_components=1).fit(seed=1).score(data).mean()
              for each in ("poisson", "negative_binomial")]
    assert scores[0] == pytest.approx(scores[1], abs=5e-3)


@pytest.mark.parametrize(("component", "draw"), [
    ("poisson", lambda rng, rate, e: rng.poisson(rate * e)),
    ("negative_binomial", lambda rng, rate, e: rng.negative_binomial(e / 50, 1 / (1 + 50 * rate))),
], ids=["poisson", "negative binomial"])
def test_rates_are_found_over_an_exposure(component, draw):
    """Rates per request, whatever the number of requests; without the exposure there are more kinds than two."""
    rng, slow = two_kinds(1200, 4)
    requests = rng.uniform(100, 400, 1200)
    data = {"errors": draw(rng, np.where(slow, 0.3, 0.02), requests), "requests": requests}
    fit = Mixture(["errors"], data, component=component, exposure="requests", max_components=6).fit(seed=1)
    table = fit.components
    assert len(table) == 2
    assert table["errors_per_requests"].to_numpy() == pytest.approx([0.02, 0.3], rel=0.08)
    drawn = fit.draws(1, 400)["posterior"]["rate"].mean(["chain", "draw"]).values[:, 0]
    assert drawn == pytest.approx(table["errors_per_requests"].to_numpy(), rel=0.03)
    few = {name: values[:60] for name, values in data.items()}
    tails = fit.tail_probability(few, size=400)
    assert stats.kstest(tails, "uniform").pvalue > 1e-3
    same_count = {"errors": [60, 60], "requests": [200.0, 20000.0]}
    assert (fit.tail_probability(same_count, size=400) < 0.02).tolist() == [False, True]
    assert fit.score(same_count)[0] > fit.score(same_count)[1]


def test_an_exposure_without_counts_is_refused():
    data = {"n": [1, 0, 3, 2], "e": [1.0, 0.0, 2.0, 1.0], "bad": [1.0, -1.0, 2.0, 1.0], "none": [0.0] * 4,
            "x": [1.0, 2.0, 4.0, 3.0], "gone": [1.0, np.nan, 1.0, 1.0], "m": [1, 2, 3, 2]}
    for columns, options, says in (
        (["x"], {"exposure": "e"}, "no column takes it"),
        (["x", "n"], {"component": {"n": "poisson"}, "exposure": {"x": "e"}}, "takes none"),
        (["n"], {"component": "poisson", "exposure": {"z": "e"}}, "unknown column in exposure"),
        (["n", "e"], {"component": "poisson", "exposure": "e"}, "described and used as exposure"),
        (["n"], {"component": "poisson", "exposure": "bad"}, "negative value"),
        (["n"], {"component": "poisson", "exposure": "gone"}, "every row needs an exposure"),
        (["m"], {"component": "poisson", "exposure": "none"}, "nothing is counted where nothing is exposed"),
        (["m"], {"component": "poisson", "exposure": "e"}, "1 row with a count and no exposure"),
    ):
        with pytest.raises(BayesGLMError, match=says) as caught:
            Mixture(columns, data, **options)
        assert caught.value.fix
    fit = Mixture(["n"], data, component="poisson", exposure="e", max_components=2).fit(seed=1)
    assert fit.score({"n": [0], "e": [0.0]})[0] == pytest.approx(0, abs=1e-12)


def tied_world(rows, seed):
    rng = np.random.default_rng(seed)
    means = np.array([[0, 0], [8, 0], [0, 8], [8, 8]])
    labels = rng.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    x = means[labels] + rng.normal(size=(rows, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    return {"a": x[:, 0], "b": x[:, 1]}, labels


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_tied_components_share_one_covariance(seed):
    data, _ = tied_world(800, seed)
    fit = Mixture(["a", "b"], data, component="tied_gaussian", max_components=8).fit(seed=1)
    assert fit.posterior.size == 4
    covariance = fit.draws(1, 300)["posterior"]["covariance"].mean(["chain", "draw"]).values
    assert np.allclose(covariance, covariance[:1])
    assert np.allclose(covariance[0], [[1, 0.8], [0.8, 1]], atol=0.15)


def test_a_tied_covariance_does_not_collapse_onto_equal_rows():
    """Forty equal rows among others: alone they are a component of hardly any width, tied it is as wide as all others."""
    data, _ = tied_world(400, 3)
    data = {name: np.concatenate([values, np.full(40, 20.0)]) for name, values in data.items()}
    sd = {}
    for component in ("gaussian", "tied_gaussian"):
        fit = Mixture(["a", "b"], data, component=component, max_components=8).fit(seed=1)
        table = fit.components
        at = (table["a_mean"] - 20).abs().idxmin()
        assert table["a_mean"][at] == pytest.approx(20, abs=0.3)
        sd[component] = table["a_sd"][at]
    assert sd["tied_gaussian"] == pytest.approx(0.95, abs=0.15)
    assert sd["gaussian"] < 0.7 * sd["tied_gaussian"]


def test_spherical_components_are_equally_wide_in_every_direction():
    rng, far = two_kinds(600, 5)
    x = rng.normal(size=(600, 2)) + np.where(far, 9.0, 0.0)[:, None]
    fit = Mixture(["a", "b"], {"a": x[:, 0], "b": x[:, 1]}, component="spherical_gaussian", max_components=5).fit(seed=1)
    assert fit.posterior.size == 2
    assert fit.components["a_sd"].to_numpy() == pytest.approx(1.0, abs=0.1)
    ratio = fit.parts[0].layout.scale
    assert fit.components["a_sd"].to_numpy() / fit.components["b_sd"].to_numpy() == pytest.approx(ratio[0] / ratio[1])


def test_counts_over_unequal_exposures_pass_the_predictive_check_and_are_explained():
    """Replicates have the exposures of the rows; a mixture that does not know them fails the same check."""
    rng = np.random.default_rng(1)
    data = {"n": rng.poisson(3.0 * (requests := rng.choice([1.0, 20.0], 400))), "requests": requests}
    known = Mixture(["n"], data, component="poisson", exposure="requests", max_components=3).fit(seed=1)
    check = discover(PANEL.folder, Check)["predictive"]
    assert check.run(examined(known), 1).verdict == "pass"
    assert check.run(examined(Mixture(["n"], data, component="poisson", max_components=1).fit(seed=1)), 1).verdict == "fail"
    line = known.explain({"n": 60, "requests": 20.0}).iloc[0]
    assert line["expected_low"] < 60 < line["expected_high"]
    assert len(known.detection_rates(data, kinds=["shift"], sizes=[3], rate=0.05)) == 1


def test_nearly_equal_exposures_have_nearly_the_tails_of_their_own():
    rng = np.random.default_rng(2)
    exposure = rng.uniform(1, 3, 300)
    data = {"n": rng.poisson(4 * exposure), "e": exposure}
    fit = Mixture(["n"], data, component="poisson", exposure="e", max_components=1).fit(seed=1)
    together = fit.tail_probability(data, size=4000)
    rows = range(0, 300, 25)
    alone = [fit.tail_probability({name: values[[row]] for name, values in data.items()}, size=4000)[0] for row in rows]
    away = np.abs(together[list(rows)] - alone)
    assert np.median(away) < 0.01
    assert away.max() < 0.2  # the probability of one count, where two counts change places in the order of densities
