"""Sparse coefficients: what a fit under a Laplace prior says of zeros, and what a horseshoe takes for signals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.describe import describe_fit
from bayesglm.priors import Horseshoe, Laplace, Normal, Prior
from bayesglm.report.section import Material
from bayesglm.report.sections.caveats import MEMBER as CAVEATS
from tests.fits_by_hand import counts, made


@pytest.mark.parametrize(("prior", "told"), [(Laplace(0, 1), True), (Normal(0, 1), False)])
def test_summaries_and_reports_say_that_means_under_a_laplace_prior_are_not_0(prior: Prior, told: bool) -> None:
    model = bg.Model("y ~ x + t", counts(60), "poisson", priors={"common": prior})
    fit = made(model, {"Intercept": 1.5, "beta": [0.3, 0.0]})
    for text in (describe_fit(fit), str(CAVEATS.content(Material(fit, (), 0)))):
        assert text.count("means under a Laplace prior are never exactly 0") == told


@pytest.mark.slow
def test_a_horseshoe_finds_five_signals_among_fifty_coefficients() -> None:
    """Of what is 0 fewer than a tenth have a 90% interval without 0: fewer than by least squares, where a tenth do."""
    signal, found, plain = np.arange(50) < 5, np.zeros(50), np.zeros(50)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(200, 50))
        y = 1.0 + x @ np.where(signal, 0.6, 0.0) + rng.normal(size=200)
        names = [f"x{j:02d}" for j in range(50)]
        fit = bg.Model(f"y ~ {' + '.join(names)}", pd.DataFrame(x, columns=names).assign(y=y), "gaussian",
                       priors={"common": Horseshoe()}).fit(seed=seed, progress=False)
        low, high = np.quantile(fit.stacked("beta"), [0.05, 0.95], axis=0)
        found += (low > 0) | (high < 0)
        design = np.column_stack([x, np.ones(200)])
        solved, residual = np.linalg.lstsq(design, y)[:2]
        error = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * residual[0] / (200 - 51))
        plain += np.abs(solved / error)[:50] > 1.655
    assert (found[signal] == 3).all()
    assert found[~signal].sum() / (3 * 45) < 0.1
    assert found[~signal].sum() < plain[~signal].sum()
