"""A run that is stopped leaves the draws it has, and says so."""

from __future__ import annotations

import numpy as np
import nutpie
import pytest

import bayesglm as bg
from bayesglm.engines.nuts import finished


def test_a_chain_that_had_hardly_begun_is_left_out() -> None:
    flat = np.arange(30.0).reshape(3, 10, 1)
    flat[1, 2:], flat[2, 7:] = np.nan, np.nan
    kept, stats = finished(flat, {"lp": flat[..., 0]})
    assert kept.shape == (2, 7, 1)
    assert np.isfinite(kept).all()
    np.testing.assert_array_equal(stats["lp"], flat[[0, 2], :7, 0])


def test_a_run_without_draws_is_an_error() -> None:
    with pytest.raises(bg.BayesGLMError, match="before the first draw"):
        finished(np.full((2, 5, 1), np.nan), {})


def test_a_stopped_fit_is_a_value_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nutpie gives after an interrupt: all the draws asked for, those that were not reached filled with NaN."""
    sample = nutpie.sample

    def stopped(*given, draws, **options):
        trace = sample(*given, draws=40, **options)
        fill = {"posterior": np.nan, "sample_stats": 0}
        return {name: trace[name].to_dataset().reindex(draw=np.arange(draws), fill_value=fill[name]) for name in fill}

    monkeypatch.setattr(nutpie, "sample", stopped)
    rng = np.random.default_rng(0)
    model = bg.Model("y ~ x", {"y": rng.poisson(5, 300), "x": rng.normal(size=300)}, "poisson")
    fit = model.fit(seed=1, draws=1_000, tune=100, chains=2, progress=False)
    assert not fit.complete
    assert fit.shape == (2, 40)
    assert "stopped early" in fit.notes[0]
    assert np.isfinite(fit.draws["posterior"]["beta"]).all()
    assert "stopped" in fit.check()["convergence"].finding
