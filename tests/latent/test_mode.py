"""The most probable field: its gradient is 0, and it is where SciPy finds it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

import bayesglm as bg
from bayesglm.latent.layout import field_of
from bayesglm.latent.likelihood import compile_likelihood
from bayesglm.latent.mode import Posterior, find_mode, without_negative
from tests.latent.fields import FIELDS, posterior_of, somewhere, table


@pytest.mark.parametrize("name", FIELDS)
def test_the_gradient_is_zero_at_the_mode(name):
    posterior = posterior_of(name)
    t, w, v = somewhere(posterior)
    point = find_mode(posterior, t, (w, v))
    g_w, g_v = point.gradient
    precision = point.precision(point.positive_weight)
    s_w, s_v = precision.solve(g_w, g_v)
    # In units of the posterior sd of the field.
    assert np.sqrt(g_w @ s_w + g_v @ s_v) < 1e-3
    assert point.log_joint > posterior.log_joint(t, w, v)


@pytest.mark.parametrize("name", ["correlated slopes", "a walk of order 2", "two predictors that are coupled"])
def test_the_gradient_of_the_joint_density_is_a_difference(name):
    posterior = posterior_of(name)
    t, w, v = somewhere(posterior, seed=1)
    point = find_mode(posterior, t, (w, v))
    moved_w, moved_v = point.w + 0.1, point.v - 0.2
    at = type(point)(posterior, t, moved_w, moved_v)
    rng, step = np.random.default_rng(2), 1e-5
    x, y = rng.normal(size=len(w)), rng.normal(size=len(v))
    ahead, behind = (posterior.log_joint(t, moved_w + sign * step * x, moved_v + sign * step * y) for sign in (1, -1))
    assert at.gradient[0] @ x + at.gradient[1] @ y == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)


def test_the_mode_is_scipys():
    """Poisson counts with one grouping factor, their log density written out by hand."""
    frame = table()
    model = bg.Model("y ~ x + (1 | g)", frame, "poisson", priors={
        "Intercept": bg.priors.Normal(0.3, 1.5), "x": bg.priors.Normal(0.1, 0.8), "sd": bg.priors.HalfNormal(1)})
    posterior = Posterior(field_of(model.problem), compile_likelihood(model.problem))
    sd = 0.6
    point = find_mode(posterior, np.array([sd]), (np.zeros(5), np.zeros(2)))
    x, g = frame["x"].to_numpy(), np.unique(frame["g"], return_inverse=True)[1]

    def eta(p):
        return p[0] + p[1] * (x - x.mean()) + sd * p[2 + g]

    def minus_log_density(p):
        prior = stats.norm(0.3, 1.5).logpdf(p[0]) + stats.norm(0.1, 0.8).logpdf(p[1]) + stats.norm.logpdf(p[2:]).sum()
        return -prior - stats.poisson(np.exp(eta(p))).logpmf(frame["y"]).sum()

    best = optimize.minimize(minus_log_density, np.zeros(7), method="BFGS", options={"gtol": 1e-6}).x
    found = posterior.eta(point.theta, point.w, point.v)[0][model.problem.patterns.index]
    np.testing.assert_allclose(found, eta(best), atol=2e-4)


def test_the_nearest_positive_matrix_drops_negative_directions():
    given = np.array([[2.0, 1.0, -1.0], [1.0, -3.0, 0.5]])
    weight = np.array([[given[0], [0.5, 1.0, 0.0]], [[0.5, 1.0, 0.0], given[1]]])
    found = np.moveaxis(without_negative(weight), -1, 0)
    for block, nearest in zip(np.moveaxis(weight, -1, 0), found, strict=True):
        values, vectors = np.linalg.eigh(block)
        np.testing.assert_allclose(nearest, vectors @ np.diag(np.maximum(values, 0)) @ vectors.T, atol=1e-12)
    assert without_negative(np.array([[[1.0, -2.0]]])).tolist() == [[[1.0, 0.0]]]
