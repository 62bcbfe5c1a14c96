"""EM: against scikit-learn from the same start, a path that never falls, the mode against SciPy's densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures.components.gaussian import wishart_prior
from bayesglm.mixtures.likelihood import expectation_maximisation
from bayesglm.mixtures.starts import kmeans
from tests.mixtures.worlds import separated


@pytest.fixture(scope="module")
def data():
    return np.column_stack(list(separated(3, 2, 300, 4, distance=2.0)[0].values()))


def test_it_ends_where_scikit_learn_ends(data):
    start = kmeans(data, 3, np.random.default_rng(1))
    found = expectation_maximisation(data, start)
    counts = start.sum(axis=1)
    means = start @ data / counts[:, None]
    precisions = np.array([np.linalg.inv(np.cov(data[own > 0].T, bias=True)) for own in start])
    other = GaussianMixture(3, weights_init=counts / counts.sum(), means_init=means, precisions_init=precisions, tol=1e-9,
                            max_iter=2000, reg_covar=0.0).fit(data)
    assert found.converged
    assert found.score(data).mean() == pytest.approx(other.score(data), abs=1e-3)
    assert np.allclose(found.means, other.means_, atol=0.02)
    assert np.diff(found.path).min() > -1e-8


def test_the_mode_has_the_largest_posterior_density(data):
    prior, size = wishart_prior(data, 0), 2
    found = expectation_maximisation(data, kmeans(data, 3, np.random.default_rng(1)), prior, tolerance=1e-12)
    assert np.diff(found.path).min() > -1e-8

    def density(weights, means, covariances):
        total = np.log(sum(w * stats.multivariate_normal.pdf(data, m, c)
                           for w, m, c in zip(weights, means, covariances, strict=True))).sum()
        for m, c in zip(means, covariances, strict=True):
            total += stats.invwishart.logpdf(c, prior["nu"][0], prior["psi"][0])
            total += stats.multivariate_normal.logpdf(m, prior["mean"][0], c / prior["kappa"][0])
        return total

    top, rng = density(found.weights, found.means, found.covariances), np.random.default_rng(1)
    assert top == pytest.approx(found.path[-1], rel=1e-10)
    for _ in range(20):
        weights = found.weights * np.exp(0.02 * rng.normal(size=3))
        turn = np.eye(size) + 0.02 * rng.normal(size=(3, size, size))
        moved = (weights / weights.sum(), found.means + 0.02 * rng.normal(size=(3, size)),
                 turn @ found.covariances @ turn.swapaxes(1, 2))
        assert density(*moved) < top


def test_a_collapse_is_an_error_and_a_prior_prevents_it(data):
    rows = np.vstack([data, np.full((3, 2), 40.0)])
    start = np.array([np.arange(303) < 300, np.arange(303) >= 300]).astype(float)
    with pytest.raises(BayesGLMError, match="collapsed"):
        expectation_maximisation(rows, start)
    assert np.isfinite(expectation_maximisation(rows, start, wishart_prior(rows, 0)).score(rows)).all()
