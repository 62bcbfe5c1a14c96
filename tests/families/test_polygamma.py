"""The compiled polygamma functions give SciPy's numbers, without Python objects, and are kept on disk."""

from __future__ import annotations

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import special

from bayesglm.families import polygamma

ORDERS = (0, 1, 2, 3, 4)
POSITIVE = np.concatenate([10.0 ** np.random.default_rng(1).uniform(-6, 8, 20_000), np.arange(1, 80) / 2])


@pytest.fixture(scope="module")
def compiled():
    # Warnings are errors here, so a fall back to Python objects fails.
    x = pt.dvector("x")
    return pytensor.function([x], [*(pt.polygamma(n, x) for n in ORDERS), pt.tri_gamma(x)], mode="NUMBA")


@pytest.mark.parametrize("order", ORDERS)
def test_positive_arguments(compiled, order):
    expected = special.polygamma(order, POSITIVE)
    # The digamma function crosses zero at 1.46, so its error is measured against 1 there.
    np.testing.assert_allclose(compiled(POSITIVE)[order], expected, rtol=1e-13, atol=1e-13 if order == 0 else 0.0)


def test_trigamma_is_the_first_order(compiled):
    np.testing.assert_allclose(compiled(POSITIVE)[-1], special.polygamma(1, POSITIVE), rtol=1e-13)


def test_arguments_at_and_below_zero(compiled):
    x = np.array([-3.7, -0.5, 0.0, -1.0, np.nan, np.inf])
    values = compiled(x)
    np.testing.assert_allclose(values[0], special.psi(x), rtol=1e-12)
    np.testing.assert_allclose(values[1], special.polygamma(1, x), rtol=1e-12)


def test_third_derivatives_of_a_gamma_function_compile():
    x = pt.dscalar("x")
    third = pytensor.grad(pytensor.grad(pytensor.grad(pt.gammaln(x), x), x), x)
    assert pytensor.function([x], third, mode="NUMBA")(2.5) == pytest.approx(special.polygamma(2, 2.5), rel=1e-13)


def test_the_key_names_the_kernels_version(monkeypatch):
    before = polygamma._key(pt.tri_gamma)
    monkeypatch.setattr(polygamma, "VERSION", polygamma.VERSION + 1)
    assert polygamma._key(pt.tri_gamma) != before
