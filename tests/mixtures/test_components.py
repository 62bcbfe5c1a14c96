"""Laws of every component: conjugate updates, evidence, divergence, predictive, simulation and draws against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from bayesglm.mixtures.component import Component, Layout
from bayesglm.registry import discover

MEMBERS = discover("bayesglm.mixtures.components", Component)
LEVELS = {"categorical": 3}


def rows_for(name, rows=40, seed=3):
    rng = np.random.default_rng(seed)
    if name == "categorical":
        return rng.integers(0, 3, (rows, 1)).astype(float)
    if name == "poisson":
        return rng.poisson(3.0, (rows, 2)).astype(float)
    return rng.normal(size=(rows, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])


def posterior(member, data, weight=None):
    levels = LEVELS.get(member.name, 0)
    prior = member.prior(data, levels)
    weight = np.ones((1, len(data))) if weight is None else weight
    features = member.features(data, levels)
    return prior, member.update(prior, weight.sum(axis=1), weight @ features), weight @ features


def layout(data, levels=()):
    size = data.shape[1]
    return Layout(tuple(f"c{j}" for j in range(size)), levels, np.zeros(size, bool), np.zeros(size), np.ones(size))


def evidence(member, prior, params, counts, sums):
    constant, natural = member.natural(params)
    return counts * constant + (sums * natural).sum(axis=1) - member.divergence(prior, params)


@pytest.mark.parametrize("member", MEMBERS.values(), ids=list(MEMBERS))
def test_the_evidence_is_the_product_of_one_step_predictives(member):
    """log p(x_1, ..., x_n) = sum_i log p(x_i | x_1, ..., x_{i-1}): update, natural, divergence and predictive agree."""
    data = rows_for(member.name)
    levels = LEVELS.get(member.name, 0)
    prior, params, sums = posterior(member, data)
    whole = evidence(member, prior, params, np.array([float(len(data))]), sums)[0] + member.base(data).sum()
    features, total = member.features(data, levels), 0.0
    for i in range(len(data)):
        before = member.update(prior, np.array([float(i)]), features[:i].sum(axis=0)[None])
        total += member.predictive(before, data[i:i + 1])[0, 0]
    assert whole == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("member", MEMBERS.values(), ids=list(MEMBERS))
def test_the_expected_log_density_is_the_mean_over_draws(member):
    data = rows_for(member.name)
    _, params, _ = posterior(member, data)
    constant, natural = member.natural(params)
    expected = member.features(data, LEVELS.get(member.name, 0)) @ natural[0] + constant[0] + member.base(data)
    drawn = {each.name: each.values[:, 0] for each in member.draw(params, layout(data, ("r", "s", "t")), 20000,
                                                                  np.random.default_rng(1))}
    row = data[0]
    logs = {
        "gaussian": lambda: np.array([stats.multivariate_normal.logpdf(row, m, c) for m, c in
                                      zip(drawn["mean"][:4000], drawn["covariance"][:4000], strict=True)]),
        "diagonal_gaussian": lambda: stats.norm.logpdf(row, drawn["mean"], drawn["sd"]).sum(axis=1),
        "poisson": lambda: stats.poisson.logpmf(row, drawn["rate"]).sum(axis=1),
        "categorical": lambda: np.log(drawn["probability_c0"][:, int(row[0])]),
    }[member.name]()
    assert abs(logs.mean() - expected[0]) < 4.5 * logs.std() / np.sqrt(len(logs))


@pytest.mark.parametrize("member", MEMBERS.values(), ids=list(MEMBERS))
def test_the_divergence_is_zero_at_the_prior_and_positive_elsewhere(member):
    prior, params, _ = posterior(member, rows_for(member.name))
    assert member.divergence(prior, prior)[0] == pytest.approx(0, abs=1e-10)
    assert member.divergence(prior, params)[0] > 0.1


@pytest.mark.parametrize("member", MEMBERS.values(), ids=list(MEMBERS))
def test_simulated_rows_have_the_predictive_density(member):
    """E[1 / p(x)] over a box is its volume, whatever p is; for counts and categories the box is a set of values."""
    data = rows_for(member.name)
    _, params, _ = posterior(member, data)
    drawn = member.simulate(params, np.zeros(100_000, np.intp), np.ones((1, 1)), np.random.default_rng(2))
    inside = (np.abs(drawn - (0 if member.name.endswith("gaussian") else 1)) <= 1).all(axis=1)
    value = np.where(inside, np.exp(-member.predictive(params, drawn)[:, 0]), 0.0)
    volume = {"gaussian": 4, "diagonal_gaussian": 4, "poisson": 9, "categorical": 3}[member.name]
    assert abs(value.mean() - volume) < 4 * value.std() / np.sqrt(len(value))


@pytest.mark.parametrize("member", MEMBERS.values(), ids=list(MEMBERS))
def test_components_do_not_see_each_other(member):
    data, rng = rows_for(member.name), np.random.default_rng(5)
    weight = rng.dirichlet([1, 1, 1], len(data)).T
    prior, together, _ = posterior(member, data, weight)
    for k in range(3):
        _, alone, _ = posterior(member, data, weight[k:k + 1])
        assert member.divergence(prior, together)[k] == pytest.approx(member.divergence(prior, alone)[0], rel=1e-9)
        assert np.allclose(member.predictive(together, data)[:, k], member.predictive(alone, data)[:, 0])


def test_updates_against_formulas_written_out():
    data = rows_for("gaussian")
    prior, params, _ = posterior(MEMBERS["gaussian"], data)
    n, k0, m0 = len(data), prior["kappa"][0], prior["mean"][0]
    middle, scatter = data.mean(axis=0), np.cov(data.T, bias=True) * len(data)
    assert np.allclose(params["mean"][0], (k0 * m0 + n * middle) / (k0 + n))
    assert np.allclose(params["psi"][0], prior["psi"][0] + scatter + k0 * n / (k0 + n) * np.outer(middle - m0, middle - m0))
    counts = rows_for("poisson")
    before, after, _ = posterior(MEMBERS["poisson"], counts)
    assert np.allclose(after["shape"], before["shape"] + counts.sum(axis=0))
    assert np.allclose(after["per"], before["per"] + len(counts))
    codes = rows_for("categorical")
    _, dirichlet, _ = posterior(MEMBERS["categorical"], codes)
    assert np.allclose(dirichlet["alpha"][0], 1 + np.bincount(codes[:, 0].astype(int), minlength=3))


def test_predictives_against_scipy():
    data = rows_for("gaussian")
    _, params, _ = posterior(MEMBERS["gaussian"], data)
    nu = params["nu"][0] - 1
    scale = params["psi"][0] * (params["kappa"][0] + 1) / (params["kappa"][0] * nu)
    found = MEMBERS["gaussian"].predictive(params, data)[:, 0]
    assert np.allclose(found, stats.multivariate_t.logpdf(data, params["mean"][0], scale, nu), rtol=1e-10)
    counts = rows_for("poisson")
    _, rates = posterior(MEMBERS["poisson"], counts)[:2]
    p = rates["per"][0] / (rates["per"][0] + 1)
    expected = stats.nbinom.logpmf(counts, rates["shape"][0], p).sum(axis=1)
    assert np.allclose(MEMBERS["poisson"].predictive(rates, counts)[:, 0], expected)


def test_the_gamma_evidence_is_the_integral():
    counts = np.array([[2.0], [5.0], [0.0]])
    member = MEMBERS["poisson"]
    prior, params, sums = posterior(member, counts)
    a, b = prior["shape"][0, 0], prior["per"][0, 0]
    brute = integrate.quad(lambda rate: stats.gamma.pdf(rate, a, scale=1 / b) * stats.poisson.pmf(counts, rate).prod(), 0, 60)[0]
    found = evidence(member, prior, params, np.array([3.0]), sums)[0] + member.base(counts).sum()
    assert found == pytest.approx(np.log(brute), abs=1e-7)
