"""The mode is that of independent software: SciPy's maximum of a likelihood written out, scikit-learn's penalised fits, REML."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

import bayesglm as bg
from bayesglm.engines import MAP
from bayesglm.errors import EngineError
from bayesglm.latent.hyper import hyper_of
from bayesglm.latent.penalised import log_speed
from bayesglm.priors import Exponential, HalfNormal, Laplace, Normal, Uniform

Array = NDArray[np.float64]
FLAT = Normal(0.0, 1e4)
N = 200


def table(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, e = rng.normal(size=N), rng.uniform(1.0, 3.0, N)
    mu = e * np.exp(0.5 + 0.4 * x)
    return pd.DataFrame({"x": x, "e": e, "count": rng.poisson(mu), "spread": rng.poisson(mu * rng.gamma(2.0, 0.5, N)),
                         "event": (rng.random(N) < 1 / (1 + np.exp(-x))).astype(int)})


def negative_log_likelihood(family: str, data: pd.DataFrame) -> Callable[[Array], float]:
    x, e = data["x"].to_numpy(), data["e"].to_numpy()

    def poisson(p: Array) -> float:
        return -float(stats.poisson.logpmf(data["count"], e * np.exp(p[0] + p[1] * x)).sum())

    def negative_binomial(p: Array) -> float:
        return -float(stats.nbinom.logpmf(data["spread"], p[2], p[2] / (p[2] + e * np.exp(p[0] + p[1] * x))).sum())

    def bernoulli(p: Array) -> float:
        return -float(stats.bernoulli.logpmf(data["event"], 1 / (1 + np.exp(-p[0] - p[1] * x))).sum())

    return {"poisson": poisson, "negative_binomial": negative_binomial, "bernoulli": bernoulli}[family]


def maximum(function: Callable[[Array], float], start: Array) -> tuple[Array, Array]:
    """Return the minimum of minus a log likelihood and the standard errors there, by function values alone."""
    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 5_000}
    at = optimize.minimize(function, start, method="Nelder-Mead", options=options).x
    h, unit = 1e-4, np.eye(len(at))
    hessian = [[(function(at + h * (a + b)) - function(at + h * (a - b)) - function(at - h * (a - b))
                 + function(at - h * (a + b))) / (4 * h * h) for b in unit] for a in unit]
    return at, np.sqrt(np.diag(np.linalg.inv(hessian)))


def estimates(model: bg.Model, *names: str) -> tuple[Array, Array, bg.Fit]:
    fit = model.fit("map", seed=1, progress=False)
    mode, error = fit.draws["mode"], fit.draws["standard_error"]
    return (np.concatenate([np.ravel(mode[name]) for name in names]),
            np.concatenate([np.ravel(error[name]) for name in names]), fit)


FAMILIES = [("poisson", "count", {}, ("Intercept", "beta")), ("bernoulli", "event", {}, ("Intercept", "beta")),
            ("negative_binomial", "spread", {"concentration": HalfNormal(1e4)}, ("Intercept", "beta", "concentration"))]


@pytest.mark.parametrize(("family", "response", "more", "names"), [
    pytest.param(*each, id=each[0], marks=[] if each[0] == "poisson" else [pytest.mark.slow]) for each in FAMILIES])
def test_with_flat_priors_it_is_maximum_likelihood(
    family: str, response: str, more: dict[str, HalfNormal], names: tuple[str, ...],
) -> None:
    data = table()
    exposure = None if family == "bernoulli" else "e"
    model = bg.Model(f"{response} ~ x", data, family, exposure=exposure, priors={"Intercept": FLAT, "x": FLAT, **more})
    found, errors, fit = estimates(model, *names)
    expected, expected_errors = maximum(negative_log_likelihood(family, data), np.array([0.0, 0.0, 1.0])[:len(found)])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(errors, expected_errors, rtol=1e-3)
    priors = {"Intercept": FLAT, "x": Normal(0, 0.1), **more}
    informed = bg.Model(f"{response} ~ x", data, family, exposure=exposure, priors=priors)
    assert abs(estimates(informed, "beta")[0] - expected[1]) > 0.01
    # The draws are normal around it, and nobody takes them for the posterior.
    draws = fit.draws["posterior"]["beta"]
    assert float(draws.mean()) == pytest.approx(expected[1], abs=1e-4)
    assert float(draws.std()) == pytest.approx(expected_errors[1], rel=1e-3)
    assert fit.verdict is not None
    assert not fit.verdict.reliable


def wide_table() -> tuple[pd.DataFrame, list[str]]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(N, 6)) @ np.diag([1.0, 0.5, 2.0, 1.0, 1.0, 1.0])
    eta = x @ np.array([1.0, -1.0, 0.3, 0.0, 0.0, 0.0])
    names = [f"x{j}" for j in range(6)]
    event = (rng.random(N) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame(x, columns=names).assign(event=event, height=eta + rng.normal(size=N)), names


@pytest.mark.parametrize("b", [0.05, pytest.param(0.2, marks=pytest.mark.slow)])
def test_with_laplace_priors_it_is_the_lasso(b: float) -> None:
    from sklearn.linear_model import LogisticRegression

    data, names = wide_table()
    priors = {"Intercept": FLAT, "common": Laplace(0, b)}
    found, errors, _ = estimates(bg.Model(f"event ~ {' + '.join(names)}", data, "bernoulli", priors=priors), "beta")
    other = LogisticRegression(l1_ratio=1, C=b, solver="saga", tol=1e-9, max_iter=100_000).fit(data[names], data["event"])
    np.testing.assert_allclose(found, other.coef_[0], atol=1e-3)
    np.testing.assert_array_equal(found == 0, np.isnan(errors))
    np.testing.assert_array_equal(found == 0, np.abs(other.coef_[0]) < 1e-6)
    assert (found == 0).any()


@pytest.mark.slow
def test_with_an_unknown_sd_the_penalty_of_the_lasso_is_its_square() -> None:
    from sklearn.linear_model import Lasso

    data, names = wide_table()
    priors = {"Intercept": FLAT, "common": Laplace(0, 0.05), "sigma": HalfNormal(1e4)}
    found, _, fit = estimates(bg.Model(f"height ~ {' + '.join(names)}", data, "gaussian", priors=priors), "beta")
    sigma = float(fit.draws["mode"]["sigma"])
    other = Lasso(alpha=sigma**2 / (N * 0.05), tol=1e-10).fit(data[names], data["height"])
    np.testing.assert_allclose(found, other.coef_, atol=1e-3)


@pytest.mark.slow
def test_with_normal_priors_it_is_ridge_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    data, names = wide_table()
    priors = {"Intercept": FLAT, "common": Normal(0, 0.3)}
    found, _, _ = estimates(bg.Model(f"event ~ {' + '.join(names)}", data, "bernoulli", priors=priors), "beta")
    expected = LogisticRegression(C=0.3**2, tol=1e-10, max_iter=10_000).fit(data[names], data["event"]).coef_[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    other = LogisticRegression(C=0.3, tol=1e-10, max_iter=10_000).fit(data[names], data["event"]).coef_[0]
    assert np.abs(found - other).max() > 0.01


def test_coefficients_shrink_with_the_prior_sd_of_a_ridge() -> None:
    data, names = wide_table()

    def norm(sd: float) -> float:
        priors = {"Intercept": FLAT, "common": Normal(0, sd)}
        found, _, _ = estimates(bg.Model(f"event ~ {' + '.join(names)}", data, "bernoulli", priors=priors), "beta")
        return float(np.linalg.norm(found))

    wide, middle, narrow = (norm(sd) for sd in (3.0, 0.3, 0.03))
    assert wide > 1.1 * middle > 1.1 * 1.1 * narrow > 0


@pytest.mark.slow
def test_with_groups_it_is_restricted_maximum_likelihood() -> None:
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(12), 6)
    x = rng.normal(size=group.size)
    y = 1.0 + 0.5 * x + rng.normal(0, 0.8, 12)[group] + rng.normal(0, 0.6, group.size)
    data = pd.DataFrame({"y": y, "x": x, "g": [f"g{i:02d}" for i in group]})
    design, member = np.stack([np.ones_like(x), x], axis=1), (group[:, None] == np.arange(12)).astype(float)

    def reml(p: Array) -> float:
        v = np.exp(2 * p[1]) * np.eye(len(y)) + np.exp(2 * p[0]) * member @ member.T
        solved, (_, log_v) = np.linalg.solve(v, np.column_stack([design, y])), np.linalg.slogdet(v)
        left = design.T @ solved[:, :2]
        residual = y - design @ np.linalg.solve(left, design.T @ solved[:, 2])
        return 0.5 * float(log_v + np.linalg.slogdet(left)[1] + residual @ np.linalg.solve(v, residual))

    at = optimize.minimize(reml, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11}).x
    priors = {"Intercept": FLAT, "x": FLAT, "sigma": HalfNormal(1e4), "sd_g": HalfNormal(1e4)}
    found, errors, fit = estimates(bg.Model("y ~ x + (1 | g)", data, "gaussian", priors=priors), "sd_g", "sigma")
    np.testing.assert_allclose(found, np.exp(at), rtol=1e-3)
    assert np.all((errors > 0.03) & (errors < 0.4))
    assert "Laplace marginal" in fit.notes[0]
    assert fit.draws["mode"]["effect_g"].dims == ("g", "g_effect")


def test_jacobians_are_those_of_the_ways_to_the_real_line() -> None:
    hyper = hyper_of([(HalfNormal(1), True), (Exponential(1), False), (Uniform(-1, 3), False)])
    t, step = np.array([-0.3, 0.7, -1.2]), 1e-6
    value, slope = log_speed(t, hyper)
    share = 1 / (1 + np.exp(1.2))
    assert value == pytest.approx(0.7 + np.log(4 * share * (1 - share)))
    moves = step * np.eye(3)
    numerical = [(log_speed(t + move, hyper)[0] - log_speed(t - move, hyper)[0]) / (2 * step) for move in moves]
    np.testing.assert_allclose(slope, numerical, atol=1e-8)


def test_what_it_cannot_do_it_refuses() -> None:
    data = table().assign(g=np.resize(list("abcde"), N))
    model = bg.Model("count ~ x + (1 | g)", data, "poisson", priors={"x": Laplace(0, 1)})
    with pytest.raises(EngineError, match="needs normal priors"):
        model.fit(MAP(), seed=1)
