"""A run that is stopped leaves the draws it has, and says so."""

from __future__ import annotations

import os
import signal
import threading

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
    sample = nutpie.sample

    def stopped(*given, **options):
        threading.Timer(2.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        return sample(*given, **options)

    monkeypatch.setattr(nutpie, "sample", stopped)
    rng = np.random.default_rng(0)
    model = bg.Model("y ~ x", {"y": rng.poisson(5, 3000), "x": rng.normal(size=3000)}, "poisson")
    fit = model.fit(seed=1, draws=1_000_000, tune=200, chains=2, progress=False)
    assert not fit.complete
    assert "stopped early" in fit.notes[0]
    assert np.isfinite(fit.draws["posterior"]["beta"]).all()
    assert "stopped" in fit.check()["convergence"].finding
