"""NUTS on JAX: the reference posteriors, what the fit says, and what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import bayesglm as bg
from bayesglm.errors import EngineError
from tests.engines.targets import poisson_line
from tests.reference.cases import names, read_case
from tests.reference.comparison import compare, disagreements, draws_to_precision

SHORT = {"draws": 20, "tune": 30, "chains": 2, "seed": 1, "progress": False}


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_posterior_is_that_of_stan(name):
    pytest.importorskip("jax")
    case = read_case(name)
    # With the seed of the test of nuts, the draws were the same but for rounding.
    draws = draws_to_precision(case.model, case.posterior.index, seed=2, engine=bg.engines.JAX())
    off = disagreements(compare(case.posterior, draws))
    assert off.empty, f"\n{off.round(3).to_string()}"


def test_the_fit_names_the_device_and_tells_how_it_was_made():
    jax = pytest.importorskip("jax")
    model = poisson_line().model
    fit = model.fit("jax", **SHORT)
    assert (fit.engine, fit.exact, fit.complete, fit.shape) == ("jax", True, True, (2, 20))
    assert f"JAX on {jax.devices()[0].platform}" in fit.notes[0]
    assert set(fit.seconds) == {"compile", "mode", "sample"}
    nuts = model.fit("nuts", **SHORT)
    # The same coordinates, starts and seeds: draws differ by what rounding makes of them.
    np.testing.assert_allclose(fit.draws["posterior"]["beta"][:, 0], nuts.draws["posterior"]["beta"][:, 0], rtol=1e-4)


def test_without_jax_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(EngineError, match="jax is not installed") as caught:
        poisson_line().model.fit("jax", seed=1)
    assert 'pip install "bayesglm[jax]"' in caught.value.fix
