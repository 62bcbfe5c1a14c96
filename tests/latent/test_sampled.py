"""Draws of models with ties and with scales of their own are those of the ``pm.Model``, as PyMC samples it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.engines.goals import effective

ROWS, NODES = 160, 25
MOST_SIGMAS = 4.5
CASES: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "walks for each level": ("y ~ rw(t, by=h)", "poisson", {}),
    "a walk without an intercept": ("y ~ 0 + rw(t)", "poisson", {}),
    "a horseshoe": ("z ~ x0 + x1 + x2 + x3 + x4", "gaussian", {"priors": {"common": bg.priors.Horseshoe()}}),
    "shares of R2": ("z ~ x0 + x1 + x2 + x3 + x4", "gaussian", {"priors": {"common": bg.priors.R2D2()}}),
}


@cache
def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    t, h, x = np.arange(ROWS) % NODES, rng.integers(0, 2, ROWS), rng.normal(size=(ROWS, 5))
    paths = np.cumsum(rng.normal(0, 0.2, (2, NODES)), axis=1)
    paths -= paths.mean(axis=1, keepdims=True)
    z = 0.6 * x[:, 0] - 0.4 * x[:, 1] + rng.normal(size=ROWS)
    return pd.DataFrame({"y": rng.poisson(np.exp(paths[h, t])), "z": z, "t": t, "h": np.array(["a", "b"])[h],
                         **{f"x{j}": x[:, j] for j in range(5)}})


def scores(one: bg.Fit, other: bg.Fit, shift: float = 0.0) -> dict[str, float]:
    """Return for each reported variable the largest difference of means in Monte Carlo errors, one shifted by so many sds."""
    found = {}
    for name in one.specification.reported():
        draws = [each.draws["posterior"][name].values.reshape(*each.shape, -1) for each in (one, other)]
        bulk = [effective(np.ascontiguousarray(each.transpose(2, 0, 1))).bulk for each in draws]
        sd = draws[1].std(axis=(0, 1))
        gap = draws[0].mean(axis=(0, 1)) - draws[1].mean(axis=(0, 1)) + shift * sd
        found[name] = float((np.abs(gap) / sd / np.sqrt(1 / bulk[0] + 1 / bulk[1])).max())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_posterior_is_the_one_pymc_draws(name: str) -> None:
    formula, family, options = CASES[name]
    model = bg.Model(formula, table(), family, **options)
    fit = model.fit("nuts", seed=1, progress=False)
    assert fit.notes == ()
    assert int(fit.draws["sample_stats"]["diverging"].sum()) == 0
    oracle = model.fit("pymc", seed=2, progress=False, draws=1_000, target_accept=0.95)
    found = scores(fit, oracle)
    assert max(found.values()) < MOST_SIGMAS, found
    assert min(scores(fit, oracle, shift=0.3).values()) > MOST_SIGMAS


def test_approximations_do_not_apply_to_scales_of_single_coefficients() -> None:
    model = bg.Model("z ~ x0 + x1", table(), "gaussian", priors={"common": bg.priors.Horseshoe()})
    for engine in ("laplace", "advi", "fullrank_advi", "map"):
        with pytest.raises(bg.errors.EngineError, match="a scale of its own"):
            model.fit(engine, seed=1)
