"""Default priors follow the data's units: exposure, offset and response in other units give the same model."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayesglm as bg
from bayesglm.priors import known_priors


def _table(rows: int = 100) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    hours = rng.uniform(1000.0, 9000.0, rows)
    return {"y": rng.poisson(0.01 * hours), "x": rng.normal(size=rows), "hours": hours,
            "z": 3.0 * hours + rng.normal(0, 500, rows), "w": rng.gamma(3.0, size=rows)}


def test_a_log_offset_is_an_exposure() -> None:
    data = _table()
    by_offset = bg.Model("y ~ x + offset(log(hours))", data, "poisson").priors
    by_exposure = bg.Model("y ~ x", data, "poisson", exposure="hours").priors
    assert by_offset["prior"].tolist() == by_exposure["prior"].tolist()


def test_gaussian_spread_is_in_the_unit_of_the_response() -> None:
    data = _table()
    sigma = bg.Model("z ~ x", data, "gaussian", exposure="hours").problem.specification.priors.constants["sigma"]
    assert sigma.sigma == pytest.approx(np.std(data["z"]))


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_the_intercept_of_a_gamma_moves_with_the_unit(unit: float) -> None:
    data = _table()
    data["w"] = data["w"] * unit
    prior = bg.Model("w ~ x", data, "gamma").problem.specification.priors.predictors["mu"].intercept
    assert prior.mu == pytest.approx(np.log(data["w"].mean()))


def test_a_prior_over_all_coefficients_is_none_for_an_intercept() -> None:
    with pytest.raises(bg.BayesGLMError, match="for them alone") as caught:
        bg.Model("y ~ x", _table(), "poisson", priors={"Intercept": bg.priors.Horseshoe()})
    assert caught.value.column == "Intercept"


def test_a_log_link_needs_a_positive_mean() -> None:
    data = _table()
    with pytest.raises(bg.BayesGLMError, match="positive mean"):
        bg.Model("v ~ x", {**data, "v": data["x"] - 9.0}, "gaussian", links={"mu": "log"})


def _line(model: bg.Model, name: str) -> str:
    return str(model.priors.loc[name, "on"])


@pytest.mark.parametrize("option", [{}, {"dispersion": "~ x"}])
def test_the_prior_of_a_concentration_that_scales_says_where_it_stands(option: dict[str, str]) -> None:
    data = _table()
    words = {"family": "negative_binomial", "exposure": "hours", **option}
    name = "concentration_Intercept" if option else "concentration"
    at = f"at the median exposure ({np.median(data['hours']):,.10g})"
    assert at in _line(bg.Model("y ~ x", data, **words, dispersion_scaling="exposure"), name)
    assert "median exposure" not in _line(bg.Model("y ~ x", data, **words), name)


@pytest.mark.parametrize("unit", [1.0, 1e4])
def test_a_horseshoe_is_in_the_unit_of_the_response_and_per_sd(unit: float) -> None:
    data = _table()
    data["z"] = data["z"] * unit
    model = bg.Model("z ~ x + w", data, "gaussian", priors={"common": bg.priors.Horseshoe(tau=0.1, slab_scale=2.0)})
    assert "coefficients per sd of their columns" in _line(model, "x")
    assert "response's sd" in _line(model, "x")
    sd, built = np.std(data["z"]), model.pymc
    at = np.array([0.03, 0.2]) * sd
    assert pm.logp(built["beta_scaled_tau"], at).eval() == pytest.approx(stats.halfcauchy(scale=0.1 * sd).logpdf(at))
    at = np.array([1.0, 9.0]) * sd**2
    expected = stats.invgamma(2.0, scale=2.0 * (2.0 * sd) ** 2).logpdf(at)
    assert pm.logp(built["beta_scaled_slab"], at).eval() == pytest.approx(expected)


@pytest.mark.parametrize("unit", [1.0, 1e4])
def test_r2d2_is_in_the_unit_of_the_response_and_per_sd(unit: float) -> None:
    data = _table()
    data["z"], data["x"] = data["z"] * unit, data["x"] * 50.0
    model = bg.Model("z ~ x", data, "gaussian", priors={"common": bg.priors.R2D2(mean_r2=0.5, precision=2.0)})
    beta = pm.draw(model.pymc["beta"], 4000, random_seed=3)[:, 0] * np.std(data["x"]) / np.std(data["z"])
    r2 = (np.arange(2000) + 0.5) / 2000  # Beta(1, 1) is uniform
    omega = np.sqrt(r2 / (1 - r2))
    assert stats.kstest(beta, lambda at: stats.norm.cdf(np.asarray(at)[..., None] / omega).mean(-1)).pvalue > 0.01


def test_joint_priors_keep_the_users_numbers_on_other_links() -> None:
    given = bg.priors.Horseshoe(tau=0.2)
    model = bg.Model("y ~ x", _table(), "poisson", exposure="hours", priors={"common": given})
    assert model.problem.specification.priors.predictors["mu"].coef == (given,)
    assert _line(model, "x") == "coefficients per sd of their columns"


def test_names_of_priors_are_told_without_breaks_inside_r2d2() -> None:
    assert [each.kind() for each in (bg.priors.R2D2, bg.priors.LKJ, bg.priors.HalfStudentT)] == ["r2d2", "lkj", "half_student_t"]


SCALAR_PRIORS = (
    bg.priors.Normal(0.3, 2.0), bg.priors.StudentT(4.0, 0.3, 1.5), bg.priors.Laplace(0.2, 0.7), bg.priors.HalfNormal(0.7),
    bg.priors.HalfStudentT(3.0, 2.0), bg.priors.HalfCauchy(0.4), bg.priors.Exponential(1.7), bg.priors.Gamma(2.5, 1.3),
    bg.priors.Beta(1.5, 3.0), bg.priors.Uniform(-1.0, 1.0),
)


@pytest.mark.parametrize("prior", SCALAR_PRIORS, ids=str)
def test_a_prior_as_a_sum_of_elementary_functions_is_the_prior(prior: bg.priors.Prior) -> None:
    terms = prior.log_density()
    x = np.array([0.05, 0.4, 0.9])
    d = x - terms.location
    found = (terms.constant + terms.linear * x + terms.quadratic * d**2 + terms.absolute * abs(d) + terms.log * np.log(x)
             + terms.complement * np.log1p(-x) + terms.tail * np.log1p((d / terms.tail_scale) ** 2))
    with pm.Model():
        expected = pm.logp(prior.scalar("x"), x).eval()
    # PyMC rounds the constant of half-t densities in the ninth digit.
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_every_prior_of_one_parameter_is_a_sum_of_elementary_functions() -> None:
    single = {each for each in known_priors().values() if not each.joint and each.support != "correlation_matrix"}
    assert single == {type(each) for each in SCALAR_PRIORS}
