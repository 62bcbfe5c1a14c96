"""The Laplace marginal: its gradient is that of its values, for every kind of term and likelihood, and its optimum is one."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.latent.density import Transported, reference_at
from bayesglm.latent.layout import field_of
from bayesglm.latent.levels import Integrated, levels_of, rule_of
from bayesglm.latent.likelihood import compile_likelihood
from bayesglm.latent.marginal import TOLERANCE, centre, marginal, optimise
from bayesglm.latent.mode import Posterior
from bayesglm.latent.search import search

ROWS = 120


@cache
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g, h = rng.integers(0, 7, ROWS), rng.integers(0, 4, ROWS)
    x, time = rng.normal(size=ROWS).round(1), np.arange(ROWS) % 30
    eta = 0.6 + 0.3 * x + 0.5 * rng.normal(size=7)[g] + 0.3 * rng.normal(size=7)[g] * x + 0.3 * np.sin(time / 5)
    return pd.DataFrame({
        "y": rng.poisson(np.exp(eta) * (rng.uniform(size=ROWS) > 0.2)), "x": x, "g": np.array(list("abcdefg"))[g],
        "h": np.array(list("uvwz"))[h], "t": time, "hour": rng.integers(0, 24, ROWS), "e": rng.choice([1.0, 2.0], ROWS),
        "event": (rng.uniform(size=ROWS) < 1 / (1 + np.exp(-eta))).astype(int), "real": eta + 0.5 * rng.normal(size=ROWS),
    })


CASES = {
    "crossed groups": ("y ~ x + (1 | g) + (1 | h)", "poisson", {}),
    "correlated slopes": ("y ~ x + (1 + x | g)", "negative_binomial", {"exposure": "e"}),
    "walk": ("y ~ x + rw(t)", "poisson", {}),
    "second-order walk and group": ("y ~ x + rw(t, order=2) + (1 | g)", "negative_binomial", {}),
    "autoregression": ("y ~ x + ar(t)", "poisson", {}),
    "spline and season": ("event ~ s(x) + season(hour, period=24) + (1 | g)", "bernoulli", {}),
    "two zero-inflated predictors": ("y ~ x + (1 | g)", "zero_inflated_poisson", {"zero": "~ x + (1 | g)"}),
    "dispersion formula": ("y ~ x + (1 | g)", "negative_binomial", {"dispersion": "~ x + (1 | h)"}),
    "gaussian": ("real ~ x + (x || g)", "gaussian", {}),
}
QUICK = ("crossed groups", "walk")


def marked(names: object) -> list[object]:
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in names]


@cache
def posterior_of(name: str) -> Posterior:
    formula, family, options = CASES[name]
    problem = bg.Model(formula, table(), family, **options).problem
    return Posterior(field_of(problem), compile_likelihood(problem))


@pytest.mark.parametrize("name", marked(CASES))
def test_the_gradient_is_that_of_the_values(name: str) -> None:
    posterior = posterior_of(name)
    _, wide, size = posterior.field.sizes
    at = centre(posterior.field) + 0.1
    here = marginal(posterior, at, (np.zeros(size), np.zeros(wide)))
    start = (here.point.w, here.point.v)
    step, numerical = 1e-4, []
    for k in range(len(at)):
        move = step * np.eye(len(at))[k]
        values = [marginal(posterior, at + sign * move, start).value for sign in (1, -1)]
        numerical.append((values[0] - values[1]) / (2 * step))
    assert here.definite
    np.testing.assert_allclose(here.gradient, numerical, rtol=2e-4, atol=2e-4 * max(1.0, np.abs(here.gradient).max()))


@pytest.mark.parametrize("name", marked(CASES))
def test_the_optimum_is_one_in_units_of_the_posterior(name: str) -> None:
    posterior = posterior_of(name)
    found = optimise(posterior, centre(posterior.field))
    point = found.marginal.point
    again = marginal(posterior, point.t, (np.zeros_like(point.w), np.zeros_like(point.v)))
    assert np.sqrt(again.gradient @ found.covariance @ again.gradient) < TOLERANCE
    assert again.value == pytest.approx(found.marginal.value, abs=1e-4)
    away = marginal(posterior, point.t + 0.5 * np.sqrt(np.diag(found.covariance)), (point.w, point.v))
    assert np.sqrt(away.gradient @ found.covariance @ away.gradient) > 10 * TOLERANCE


@cache
def grouped(formula: str, family: str) -> Integrated:
    problem = bg.Model(formula, table(), family).problem
    best = search(Posterior(field_of(problem), compile_likelihood(problem)), 1).best
    transported = Transported(best.marginal.point.posterior, reference_at(best))
    levels = levels_of(transported.posterior.field)
    assert levels is not None
    return Integrated(transported, levels, rule_of(levels.widest))


@pytest.mark.parametrize(("formula", "family"), [
    ("y ~ x + (1 | g)", "poisson"), pytest.param("y ~ x + (1 + x | g)", "negative_binomial", marks=pytest.mark.slow)])
def test_levels_are_integrated_out_of_the_joint_density(formula: str, family: str) -> None:
    integrated = grouped(formula, family)
    transported, rng = integrated.transported, np.random.default_rng(0)
    theta, wide, size = transported.posterior.field.sizes
    tau, y, draws = 0.5 * rng.standard_normal(theta), 0.5 * rng.standard_normal(wide), 4_000
    z = rng.standard_normal((draws, size))
    log_ratio = np.array([transported(np.concatenate([tau, each, y]))[0] for each in z])
    log_ratio += 0.5 * (z**2).sum(axis=1) + 0.5 * size * np.log(2 * np.pi)
    highest = log_ratio.max()
    ratio = np.exp(log_ratio - highest)
    error = ratio.std() / ratio.mean() / np.sqrt(draws)
    found = integrated.log_density(tau, y)
    assert abs(found - highest - np.log(ratio.mean())) < 4 * error
    assert error < 0.05
    finer = Integrated(transported, integrated.levels, rule_of(integrated.levels.widest, 15)).log_density(tau, y)
    assert found == pytest.approx(finer, abs=1e-3)
    coarse = Integrated(transported, integrated.levels, rule_of(integrated.levels.widest, 2)).log_density(tau, y)
    assert coarse != pytest.approx(
        finer, abs=1e-3)


def test_levels_that_depend_on_each_other_are_not_integrated_one_by_one() -> None:
    for formula in ("y ~ x + rw(t)", "y ~ x + ar(t)", "y ~ x + (1 | g) + (1 | h)", "y ~ x + (1 + x + t | g)", "y ~ x"):
        assert levels_of(field_of(bg.Model(formula, table(), "poisson").problem)) is None, formula
    both = levels_of(posterior_of("two zero-inflated predictors").field)
    assert both is not None
    assert (both.count, both.widest) == (7, 2)
