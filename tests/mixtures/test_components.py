"""Laws of every component: conjugate updates, evidence, divergence, predictive, simulation and draws against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from bayesglm.mixtures.component import Component, Layout
from bayesglm.mixtures.scorer.transforms import IDENTITY
from bayesglm.registry import discover

MEMBERS = {}
for each in discover("bayesglm.mixtures.components", Component).values():
    MEMBERS[each.name] = each
    if each.missing is not None:
        MEMBERS[each.missing.name] = each.missing
LEVELS = {"categorical": 3}
COUNTS = ("poisson", "negative_binomial")
EXACT = [name for name, each in MEMBERS.items() if each.latent is None]  # the evidence is known: nothing is unobserved
every = pytest.mark.parametrize("member", MEMBERS.values(), ids=list(MEMBERS))
exact = pytest.mark.parametrize("member", [MEMBERS[name] for name in EXACT], ids=EXACT)


def rows_for(member, rows=40, seed=3, gaps=0.0):
    """Return data of a kind that the member describes, with exposures where it takes them and values missing at random."""
    rng = np.random.default_rng(seed)
    if member.name == "categorical":
        data = rng.integers(0, 3, (rows, 1)).astype(float)
    elif member.exposed:
        exposure = rng.uniform(0.5, 1.5, (rows, 2))
        data = np.hstack([rng.poisson(3.0 * exposure * rng.gamma(2.0, 0.5, (rows, 2))), exposure])
    else:
        data = rng.normal(size=(rows, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    size = data.shape[1] // (1 + member.exposed)
    data[:, :size][rng.random((rows, size)) < gaps] = np.nan
    return data


def gaps_of(member):
    """Return the share of values that are missing, for members that take them."""
    return 0.2 if member.missing is None else 0.0


def sums_of(member, data, weight, params=None):
    if member.latent is None:
        return weight @ member.features(data, LEVELS.get(member.name, 0))
    return member.latent.expect(params, data)[1](weight)


def expected_logs(member, params, data):
    """Return E[log p(x)] without the base, shape (component, row)."""
    if member.latent is not None:
        return member.latent.expect(params, data)[0]
    expected = member.expected(member.prior(data, LEVELS.get(member.name, 0)), params)
    return expected.constant[:, None] + expected.natural @ member.features(data, LEVELS.get(member.name, 0)).T


def posterior(member, data, weight=None, steps=80):
    """Return prior, posterior and sums; with unobserved variables after many updates."""
    prior = member.prior(data, LEVELS.get(member.name, 0))
    weight = np.ones((1, len(data))) if weight is None else weight
    sums = sums_of(member, data, weight)
    params = member.update(prior, weight.sum(axis=1), sums)
    for _ in range(steps if member.latent else 0):
        sums = sums_of(member, data, weight, params)
        params = member.update(prior, weight.sum(axis=1), sums)
    return prior, params, sums


def layout(member, data):
    size = data.shape[1] // (1 + member.exposed)
    levels = ("r", "s", "t") if member.name in LEVELS else ()
    return Layout(tuple(f"c{j}" for j in range(size)), levels, (IDENTITY,) * size, np.zeros(size), np.ones(size),
                  exposure=("",) * size if member.exposed else (),
                  exposure_unit=np.ones(size) if member.exposed else np.empty(0))


def evidence(member, prior, params, counts, sums):
    expected = member.expected(prior, params)
    return counts * expected.constant + (sums * expected.natural).sum(axis=1) - expected.divergence


@exact
def test_the_evidence_is_the_product_of_one_step_predictives(member):
    """log p(x_1, ..., x_n) = sum_i log p(x_i | x_1, ..., x_{i-1}): update, natural, divergence and predictive agree."""
    data = rows_for(member, gaps=gaps_of(member))
    prior, params, sums = posterior(member, data)
    whole = evidence(member, prior, params, np.array([float(len(data))]), sums)[0] + member.base(data).sum()
    features, total = member.features(data, LEVELS.get(member.name, 0)), 0.0
    for i in range(len(data)):
        before = member.update(prior, np.array([float(i)]), features[:i].sum(axis=0)[None])
        total += member.predictive(before, data[i:i + 1])[0, 0]
    assert whole == pytest.approx(total, rel=1e-9)


def drawn_logs(member, drawn, row):
    """Return log p(row | theta) for every draw of theta, by SciPy, over the values that the row has."""
    size = len(row) // (1 + member.exposed)
    held = ~np.isnan(row[:size])
    x = row[:size][held]
    if "covariance" in drawn:
        both = zip(drawn["mean"][:1500, held], drawn["covariance"][:1500][:, held][:, :, held], strict=True)
        return np.array([stats.multivariate_normal.logpdf(x, m, c) for m, c in both])
    if "sd" in drawn:
        return stats.norm.logpdf(x, drawn["mean"][:, held], drawn["sd"][:, held] * np.ones(held.sum())).sum(axis=1)
    if "concentration" in drawn:
        c, e = drawn["concentration"], row[size:]
        return stats.nbinom.logpmf(row[:size], c * e, c / (c + drawn["rate"])).sum(axis=1)
    if "rate" in drawn:
        return stats.poisson.logpmf(row[:size], drawn["rate"] * row[size:]).sum(axis=1)
    return np.log(drawn["probability_c0"][:, int(row[0])])


@pytest.mark.parametrize("name", EXACT)
def test_the_expected_log_density_is_the_mean_over_draws(name):
    member, data = MEMBERS[name], rows_for(MEMBERS[name])
    _, params, _ = posterior(member, data)
    expected = expected_logs(member, params, data)[0] + member.base(data)
    held = member.draw(params, layout(member, data), 20000, np.random.default_rng(1))
    logs = drawn_logs(member, {each.name: each.values[:, 0] for each in held}, data[0])
    assert abs(logs.mean() - expected[0]) < 4.5 * logs.std() / np.sqrt(len(logs))


@every
def test_the_divergence_is_zero_at_the_prior_and_positive_elsewhere(member):
    prior, params, _ = posterior(member, rows_for(member, gaps=gaps_of(member)))
    assert member.expected(prior, prior).divergence[0] == pytest.approx(0, abs=1e-10)
    assert member.expected(prior, params).divergence[0] > 0.1


@every
def test_simulated_rows_have_the_predictive_density(member):
    """E[1 / p(x)] over a box is its volume, whatever p is; for counts and categories the box is a set of values."""
    data = rows_for(member)
    _, params, _ = posterior(member, data)
    drawn = member.simulate(params, np.zeros(30_000, np.intp), np.ones((1, 1)), np.random.default_rng(2))
    size = layout(member, data).names
    center = 1 if member.exposed or member.name in LEVELS else 0
    inside = (np.abs(drawn[:, :len(size)] - center) <= 1).all(axis=1)
    value = np.where(inside, np.exp(-member.predictive(params, drawn)[:, 0]), 0.0)
    volume = (3.0 if center else 2.0) ** len(size)
    assert abs(value.mean() - volume) < 4 * value.std() / np.sqrt(len(value))


@every
def test_the_predictive_integrates_to_one(member):
    """Over one column, the other one missing: the marginal is a density too."""
    data = rows_for(member)
    _, params, _ = posterior(member, data)
    size = len(layout(member, data).names)
    if member.exposed or member.name in LEVELS:
        values, weight = np.arange(3.0 if member.name in LEVELS else 3000.0), 1.0
    else:
        grid = np.linspace(-14, 14, 6001)  # x = sinh(grid) reaches far into heavy tails
        values, weight = np.sinh(grid), np.cosh(grid) * (grid[1] - grid[0])
    rows = np.full((len(values), size), np.nan)
    rows[:, 0] = values
    rows = np.hstack([rows, np.full_like(rows, 0.7)]) if member.exposed else rows
    assert (np.exp(member.predictive(params, rows)[:, 0]) * weight).sum() == pytest.approx(1, abs=2e-5)


@every
def test_components_do_not_see_each_other_unless_they_share(member):
    data, rng = rows_for(member, gaps=gaps_of(member)), np.random.default_rng(5)
    weight = rng.dirichlet([1, 1, 1], len(data)).T
    prior, together, _ = posterior(member, data, weight, steps=5)
    alone = [posterior(member, data, weight[k:k + 1], steps=5)[1] for k in range(3)]
    same = [np.allclose(member.predictive(together, data)[:, k], member.predictive(each, data)[:, 0], rtol=1e-8)
            and np.isclose(member.expected(prior, together).divergence[k], member.expected(prior, each).divergence[0])
            for k, each in enumerate(alone)]
    assert same == [not member.shared] * 3


def bound_of(member, prior, params, data, weight):
    """Return the bound at parameters whose unobserved variables are at their best."""
    return (weight * expected_logs(member, params, data)).sum() - member.expected(prior, params).divergence.sum()


@every
def test_expected_sums_and_natural_parameters_give_the_expected_log_density(member):
    """Sums of expected features times natural parameters are the bound that the rows' own maximum gives."""
    data = rows_for(member, gaps=gaps_of(member))
    weight = np.random.default_rng(5).dirichlet([1, 1], len(data)).T
    prior, params, _ = posterior(member, data, weight, steps=2)
    sums = sums_of(member, data, weight, params)
    found = evidence(member, prior, params, weight.sum(axis=1), sums).sum()
    assert found == pytest.approx(bound_of(member, prior, params, data, weight), rel=1e-9)


@every
def test_updates_never_lower_the_bound_and_end_at_its_top(member):
    """Every update of unobserved variables and of parameters raises the bound; at its end no nearby parameters are better."""
    data, rng = rows_for(member, gaps=gaps_of(member)), np.random.default_rng(5)
    weight = rng.dirichlet([1, 1], len(data)).T
    counts = weight.sum(axis=1)
    prior = member.prior(data, LEVELS.get(member.name, 0))
    sums = sums_of(member, data, weight)
    bounds = []
    for _ in range(120 if member.latent else 2):
        params = member.update(prior, counts, sums)
        bounds.append(evidence(member, prior, params, counts, sums).sum())
        sums = sums_of(member, data, weight, params)
        bounds.append(evidence(member, prior, params, counts, sums).sum())
    assert np.diff(bounds).min() > -1e-9 * abs(bounds[-1])
    for name in params:
        for _ in range(4):
            other = dict(params)
            other[name] = nearby(name, params[name], rng, shared=member.shared)
            assert bound_of(member, prior, other, data, weight) < bounds[-1] + 1e-7, name


def nearby(name, values, rng, *, shared):
    """Return parameters of the same kind a little away."""
    moved = values + 0.01 * rng.normal(size=values.shape) * (1 if name == "mean" else np.abs(values))
    if name == "share":
        moved = np.abs(moved) / np.abs(moved).sum(axis=-1, keepdims=True)
    if name == "psi":
        moved = (moved + np.swapaxes(moved, -1, -2)) / 2
    if shared and name in {"psi", "nu"}:
        moved = np.repeat(moved[:1], len(moved), axis=0)
    return moved


@every
def test_a_row_without_values_says_nothing(member):
    if member.missing is not None:
        pytest.skip("takes no missing values: its twin does")
    data = rows_for(member, gaps=0.2)
    size = len(layout(member, data).names)
    empty = np.vstack([data, data[:1]])
    empty[-1, :size] = np.nan
    _, params, _ = posterior(member, data)
    assert np.allclose(member.predictive(params, empty)[-1], 0, atol=1e-6)
    assert member.base(empty)[-1] == 0


@every
def test_parameters_are_counted(member):
    full = 3 + 2
    expected = {"gaussian": 3 * full, "gaussian_with_missing": 3 * full, "tied_gaussian": 3 * 2 + 3,
                "tied_gaussian_with_missing": 3 * 2 + 3, "diagonal_gaussian": 3 * 4, "spherical_gaussian": 3 * 3,
                "student_t": 3 * (full + 1), "poisson": 3 * 2, "negative_binomial": 3 * 4, "categorical": 3 * 2}
    assert member.parameters(2, 3, 3) == expected[member.name]


def test_updates_against_formulas_written_out():
    data = rows_for(MEMBERS["gaussian"])
    prior, params, _ = posterior(MEMBERS["gaussian"], data)
    n, k0, m0 = len(data), prior["kappa"][0], prior["mean"][0]
    middle, scatter = data.mean(axis=0), np.cov(data.T, bias=True) * len(data)
    assert np.allclose(params["mean"][0], (k0 * m0 + n * middle) / (k0 + n))
    assert np.allclose(params["psi"][0], prior["psi"][0] + scatter + k0 * n / (k0 + n) * np.outer(middle - m0, middle - m0))
    counts = rows_for(MEMBERS["poisson"])
    before, after, _ = posterior(MEMBERS["poisson"], counts)
    assert np.allclose(after["shape"], before["shape"] + counts[:, :2].sum(axis=0))
    assert np.allclose(after["per"], before["per"] + counts[:, 2:].sum(axis=0))
    codes = rows_for(MEMBERS["categorical"])
    _, dirichlet, _ = posterior(MEMBERS["categorical"], codes)
    assert np.allclose(dirichlet["alpha"][0], 1 + np.bincount(codes[:, 0].astype(int), minlength=3))


def test_predictives_against_scipy():
    data = rows_for(MEMBERS["gaussian"])
    _, params, _ = posterior(MEMBERS["gaussian"], data)
    nu = params["nu"][0] - 1
    scale = params["psi"][0] * (params["kappa"][0] + 1) / (params["kappa"][0] * nu)
    found = MEMBERS["gaussian"].predictive(params, data)[:, 0]
    assert np.allclose(found, stats.multivariate_t.logpdf(data, params["mean"][0], scale, nu), rtol=1e-10)
    counts = rows_for(MEMBERS["poisson"])
    _, rates = posterior(MEMBERS["poisson"], counts)[:2]
    p = rates["per"][0] / (rates["per"][0] + counts[:, 2:])
    expected = stats.nbinom.logpmf(counts[:, :2], rates["shape"][0], p).sum(axis=1)
    assert np.allclose(MEMBERS["poisson"].predictive(rates, counts)[:, 0], expected)


def test_the_gamma_evidence_is_the_integral():
    counts, exposure = np.array([2.0, 5.0, 0.0]), np.array([1.0, 1.4, 0.6])
    member = MEMBERS["poisson"]
    prior, params, sums = posterior(member, np.column_stack([counts, exposure]))
    a, b = prior["shape"][0, 0], prior["per"][0, 0]
    brute = integrate.quad(lambda rate: stats.gamma.pdf(rate, a, scale=1 / b)
                           * stats.poisson.pmf(counts, rate * exposure).prod(), 0, 60)[0]
    found = evidence(member, prior, params, np.array([3.0]), sums)[0] + member.base(np.column_stack([counts, exposure])).sum()
    assert found == pytest.approx(np.log(brute), abs=1e-7)


def test_student_t_by_its_series_is_the_sum_over_scales():
    """Many rows go by a Chebyshev series, a few by the sum itself; far rows too."""
    member = MEMBERS["student_t"]
    _, params, _ = posterior(member, rows_for(member), steps=5)
    rows = np.random.default_rng(1).standard_t(1, (600, 2))
    alone = np.vstack([member.predictive(params, rows[start:start + 20]) for start in range(0, 600, 20)])
    assert np.abs(rows).max() > 100
    assert np.allclose(member.predictive(params, rows), alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", COUNTS)
def test_equal_counts_are_scored_once_and_alike(name):
    data = rows_for(MEMBERS[name])
    _, params, _ = posterior(MEMBERS[name], data)
    data[:, 2:] = np.round(data[:, 2:], 1)
    alone = np.vstack([MEMBERS[name].predictive(params, row[None]) for row in data])
    assert np.allclose(MEMBERS[name].predictive(params, data), alone, rtol=1e-12)
