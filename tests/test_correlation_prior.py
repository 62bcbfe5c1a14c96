"""The LKJ prior that the model writes is LKJ: its marginals, its density against PyMC's, and no funnel where a scale is small."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from pytensor.compile.mode import Mode
from scipy import stats

from bayesglm.priors import LKJ

PYTHON = Mode(linker="py", optimizer="fast_compile")
DRAWS = 4_000


def correlations(eta: float, size: int) -> np.ndarray:
    with pm.Model():
        factor = LKJ(eta).factor("partial", size)
    return pm.draw(factor @ factor.T, DRAWS, random_seed=1, mode=PYTHON)


@pytest.mark.parametrize(("eta", "size"), [(1.0, 2), (2.0, 3), (0.7, 4)])
def test_marginals_are_those_of_lkj(eta: float, size: int) -> None:
    found = correlations(eta, size)
    np.testing.assert_allclose(np.diagonal(found, axis1=1, axis2=2), 1.0, rtol=1e-12)
    shape = eta + (size - 2) / 2
    p = [stats.kstest(found[:, i, j], stats.beta(shape, shape, -1, 2).cdf).pvalue for i in range(size) for j in range(i)]
    wrong = [stats.kstest(found[:, i, j], stats.beta(shape + 1.5, shape + 1.5, -1, 2).cdf).pvalue
             for i in range(size) for j in range(i)]
    assert min(p) > 1e-4 / len(p)
    assert max(wrong) < 1e-4


@pytest.mark.parametrize("eta", [1.0, 3.5])
def test_the_determinant_is_that_of_lkj(eta: float) -> None:
    """E[log |R|] from the derivative of the normalising constant, which holds the joint law and not only its marginals."""
    size = 3
    with pm.Model():
        factor = LKJ(eta).factor("partial", size)
    log_det = 2 * np.log(np.diagonal(pm.draw(factor, DRAWS, random_seed=2, mode=PYTHON), axis1=1, axis2=2)).sum(axis=1)
    step = 1e-5
    expected = (log_constant(eta + step, size) - log_constant(eta - step, size)) / (2 * step)
    assert log_det.mean() == pytest.approx(expected, abs=5 * log_det.std() / np.sqrt(DRAWS))
    off = (log_constant(eta + 1.0 + step, size) - log_constant(eta + 1.0 - step, size)) / (2 * step)
    assert abs(log_det.mean() - off) > 10 * log_det.std() / np.sqrt(DRAWS)


def log_constant(eta: float, size: int) -> float:
    """Log of the integral of |R|^(eta - 1) over correlation matrices: equation (16) of Lewandowski, Kurowicka and Joe (2009)."""
    from scipy.special import betaln

    return sum((2 * eta - 2 + size - k) * (size - k) * np.log(2) + (size - k) * betaln(eta + (size - k - 1) / 2,
                                                                                     eta + (size - k - 1) / 2)
               for k in range(1, size))
