"""Missing values are integrated out exactly: responsibilities, densities and the fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp, softmax

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture
from bayesglm.mixtures.columns import members
from bayesglm.mixtures.expectation import Hidden, Rows, assign
from tests.mixtures.worlds import mixed, separated


def with_gaps(table, share, seed):
    rng = np.random.default_rng(seed)
    return {name: np.where(rng.random(len(values)) < share, np.nan, values) for name, values in table.items()}


def random_gaussians(count, size, seed):
    rng = np.random.default_rng(seed)
    psi = np.array([stats.wishart.rvs(size + 3, np.eye(size), random_state=rng) for _ in range(count)])
    return {"mean": 2 * rng.normal(size=(count, size)), "kappa": rng.uniform(1, 50, count),
            "nu": rng.uniform(size + 2, 60, count), "psi": psi}


def test_responsibilities_are_those_of_the_analytic_marginal_mixture():
    """At E[log p] each component is a scaled Gaussian with precision nu psi^-1: SciPy's marginal of it, pattern by pattern."""
    rng = np.random.default_rng(1)
    params, weights = random_gaussians(3, 4, 2), np.log([0.5, 0.3, 0.2])
    data = rng.normal(size=(60, 4)) * 2
    data[rng.random(data.shape) < 0.4] = np.nan
    member = members()["gaussian_with_missing"]
    whole = members()["gaussian"]
    scale = whole.expected(whole.prior(data, 0), params).constant
    plain = np.empty((60, 3))
    for k in range(3):
        precision = params["nu"][k] * np.linalg.inv(params["psi"][k])
        peak = scale[k] + 0.5 * params["mean"][k] @ precision @ params["mean"][k]
        level = peak - stats.multivariate_normal.logpdf(params["mean"][k], params["mean"][k], np.linalg.inv(precision))
        for n, row in enumerate(data):
            held = ~np.isnan(row)
            density = 0.0 if not held.any() else stats.multivariate_normal.logpdf(
                row[held], params["mean"][k, held], np.linalg.inv(precision)[np.ix_(held, held)])
            plain[n, k] = weights[k] + level + density
    found, normalisers = assign(weights[:, None], [params], Rows(np.ones((60, 1)), (Hidden(member.latent, 0, data),)))
    assert np.allclose(found.T, softmax(plain, axis=1), atol=1e-8, rtol=0)
    assert np.allclose(normalisers, logsumexp(plain, axis=1), atol=1e-8, rtol=0)


def test_the_density_is_the_analytic_marginal():
    """Log density of rows with gaps against SciPy's marginal Student-t, in original units and after the log transform."""
    table, _ = separated(2, 3, 200, 1)
    table["x0"] = np.exp(table["x0"] / 5)
    fit = Mixture(list(table), with_gaps(table, 0.1, 1), transform={"x0": "log"}, max_components=5,
                  missing="marginalise").fit(seed=1)
    part, params = fit.parts[0], fit.posterior.params[0]
    rows = with_gaps({name: values[:50] for name, values in table.items()}, 0.5, 2)
    raw = np.column_stack([np.log(rows["x0"]), rows["x1"], rows["x2"]])
    numbers = (raw - part.layout.center) / part.layout.scale
    expected = np.empty((50, fit.posterior.size))
    for k in range(fit.posterior.size):
        df = params["nu"][k] - 2
        scale = params["psi"][k] * (params["kappa"][k] + 1) / (params["kappa"][k] * df)
        for n, row in enumerate(numbers):
            held = ~np.isnan(row)
            at = 0.0 if not held.any() else stats.multivariate_t.logpdf(row[held], params["mean"][k, held],
                                                                        scale[np.ix_(held, held)], df)
            expected[n, k] = np.log(fit.weights[k]) + at
    jacobian = np.where(np.isnan(raw), 0.0, np.log(part.layout.scale)).sum(axis=1) + np.where(np.isnan(raw[:, 0]), 0.0, raw[:, 0])
    assert np.allclose(fit.score(rows), logsumexp(expected, axis=1) - jacobian, atol=1e-8, rtol=0)


def test_without_gaps_it_is_the_same_fit():
    table, _ = separated(2, 2, 200, 1)
    plain, open_ = (Mixture(["x0", "x1"], table, missing=missing, max_components=5).fit(seed=1)
                    for missing in ("refuse", "marginalise"))
    assert open_.bound == pytest.approx(plain.bound, rel=1e-6)
    assert np.allclose(open_.responsibilities(table), plain.responsibilities(table), atol=1e-4)


@pytest.mark.parametrize("component", ["gaussian", pytest.param("diagonal_gaussian", marks=pytest.mark.slow)])
def test_components_are_found_through_gaps(component):
    table, labels = separated(3, 3, 250, 3)
    fit = Mixture(list(table), with_gaps(table, 0.15, 1), component=component, max_components=5,
                  missing="marginalise").fit(seed=1)
    kept = fit.responsibilities(table).argmax(axis=1)
    whole = Mixture(list(table), table, component=component, max_components=5).fit(seed=1)
    agreed = sum((labels[kept == k] == stats.mode(labels[kept == k]).mode).sum() for k in np.unique(kept))
    assert agreed > 0.98 * len(labels)
    assert fit.score(table).mean() == pytest.approx(whole.score(table).mean(), abs=0.1)


def test_mixed_columns_with_gaps():
    data, slow = mixed(600, 1)
    rng = np.random.default_rng(1)
    gone = rng.random((4, 600)) < 0.1
    holed = {"latency_ms": np.where(gone[0], np.nan, data["latency_ms"]), "restarts": np.where(gone[1], np.nan, data["restarts"]),
             "cold": [None if each else bool(value) for each, value in zip(gone[2], data["cold"], strict=True)],
             "zone": [None if each else str(value) for each, value in zip(gone[3], data["zone"], strict=True)]}
    fit = Mixture(list(holed), holed, transform={"latency_ms": "log"}, component={"restarts": "poisson"}, max_components=6,
                  missing="marginalise").fit(seed=1)
    assert fit.posterior.size == 2
    assert (fit.responsibilities(holed).argmax(axis=1) == slow).mean() > 0.97
    assert np.isfinite(fit.score(holed)).all()
    nothing = {"latency_ms": [np.nan], "restarts": [np.nan], "cold": [None], "zone": [None]}
    assert fit.score(nothing)[0] == pytest.approx(0, abs=1e-9)
    assert np.allclose(fit.responsibilities(nothing)[0], fit.weights, atol=0.02)


def test_tails_of_rows_with_gaps_are_those_of_the_marginal():
    """Uniform on rows of the mixture itself, whatever is missing from them."""
    table, _ = separated(2, 2, 800, 5)
    fit = Mixture(list(table), table, missing="marginalise", max_components=5).fit(seed=1)
    new = with_gaps({name: values[:400] for name, values in separated(2, 2, 800, 5)[0].items()}, 0.4, 1)
    tails = fit.tail_probability(new, seed=2, size=4000)
    empty = np.isnan(new["x0"]) & np.isnan(new["x1"])
    assert (tails[empty] == 1).all()
    assert stats.kstest(tails[~empty], "uniform").pvalue > 0.01
    far = {"x0": [1e4, np.nan], "x1": [np.nan, np.nan]}
    assert fit.tail_probability(far, size=500).tolist() == [pytest.approx(1 / 501), 1.0]


def test_gaps_are_refused_unless_asked_for():
    holed = {"x": [1.0, np.nan, 3.0, 2.0], "s": ["a", None, "b", "a"]}
    for name in holed:
        with pytest.raises(BayesGLMError, match="missing='marginalise'") as caught:
            Mixture([name], holed)
        assert caught.value.kind == "MissingValue"
        assert caught.value.rows == (1,)
    with pytest.raises(BayesGLMError, match="treatment of missing values"):
        Mixture(["x"], holed, missing="impute")
    with pytest.raises(BayesGLMError, match="all 3 values are missing"):
        Mixture(["x"], {"x": [np.nan, np.nan, np.nan]}, missing="marginalise")
    with pytest.raises(BayesGLMError, match="infinite"):
        Mixture(["x"], {"x": [1.0, np.inf, 2.0]}, missing="marginalise")
    fit = Mixture(["x"], {"x": [1.0, 2.0, 3.0]}).fit(seed=1)
    with pytest.raises(BayesGLMError, match="fit again with missing='marginalise'"):
        fit.score({"x": [np.nan, 1.0]})
