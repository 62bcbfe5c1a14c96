"""Under priors that say next to nothing NUTS finds what is known without it: least squares, and the Poisson limit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.priors import Gamma, HalfNormal, Normal

FLAT = Normal(0.0, 1e4)


@pytest.mark.slow
def test_a_gaussian_line_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    design = np.column_stack([np.ones(120), rng.normal(size=(120, 2)), rng.integers(0, 2, 120)])
    y = design @ np.array([2.0, 0.5, -0.3, 1.0]) + rng.normal(0, 1.5, 120)
    data = pd.DataFrame(design[:, 1:], columns=["a", "b", "c"]).assign(y=y)
    fit = bg.Model("y ~ a + b + c", data, "gaussian", priors={"Intercept": FLAT, "common": FLAT, "sigma": HalfNormal(1e4)}).fit(
        draws=5_000, seed=1, progress=False)
    found = np.column_stack([fit.stacked("Intercept"), fit.stacked("beta")])
    solved, residual = np.linalg.lstsq(design, y)[:2]
    error = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * residual[0] / (120 - 4))
    assert np.abs((found.mean(axis=0) - solved) / error).max() < 0.05
    np.testing.assert_allclose(found.std(axis=0), error, rtol=0.05)
    # Least squares of the first half of the rows is another line.
    assert np.abs((np.linalg.lstsq(design[:60], y[:60])[0] - solved) / error).max() > 0.05


@pytest.mark.slow
def test_a_negative_binomial_with_a_large_concentration_predicts_as_a_poisson() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=300)
    data = pd.DataFrame({"y": rng.poisson(np.exp(2.0 + 0.5 * x)), "x": x})
    new, flat = pd.DataFrame({"x": [-1.0, 0.0, 1.0, 2.0]}), {"Intercept": FLAT, "x": FLAT}

    def numbers(family: str, **priors: Gamma) -> tuple[np.ndarray, np.ndarray]:
        """Return means of the coefficients, and mean and sd of predicted counts."""
        fit = bg.Model("y ~ x", data, family, priors={**flat, **priors}).fit(draws=10_000, seed=1, progress=False)
        drawn = fit.predict(new, seed=1).draws["predicted"].to_numpy().reshape(-1, 4)
        return (np.array([fit.stacked("Intercept").mean(), fit.stacked("beta").mean()]),
                np.concatenate([drawn.mean(axis=0), drawn.std(axis=0)]))

    poisson = numbers("poisson")
    for k, near in ((1e4, True), (4.0, False)):
        other = numbers("negative_binomial", concentration=Gamma(1e3, 1e3 / k))  # known within 3 %
        off = [np.abs(mine / theirs - 1).max() for mine, theirs in zip(other, poisson, strict=True)]
        assert (max(off) < 0.02) == near, (k, off)
