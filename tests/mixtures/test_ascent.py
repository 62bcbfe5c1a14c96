"""The bound never falls, responsibilities agree with independent code, and the compiled kernels with plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, logsumexp, softmax
from sklearn.mixture import BayesianGaussianMixture

from bayesglm.mixtures import Mixture, kernels
from bayesglm.mixtures.ascent import Problem, ascend, from_responsibilities
from bayesglm.mixtures.columns import rows_of
from bayesglm.mixtures.component import Component
from bayesglm.mixtures.weights import WEIGHTS
from bayesglm.registry import discover
from tests.mixtures.worlds import mixed, separated

MIXED = {"columns": ["latency_ms", "restarts", "cold", "zone"], "transform": {"latency_ms": "log"},
         "component": {"restarts": "poisson"}}


def problem_of(mixture):
    numbers = [part.numbers(mixture.table) for part in mixture.parts]
    blocks = tuple(part.block(each) for part, each in zip(mixture.parts, numbers, strict=True))
    base = sum(part.component.base(each).sum() for part, each in zip(mixture.parts, numbers, strict=True))
    return Problem(blocks, mixture.prior, mixture.concentration, mixture.max_components,
                   rows_of(mixture.parts, numbers), float(base))


def cases():
    table, _ = separated(3, 2, 400, 1, distance=2.5)
    for weights in WEIGHTS:
        for component in ("gaussian", "diagonal_gaussian"):
            yield f"{component} {weights}", Mixture(["x0", "x1"], table, component=component, weights=weights)
        yield f"mixed {weights}", Mixture(data=mixed(300, 2)[0], weights=weights, **MIXED)
    for component in ("tied_gaussian", "spherical_gaussian", "student_t"):
        yield component, Mixture(["x0", "x1"], table, component=component)
    holed = {name: np.where(np.random.default_rng(9).random(400) < 0.2, np.nan, values) for name, values in table.items()}
    for component in ("gaussian", "tied_gaussian", "diagonal_gaussian", "student_t"):
        yield f"{component} with gaps", Mixture(["x0", "x1"], holed, component=component, missing="marginalise")
    counts = {"n": np.random.default_rng(2).negative_binomial(2, 0.2, 300), "e": np.linspace(1, 3, 300)}
    yield "exposure", Mixture(["n"], counts, component="negative_binomial", exposure="e")
    twice = {name: np.repeat(values[:4], 50) for name, values in table.items()}
    yield "duplicates", Mixture(["x0", "x1"], twice)


CASES = dict(cases())


@pytest.mark.parametrize("mixture", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_bound_never_falls(mixture, seed):
    problem = problem_of(mixture)
    start = np.random.default_rng(seed).dirichlet(np.full(6, 0.3), problem.rows).T.copy()
    posterior, bound = from_responsibilities(problem, start)
    bounds = np.array([bound, *ascend(problem, posterior, 60, -1.0).bounds])
    assert len(bounds) == 121
    assert np.diff(bounds).min() > -1e-8 * np.abs(bounds).max()
    assert bounds[-1] > bounds[0] + 1


def test_the_bound_is_its_definition():
    """Expected log joint minus expected log posterior, written out row by row, against the one from the sums."""
    problem = problem_of(CASES["gaussian dirichlet_process"])
    start = np.random.default_rng(1).dirichlet(np.ones(3), problem.rows).T.copy()
    posterior, bound = from_responsibilities(problem, start)
    ordered = start[np.argsort(-start.sum(axis=1))]
    logs = problem.held.features @ posterior.natural.T
    plain = (ordered.T * (logs - np.log(ordered.T))).sum() - posterior.divergence
    assert bound == pytest.approx(plain, rel=1e-10)


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_weights_against_draws(name):
    """Means, expected logs and divergence of the weights' posterior against its draws and independent densities."""
    weights, counts = WEIGHTS[name], np.array([50.0, 20.0, 4.0])
    params = weights.update(counts, 2.0, 10)
    rng = np.random.default_rng(1)
    if name == "dirichlet":
        posterior = stats.dirichlet(np.concatenate([0.2 + counts, np.full(7, 0.2)]))
        drawn = posterior.rvs(40000, random_state=rng)
        ratio = posterior.logpdf(drawn.T + 1e-300) - stats.dirichlet(np.full(10, 0.2)).logpdf(drawn.T + 1e-300)
    else:
        a, b = 1 + counts, 2.0 + np.array([24.0, 4.0, 0.0])
        sticks = rng.beta(a, b, (40000, 3))
        drawn = sticks * np.cumprod(np.hstack([np.ones((40000, 1)), 1 - sticks[:, :-1]]), axis=1)
        ratio = (stats.beta.logpdf(sticks, a, b) - stats.beta.logpdf(sticks, 1, 2)).sum(axis=1)
    logs = np.log(drawn[:, :3])
    assert np.all(np.abs(logs.mean(axis=0) - weights.expected_log(params)) < 4.5 * logs.std(axis=0) / 200)
    assert np.all(np.abs(drawn[:, :3].mean(axis=0) - weights.mean(params)) < 4.5 * drawn[:, :3].std(axis=0) / 200)
    assert abs(ratio.mean() - weights.divergence(params)) < 4.5 * ratio.std() / 200
    assert np.allclose(weights.draw(params, 50, rng).sum(axis=1), 1)


def test_kernels_against_plain_products():
    rng = np.random.default_rng(1)
    features, natural = rng.normal(size=(500, 7)), 20 * rng.normal(size=(4, 7))
    logs = natural @ features.T
    found, normalisers = kernels.assign(natural, features)
    assert np.allclose(found, softmax(logs, axis=0), atol=1e-14)
    assert np.allclose(normalisers, logsumexp(logs, axis=0), rtol=1e-13)
    sums, total = kernels.sweep(natural, features)
    assert np.allclose(sums, found @ features, atol=1e-11)
    assert total == pytest.approx(normalisers.sum())
    assert np.allclose(kernels.gather(found, features), found @ features, atol=1e-11)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = -np.nansum(found * np.log(found), axis=1)
    assert np.allclose(kernels.entropy(found), plain)


def test_chunks_and_threads_change_no_digit(monkeypatch):
    rng = np.random.default_rng(2)
    features, natural = rng.normal(size=(3 * kernels.CHUNK + 7, 5)), 3 * rng.normal(size=(6, 5))
    sums, total = kernels.sweep(natural, features)
    shares, normalisers = kernels.assign(natural, features)
    logs = natural @ features.T
    assert np.allclose(shares, softmax(logs, axis=0), atol=1e-13)
    assert np.allclose(sums, shares @ features, rtol=1e-10, atol=1e-8)
    for processors in (1, 7):
        monkeypatch.setattr(kernels.os, "cpu_count", lambda processors=processors: processors)
        again, same = kernels.sweep(natural, features)
        assert np.array_equal(again, sums)
        assert same == total
        assert np.array_equal(kernels.assign(natural, features)[1], normalisers)
        assert np.array_equal(kernels.gather(shares, features), kernels.gather(shares, features))


def test_negligible_responsibilities_are_zero_and_change_no_sum():
    features = np.array([[1.0, 0.0], [1.0, 100.0], [1.0, 50.0]])
    natural = np.array([[0.0, 0.0], [-100.0, 2.0]])
    shares, normalisers = kernels.assign(natural, features)
    assert shares.tolist() == [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]
    assert np.allclose(normalisers, logsumexp(natural @ features.T, axis=0), rtol=1e-15)


def natural_of(means, kappa, nu, psi, logs):
    member = discover("bayesglm.mixtures.components", Component)["gaussian"]
    expected = member.expected(member.prior(means, 0), {"mean": means, "kappa": kappa, "nu": nu, "psi": psi})
    return np.hstack([(expected.constant + logs)[:, None], expected.natural]), member


def test_responsibilities_against_scipy():
    """E[log N] by its textbook form, with Wishart's own expected log determinant, row by row."""
    rng = np.random.default_rng(3)
    data, means = rng.normal(size=(50, 3)), rng.normal(size=(2, 3))
    kappa, nu = np.array([4.0, 9.0]), np.array([7.0, 12.0])
    psi = np.array([stats.wishart.rvs(6, np.eye(3), random_state=rng) for _ in range(2)])
    logs = np.log([0.3, 0.7])
    natural, member = natural_of(means, kappa, nu, psi, logs)
    plain = np.empty((50, 2))
    for k in range(2):
        log_det = sum(digamma((nu[k] - i) / 2) for i in range(3)) + 3 * np.log(2) - np.linalg.slogdet(psi[k])[1]
        away = data - means[k]
        square = nu[k] * np.einsum("ni,ij,nj->n", away, np.linalg.inv(psi[k]), away)
        plain[:, k] = logs[k] + 0.5 * (log_det - 3 * np.log(2 * np.pi) - 3 / kappa[k] - square)
    found, _ = kernels.assign(natural, np.hstack([np.ones((50, 1)), member.features(data, 0)]))
    assert np.allclose(found.T, softmax(plain, axis=1), atol=1e-8, rtol=0)


@pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
def test_responsibilities_against_scikit_learn(kind):
    table, _ = separated(3, 2, 300, 4, distance=2.0)
    data = np.column_stack(list(table.values()))
    other = BayesianGaussianMixture(
        n_components=3, weight_concentration_prior_type=kind, random_state=1, tol=1.0).fit(data)
    nu = other.degrees_of_freedom_
    if kind == "dirichlet_process":
        a, b = other.weight_concentration_
        logs = WEIGHTS[kind].expected_log({"a": a, "b": b})
    else:
        alpha = other.weight_concentration_
        logs = WEIGHTS["dirichlet"].expected_log({"alpha": alpha, "total": np.array([alpha.sum()])})
    natural, member = natural_of(other.means_, other.mean_precision_, nu, other.covariances_ * nu[:, None, None], logs)
    found, _ = kernels.assign(natural, np.hstack([np.ones((300, 1)), member.features(data, 0)]))
    assert np.allclose(found.T, other.predict_proba(data), atol=1e-8, rtol=0)
