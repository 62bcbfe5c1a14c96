"""Whether a posterior has one mode or several, and which is the best."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.latent.hyper import SIGNED
from bayesglm.latent.layout import field_of
from bayesglm.latent.likelihood import compile_likelihood
from bayesglm.latent.marginal import optimise
from bayesglm.latent.mode import Posterior
from bayesglm.latent.search import Found, search, upright
from tests.latent.fields import optimum_of, posterior_of, somewhere


@pytest.mark.parametrize("name", ["correlated slopes", "two crossed groups", "a walk", "curves", "a constant parameter"])
def test_ordinary_data_have_one_mode(name):
    found = search(posterior_of(name), seed=1)
    assert found.modes == 1
    assert found.best.distance < 0.01
    assert found.best.marginal.value == pytest.approx(optimum_of(name).marginal.value, abs=1e-3)


def in_conflict(prior: bg.priors.Prior) -> Posterior:
    """A slope of 5 with a noise of 1, and a prior that knows it to be near 0."""
    x = np.array([-1.5, -1, -0.5, 0, 0, 0.5, 1, 1.5])
    noise = np.array([0.9, -1.2, 0.4, 1.1, -0.8, -1.0, 1.3, -0.6])
    model = bg.Model("y ~ x", {"y": 5 * x + noise, "x": x}, "gaussian", priors={
        "Intercept": bg.priors.Normal(0, 2), "x": prior, "sigma": bg.priors.HalfNormal(5)})
    return Posterior(field_of(model.problem), compile_likelihood(model.problem))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_both_modes_are_found_where_a_prior_with_long_tails_and_the_data_disagree(seed):
    """A noise of 1 with the slope of the data, or one of 5 with the slope of the prior, which is more probable by half a nat."""
    posterior = in_conflict(bg.priors.StudentT(1, 0, 0.02))
    slope = [each.coefficient for each in posterior.field.core].index(0)
    found = search(posterior, seed)
    assert found.modes == 2
    start = np.zeros(2)
    start[slope] = 5 / posterior.field.core[slope].sd
    at_data = optimise(posterior, np.zeros(1), (np.zeros(0), start))
    at_prior = optimise(posterior, np.log([5.0]), (np.zeros(0), np.zeros(2)))
    assert at_data.marginal.point.v[slope] * posterior.field.core[slope].sd > 4
    assert 0.3 < at_prior.marginal.value - at_data.marginal.value < 1
    assert found.best.marginal.value == pytest.approx(at_prior.marginal.value, abs=1e-3)


def test_a_normal_prior_in_the_same_place_leaves_one_mode():
    assert search(in_conflict(bg.priors.Normal(0, 0.02)), seed=3).modes == 1


SIDE = np.array([4.9, 5.0, 5.1, 5.2, 5.3])


def searched(y: np.ndarray, seed: int) -> int:
    """Return how many modes the location of a sharp Student-t has."""
    priors = {"Intercept": bg.priors.Normal(0, 10), "sigma": bg.priors.HalfNormal(0.5), "nu": bg.priors.Gamma(2, 2)}
    problem = bg.Model("y ~ 1", pd.DataFrame({"y": y}), "student_t", priors=priors).problem
    return search(Posterior(field_of(problem), compile_likelihood(problem)), seed).modes


@pytest.mark.parametrize("seed", [1, 3, 5])
def test_two_clusters_are_two_modes_wherever_the_first_start_ends(seed):
    assert searched(3.0 + np.concatenate([SIDE, -SIDE]), seed) == 2


def test_one_cluster_is_one_mode():
    assert searched(3.0 + np.concatenate([SIDE, SIDE + 0.05]), seed=1) == 1


@pytest.mark.parametrize("name", ["correlated slopes", "curves"])
def test_images_of_a_point_are_one_upright_point(name):
    posterior = posterior_of(name)
    field = posterior.field
    t, w, v = somewhere(posterior, seed=4)
    t = np.abs(t)
    turned_t, turned_w, turned_v = t.copy(), w.copy(), v.copy()
    placed = field.placed[-1]
    turned_t[placed.sd[0]] *= -1
    if placed.partial.size:  # the first of three effects
        turned_t[placed.partial[:2]] *= -1
        turned_w[placed.sparse[:, 0]] *= -1
    else:
        turned_v[placed.core] *= -1
    assert posterior.log_joint(turned_t, turned_w, turned_v) == pytest.approx(posterior.log_joint(t, w, v), rel=1e-12)
    for found, expected in zip(upright(field, turned_t, turned_v), (t, v), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_logarithm_of_a_scale_has_no_sign():
    """Scales with a gamma prior are positive: small ones turn no correlation."""
    frame = {"y": [1, 2, 3, 1, 0, 2], "x": [0.1, 0.5, -1, 0.3, 2, 1], "g": list("aabbcc")}
    model = bg.Model("y ~ x + (1 + x | g)", frame, "poisson", priors={"sd": bg.priors.Gamma(2, 2)})
    field = field_of(model.problem)
    t, v = np.array([-0.5, 0.4, 0.8]), np.zeros(2)
    np.testing.assert_array_equal(upright(field, t, v)[0], t)


def test_a_prior_with_a_kink_counts_as_the_normal_one():
    """While the search climbs: Newton's method goes back and forth across kinks."""
    rng = np.random.default_rng(3)
    table = {"y": rng.poisson(2.0, 200), **{f"x{j}": rng.normal(size=200) for j in range(12)},
             "g": [f"g{i % 10}" for i in range(200)]}

    def found(prior: bg.priors.Prior) -> Found:
        formula = "y ~ " + " + ".join(f"x{j}" for j in range(12)) + " + (1 | g)"
        problem = bg.Model(formula, table, "poisson", priors={"common": prior}).problem
        return search(Posterior(field_of(problem), compile_likelihood(problem)), 1)

    kinked, normal = found(bg.priors.Laplace(0, 0.1)), found(bg.priors.Normal(0, 0.1 * np.sqrt(2)))
    assert kinked.modes == normal.modes == 1
    np.testing.assert_allclose(kinked.best.marginal.point.v, normal.best.marginal.point.v, atol=1e-6)
    assert kinked.best.marginal.value == pytest.approx(normal.best.marginal.value, rel=1e-9)


def grouped(response: float, column: float) -> Posterior:
    """Groups with slopes, in any units of the response and of the column."""
    rng = np.random.default_rng(0)
    group, x = np.repeat(np.arange(12), 20), rng.normal(size=240)
    y = 5 + rng.normal(size=12)[group] + 0.5 * rng.normal(size=12)[group] * x + rng.normal(size=240)
    table = {"y": response * y, "x": column * x, "g": [f"g{i}" for i in group]}
    problem = bg.Model("y ~ x + (1 + x | g)", table, "gaussian").problem
    return Posterior(field_of(problem), compile_likelihood(problem))


@pytest.mark.parametrize(("response", "column"), [(1e6, 1.0), (1e-3, 1.0), (1.0, 1e4), (1.0, 1e-3)])
def test_a_search_does_not_depend_on_units(response, column):
    plain, other = (search(grouped(*units), 1) for units in ((1.0, 1.0), (response, column)))
    assert plain.modes == other.modes == 1
    scales = grouped(1.0, 1.0).field.hyper.way == SIGNED
    t, moved = plain.best.marginal.point.t[scales], other.best.marginal.point.t[scales]
    np.testing.assert_allclose(np.abs(moved), np.abs(t), rtol=0.01)
    sd, moved_sd = (np.sqrt(np.diag(each.best.covariance))[scales] for each in (plain, other))
    np.testing.assert_allclose(moved_sd, sd, rtol=0.02)
