"""Hyperparameters on the real line: their densities against SciPy's, Jacobians and gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayesglm import priors as p
from bayesglm.latent.hyper import INTERVAL, LOGARITHM, SIGNED, bends, evaluate, hyper_of, log_density, thetas

# prior, whether it is a scale's, the way to the real line, SciPy's density of theta
CASES = {
    "half-normal scale": (p.HalfNormal(0.5), True, SIGNED, stats.halfnorm(scale=0.5)),
    "half-t scale": (p.HalfStudentT(3, 0.7), True, SIGNED, None),
    "half-Cauchy scale": (p.HalfCauchy(0.4), True, SIGNED, stats.halfcauchy(scale=0.4)),
    "exponential scale": (p.Exponential(2), True, SIGNED, stats.expon(scale=0.5)),
    "gamma scale": (p.Gamma(2, 3), True, LOGARITHM, stats.gamma(2, scale=1 / 3)),
    "exponential": (p.Exponential(2), False, LOGARITHM, stats.expon(scale=0.5)),
    "half-normal": (p.HalfNormal(0.5), False, LOGARITHM, stats.halfnorm(scale=0.5)),
    "gamma": (p.Gamma(2, 0.1), False, LOGARITHM, stats.gamma(2, scale=10)),
    "beta": (p.Beta(2, 3), False, INTERVAL, stats.beta(2, 3)),
    "uniform": (p.Uniform(-1, 1), False, INTERVAL, stats.uniform(-1, 2)),
    "uniform on a part": (p.Uniform(-0.2, 0.9), False, INTERVAL, stats.uniform(-0.2, 1.1)),
}
POINTS = (-2.3, -0.4, 0.3, 1.7)


def half_t(x: float) -> float:
    return float(np.log(2) + stats.t(3, scale=0.7).logpdf(x))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("t", POINTS)
def test_the_density_is_scipys_with_its_jacobian(name, t):
    prior, scale, way, known = CASES[name]
    hyper = hyper_of([(prior, scale)])
    theta, speed, value, _ = evaluate(np.array([t]), hyper)
    assert hyper.way.tolist() == [way]
    reported = abs(theta[0])
    expected = half_t(reported) if known is None else known.logpdf(reported)
    assert value == pytest.approx(expected + (-np.log(2) if way == SIGNED else np.log(speed[0])), rel=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("t", POINTS)
def test_speed_and_gradient_are_differences(name, t):
    prior, scale, _, _ = CASES[name]
    hyper, step = hyper_of([(prior, scale)]), 1e-6
    _, speed, _, gradient = evaluate(np.array([t]), hyper)
    (ahead, _, up, _), (behind, _, down, _) = (evaluate(np.array([t + sign * step]), hyper) for sign in (1, -1))
    assert speed[0] == pytest.approx((ahead[0] - behind[0]) / (2 * step), rel=1e-7)
    assert gradient[0] == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-8)


def test_a_scale_is_as_probable_on_both_sides_of_zero():
    hyper = hyper_of([(p.HalfStudentT(3, 0.7), True), (p.Exponential(2), True)])
    ahead, behind = (evaluate(sign * np.array([0.4, 1.2]), hyper) for sign in (1, -1))
    assert ahead[2] == behind[2]
    assert (ahead[3] == -behind[3]).all()
    assert (ahead[0] == -behind[0]).all()


def test_all_are_added_and_each_has_its_own_gradient():
    chosen = [CASES[name][:2] for name in CASES]
    t = np.linspace(-1, 1, len(chosen)) + 0.05
    alone = [evaluate(t[[k]], hyper_of([each])) for k, each in enumerate(chosen)]
    theta, speed, value, gradient = evaluate(t, hyper_of(chosen))
    assert value == pytest.approx(sum(each[2] for each in alone), rel=1e-12)
    for place, found in ((0, theta), (1, speed), (3, gradient)):
        np.testing.assert_array_equal(found, [each[place][0] for each in alone])


def test_theta_at_many_t_is_theta_at_each():
    hyper = hyper_of([CASES[name][:2] for name in CASES])
    t = np.random.default_rng(0).normal(size=(5, hyper.size))
    np.testing.assert_array_equal(thetas(t, hyper), [evaluate(each, hyper)[0] for each in t])


def test_tails_of_an_interval_keep_their_digits():
    hyper = hyper_of([(p.Beta(2, 3), False)])
    _, _, value, gradient = evaluate(np.array([-600.0]), hyper)
    assert np.isfinite(value)
    assert gradient[0] == pytest.approx(2.0)


@pytest.mark.parametrize(("prior", "known"), [
    (p.Normal(1, 2), stats.norm(1, 2)), (p.StudentT(4, -1, 0.5), stats.t(4, -1, 0.5)), (p.Laplace(0.5, 2), stats.laplace(0.5, 2)),
    (p.Gamma(2, 3), stats.gamma(2, scale=1 / 3)), (p.Beta(2, 3), stats.beta(2, 3)),
])
def test_a_density_of_elementary_functions_is_scipys(prior, known):
    terms, x, step = np.array(prior.log_density()), 0.37, 1e-6
    value, slope = log_density(x, terms)
    assert value == pytest.approx(known.logpdf(x), rel=1e-12)
    if prior.support == "real":
        bend = (log_density(x + step, terms)[1] - log_density(x - step, terms)[1]) / (2 * step)
        assert bends(np.array([x]), terms[None])[0] == pytest.approx(bend, rel=1e-7, abs=1e-9)
    assert slope == pytest.approx((log_density(x + step, terms)[0] - log_density(x - step, terms)[0]) / (2 * step), rel=1e-7)


def test_the_unit_of_a_scale_changes_its_coordinate_and_not_its_prior():
    prior = (p.HalfStudentT(3, 0.7), True)
    plain, other = hyper_of([prior]), hyper_of([prior], units=[4.0])
    theta, speed, value, gradient = evaluate(np.array([-0.3]), other)
    assert theta == pytest.approx([-1.2])
    assert speed == pytest.approx([4.0])
    _, _, known, slope = evaluate(np.array([-1.2]), plain)
    assert value == pytest.approx(known + np.log(4.0))
    assert gradient == pytest.approx(4.0 * slope)
