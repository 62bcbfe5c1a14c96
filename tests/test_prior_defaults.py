"""Default priors follow the data's units: exposure, offset and response in other units give the same model."""

from __future__ import annotations

import numpy as np
import pytest

import bayesglm as bg


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
