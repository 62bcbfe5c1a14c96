"""The mixture as a pm.Model: its joint density against SciPy's, its labels, and NUTS and ADVI against coordinate ascent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy import stats
from scipy.special import gammaln, logsumexp

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture, MixtureFit
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.components.negative_binomial import CONCENTRATIONS
from bayesglm.mixtures.components.student_t import DEGREES
from bayesglm.mixtures.grid import start_place, write_place
from bayesglm.mixtures.model import build, values_at
from bayesglm.mixtures.sampled import Sampled, orders, relabel
from tests.mixtures.worlds import mixed, separated


def log_joint(model, values):
    """Return the log density in the variables themselves: no Jacobians of transforms."""
    density = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    point = {}
    for variable in model.free_RVs:
        transform = model.rvs_to_transforms[variable]
        value = np.asarray(values[variable.name])
        point[model.rvs_to_values[variable].name] = (
            value if transform is None else transform.forward(value, *variable.owner.inputs).eval(mode="FAST_COMPILE"))
    return float(density(point))


def weights_and_prior(name, values, concentration, limit, count):
    if name == "dirichlet_process":
        stick = values["stick"]
        weights = stick * np.cumprod(np.concatenate([[1], 1 - stick[:-1]]))
        return weights, stats.beta.logpdf(stick, 1, concentration).sum()
    each = concentration / limit
    prior = stats.dirichlet([each] * count + [each * (limit - count)]).logpdf(values["share"])
    return values["share"][:count], prior


def normal_wishart(prior, values, tied):
    """Return means, precisions, and the log density of (squares, below, mean) by SciPy's Wishart and its Jacobian."""
    squares, mean, size = values["part0_squares"], values["part0_mean"], values["part0_mean"].shape[1]
    lower_psi = np.linalg.cholesky(prior["psi"][0])
    precisions, total = [], 0.0
    for k in range(len(squares)):
        lower = np.diag(np.sqrt(squares[k]))
        lower[np.tril_indices(size, -1)] = values["part0_below"][k]
        inner = lower @ np.linalg.inv(lower_psi)
        precision = inner.T @ inner
        # B -> B'B has 2^d prod b_ii^(i+1), a congruence |L|^-(d+1), and b^2 -> b 1 / (2 b).
        jacobian = (np.arange(1, size + 1) * np.log(np.diag(lower))).sum() - np.log(np.diag(lower)).sum()
        jacobian -= (size + 1) * np.log(np.diag(lower_psi)).sum()
        total += stats.wishart.logpdf(precision, prior["nu"][0], np.linalg.inv(prior["psi"][0])) + jacobian
        precisions.append(precision)
    precisions = precisions * (len(mean) if tied else 1)
    for center, precision in zip(mean, precisions, strict=True):
        total += stats.multivariate_normal.logpdf(center, prior["mean"][0], np.linalg.inv(prior["kappa"][0] * precision))
    return mean, precisions, total


@pytest.mark.parametrize(("component", "weights"), [
    ("gaussian", "dirichlet_process"), ("tied_gaussian", "dirichlet"), ("gaussian_with_missing", "dirichlet_process"),
    *(pytest.param(*each, marks=pytest.mark.slow) for each in (
        ("gaussian", "dirichlet"), ("tied_gaussian", "dirichlet_process"), ("gaussian_with_missing", "dirichlet")))])
def test_the_joint_density_of_gaussians_is_scipys(component, weights):
    table, _ = separated(2, 2, 30, 1)
    missing = "marginalise" if component.endswith("missing") else "refuse"
    if missing == "marginalise":
        table = {name: np.where(np.arange(30) % (3 + place) == 0, np.nan, values) for place, (name, values) in
                 enumerate(table.items())}
    tied = component == "tied_gaussian"
    mixture = Mixture(["x0", "x1"], table, component=component.removesuffix("_with_missing"), weights=weights, max_components=4,
                      missing=missing, concentration=1.5)
    count, rng = 2, np.random.default_rng(3)
    stick, share = rng.uniform(0.2, 0.8, count), rng.dirichlet(np.ones(count + 1))
    values = {"stick": stick, "share": share, "part0_mean": rng.normal(size=(count, 2)),
              "part0_squares": rng.uniform(1, 5, (1 if tied else count, 2)),
              "part0_below": rng.normal(size=(1 if tied else count, 1))}
    prior = mixture.priors.blocks[0].prior
    weight, total = weights_and_prior(weights, values, 1.5, 4, count)
    mean, precisions, of_parameters = normal_wishart(prior, values, tied)
    numbers = mixture.parts[0].numbers(mixture.table)
    logs = np.zeros((30, count))
    for k in range(count):
        covariance = np.linalg.inv(precisions[k])
        for n, row in enumerate(numbers):
            held = ~np.isnan(row)
            if held.any():
                logs[n, k] = stats.multivariate_normal.logpdf(row[held], mean[k, held], covariance[np.ix_(held, held)])
    expected = total + of_parameters + logsumexp(np.log(weight) + logs, axis=1).sum()
    assert log_joint(mixture.pymc(count), values) == pytest.approx(expected, rel=1e-8)


def test_the_joint_density_of_mixed_columns_is_scipys():
    data, _ = mixed(40, 1)
    mixture = Mixture(["latency_ms", "restarts", "zone"], data, transform={"latency_ms": "log"}, max_components=3,
                      component={"latency_ms": "diagonal_gaussian", "restarts": "poisson"})
    rng, count = np.random.default_rng(1), 3
    values = {"stick": rng.uniform(0.2, 0.8, 3), "part0_precision": rng.uniform(1, 3, (3, 1)),
              "part0_mean": rng.normal(size=(3, 1)), "part1_rate": rng.uniform(1, 9, (3, 1)),
              "part2_probability": rng.dirichlet(np.ones(3), 3)}
    gauss, poisson, zone = (block.prior for block in mixture.priors.blocks)
    weight, total = weights_and_prior("dirichlet_process", values, 1.0, 3, count)
    numbers = [part.numbers(mixture.table) for part in mixture.parts]
    total += stats.gamma.logpdf(values["part0_precision"], gauss["shape"], scale=1 / gauss["rate"]).sum()
    sd = 1 / np.sqrt(gauss["kappa"] * values["part0_precision"])
    total += stats.norm.logpdf(values["part0_mean"], gauss["mean"], sd).sum()
    total += stats.gamma.logpdf(values["part1_rate"], poisson["shape"], scale=1 / poisson["per"]).sum()
    total += 3 * gammaln(zone["alpha"].sum())
    logs = stats.norm.logpdf(numbers[0], values["part0_mean"].T, 1 / np.sqrt(values["part0_precision"].T))
    logs = logs + stats.poisson.logpmf(numbers[1][:, :1], values["part1_rate"].T)
    logs = logs + np.log(values["part2_probability"].T[numbers[2][:, 0].astype(int)])
    expected = total + logsumexp(np.log(weight) + logs, axis=1).sum()
    assert log_joint(mixture.pymc(), values) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("missing", ["refuse", "marginalise"])
def test_the_joint_density_of_student_ts_at_values_of_the_grid_is_scipys(missing):
    table, _ = separated(2, 2, 30, 1)
    if missing == "marginalise":
        table = {name: np.where(np.arange(30) % (3 + place) == 0, np.nan, values) for place, (name, values) in
                 enumerate(table.items())}
    mixture = Mixture(["x0", "x1"], table, component="student_t", max_components=4, missing=missing)
    count, at, rng = 2, np.array([0.0, 7.0]), np.random.default_rng(3)
    values = {"stick": rng.uniform(0.2, 0.8, count), "part0_mean": rng.normal(size=(count, 2)), "part0_place": at,
              "part0_squares": rng.uniform(1, 5, (count, 2)), "part0_below": rng.normal(size=(count, 1))}
    prior = {name: held[:, 0] for name, held in mixture.priors.blocks[0].prior.items()}
    weight, total = weights_and_prior("dirichlet_process", values, 1.0, 4, count)
    mean, precisions, of_parameters = normal_wishart(prior, values, tied=False)
    logs = np.zeros((30, count))
    for k in range(count):
        scatter, free = np.linalg.inv(precisions[k]), DEGREES[int(at[k])]
        for n, row in enumerate(mixture.parts[0].numbers(mixture.table)):
            held = ~np.isnan(row)
            if held.any():
                logs[n, k] = stats.multivariate_t.logpdf(row[held], mean[k, held], scatter[np.ix_(held, held)], free)
    expected = total + of_parameters - count * np.log(len(DEGREES)) + logsumexp(np.log(weight) + logs, axis=1).sum()
    assert log_joint(mixture.pymc(count), values) == pytest.approx(expected, rel=1e-8)


def overdispersed(rows, seed):
    """Return two kinds of counts, one of them overdispersed, with an exposure, and a kind for each row."""
    rng = np.random.default_rng(seed)
    busy, hours = rng.random(rows) < 0.4, rng.uniform(0.5, 2, rows)
    errors = rng.poisson(hours * np.where(busy, 40 * rng.gamma(3.0 * hours, 1 / (3.0 * hours)), 4.0))
    return {"errors": errors, "hours": hours}, busy


def test_the_joint_density_of_negative_binomials_at_values_of_the_grid_is_scipys():
    data, _ = overdispersed(30, 1)
    data["errors"] = np.where(np.arange(30) % 5 == 0, np.nan, data["errors"])
    mixture = Mixture(["errors"], data, component="negative_binomial", exposure="hours", missing="marginalise", max_components=4)
    rng, at = np.random.default_rng(2), np.array([3.0, 12.0])
    rate = rng.uniform(3, 40, (2, 1))
    values = {"stick": rng.uniform(0.2, 0.8, 2), "part0_place": at[:, None], "part0_rate": rate}
    weight, total = weights_and_prior("dirichlet_process", values, 1.0, 4, 2)
    counts, exposure = mixture.parts[0].numbers(mixture.table).T
    c, held = CONCENTRATIONS[at.astype(int)], ~np.isnan(counts)
    p = c / (c + rate[:, 0])
    usual = counts[held].sum() / exposure[held].sum()
    total += (stats.beta.logpdf(p, 1 + c / usual, 1) + np.log(c) - 2 * np.log(c + rate[:, 0]) - np.log(len(CONCENTRATIONS))).sum()
    logs = np.zeros((30, 2))
    logs[held] = stats.nbinom.logpmf(counts[held, None], exposure[held, None] * c, p)
    expected = total + logsumexp(np.log(weight) + logs, axis=1).sum()
    assert log_joint(mixture.pymc(2), values) == pytest.approx(expected, rel=1e-8)


def test_a_place_on_a_grid_integrates_to_the_sum_over_the_grid():
    """Of a smooth function of the logarithm; the sum is the rectangle rule of the integral."""
    grid = np.geomspace(0.1, 100, 13)
    with pm.Model() as model:
        found = write_place(grid, "x_", (4000,))
    at = -0.5 + len(grid) * (np.arange(4000) + 0.5) / 4000
    values = found.eval({model["x_place"]: at}, mode="FAST_COMPILE")

    def density(x):
        return np.exp(-0.5 * (np.log(x) - 0.7) ** 2)

    assert density(values).mean() == pytest.approx(density(grid).mean(), rel=1e-3)
    assert np.allclose(values[np.abs(at - 4).argmin()], grid[4], rtol=1e-2)
    assert start_place(np.array([[0.0, 0.5, 0.5]])).tolist() == [1.5]


def test_parts_that_would_share_names_carry_their_component():
    """Means of two kinds of Gaussians, and rates of two kinds of counts: none in the other's place."""
    rng = np.random.default_rng(1)
    first = rng.random(200) < 0.5
    data = {"a": rng.normal(np.where(first, 0, 9), 1), "b": rng.normal(np.where(first, 50, 30), 1),
            "c": rng.poisson(np.where(first, 2, 9)), "e": rng.poisson(np.where(first, 70, 90))}
    given = {"a": "gaussian", "b": "diagonal_gaussian", "c": "poisson", "e": "negative_binomial"}
    mixture = Mixture(list(data), data, component=given, max_components=3)
    fit = mixture.fit(seed=1)
    draws = fit.draws(1, 50)["posterior"].to_dataset()
    of = {"gaussian_mean": ("a", "gaussian_feature"), "diagonal_gaussian_mean": ("b", "diagonal_gaussian_feature"),
          "poisson_rate": ("c", "poisson_count_feature"), "negative_binomial_rate": ("e", "negative_binomial_count_feature")}
    for name, (column, dim) in of.items():
        assert draws[dim].values.tolist() == [column]
        assert np.allclose(draws[name].mean(["chain", "draw"]).values[:, 0], fit.components[f"{column}_mean"], rtol=0.1, atol=0.3)
    model = mixture.pymc(2)
    assert {each.name for each in model.deterministics} == set(draws.data_vars)
    assert all(model.named_vars_to_dims[name] == draws[name].dims[2:] for name in of)


@pytest.mark.parametrize("component", ["gaussian", "tied_gaussian", "diagonal_gaussian", "spherical_gaussian"])
def test_starts_have_the_expected_precision(component):
    """Deterministics of the model at its start against what coordinate ascent describes."""
    table, _ = separated(2, 2, 80, 2)
    mixture = Mixture(["x0", "x1"], table, component=component, max_components=3)
    fit = mixture.fit(seed=1)
    values = values_at(fit.priors, fit.parts, fit.posterior)
    model = mixture.pymc(fit.posterior.size)
    name = "covariance" if "covariance" in model.named_vars else "sd"
    given = {model[each]: value for each, value in values.items()}
    found = model[name].eval(given, mode="FAST_COMPILE", on_unused_input="ignore")
    params, scale = fit.posterior.params[0], fit.parts[0].layout.scale
    if name == "covariance":
        assert np.allclose(found, params["psi"] / params["nu"][:, None, None] * np.outer(scale, scale))
    else:
        shape = params["shape"] if component == "diagonal_gaussian" else params["shape"][:, None]
        rate = params["rate"] if component == "diagonal_gaussian" else params["rate"][:, None]
        assert np.allclose(found, scale / np.sqrt(shape / rate) * np.ones((fit.posterior.size, 2)))


def test_a_chain_that_switches_between_two_modes_is_relabelled():
    """Half the draws have their components swapped: averages over them are between the two, relabelled they are apart."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(-3, 1, 60), rng.normal(3, 1, 40)])
    means = np.array([-3.0, 3.0]) + 0.1 * rng.normal(size=(200, 2))
    weights = np.array([0.6, 0.4]) + 0.02 * rng.normal(size=(200, 2))
    swapped = rng.random(200) < 0.5
    means[swapped], weights[swapped] = means[swapped][:, ::-1], weights[swapped][:, ::-1]
    logs = np.log(weights)[:, None] + stats.norm.logpdf(x[None, :, None], means[:, None])
    reference = (x[:, None] > 0) == np.array([False, True])
    order = orders(logs, reference.astype(float))
    assert np.abs(means.mean(axis=0)).max() < 1
    assert relabel(means, order).mean(axis=0) == pytest.approx([-3, 3], abs=0.05)
    assert relabel(weights, order).mean(axis=0) == pytest.approx([0.6, 0.4], abs=0.01)
    assert (order[:, 0] == swapped).all()


def test_what_cannot_be_sampled_is_said():
    data = {"x": [1.0, 2.0, 4.0, 3.0, 0.0, 1.0]}
    mixture = Mixture(["x"], data)
    unwritten = [Part(replace(part.component, symbolic=None), part.layout) for part in mixture.parts]
    with pytest.raises(BayesGLMError, match="not written with PyMC variables"):
        build(mixture.priors, unwritten, [part.numbers(mixture.table) for part in unwritten], 2)
    with pytest.raises(BayesGLMError, match="engine of a mixture"):
        Mixture(["x"], data).fit(seed=1, engine="gibbs")
    with pytest.raises(BayesGLMError, match="there are at most 3"):
        Mixture(["x"], data, max_components=3).pymc(4)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["nuts", "advi"])
def test_separated_components_have_the_posterior_of_coordinate_ascent(engine):
    table, _ = separated(2, 2, 150, 1)
    mixture = Mixture(["x0", "x1"], table, max_components=4)
    ascent = mixture.fit(seed=1)
    fit = mixture.fit(seed=1, engine=engine)
    draws, other = fit.draws(1)["posterior"], ascent.draws(1, 4000)["posterior"]
    assert fit.sampled.reliable
    for name in ("weight", "mean", "covariance"):
        one, two = (each[name].stack(s=("chain", "draw")) for each in (draws, other))
        sd = two.std("s").values
        assert np.all(np.abs(one.mean("s").values - two.mean("s").values) < 0.25 * sd + 1e-9), name
        assert np.all(np.abs(np.log(one.std("s").values / sd)) < 0.25), name


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["nuts", "advi"])
@pytest.mark.parametrize("component", ["student_t", "negative_binomial"])
def test_parameters_on_a_grid_are_sampled_between_its_values(component, engine):
    """Posterior means agree with coordinate ascent; a parameter on a grid within its steps."""
    rng = np.random.default_rng(1)
    if component == "student_t":
        heavy = rng.random(200) < 0.5
        x = np.where(heavy, rng.standard_t(2.5, 200), 25 + rng.standard_t(60, 200))
        mixture = Mixture(["x"], {"x": x}, component=component, max_components=4)
        names, grid = {"weight", "location"}, {"degrees_of_freedom": DEGREES}
    else:
        data, _ = overdispersed(200, 1)
        mixture = Mixture(["errors"], data, component=component, exposure="hours", max_components=4)
        names, grid = {"weight", "rate"}, {"concentration": CONCENTRATIONS}
    fit, ascent = mixture.fit(seed=1, engine=engine), mixture.fit(seed=1)
    assert fit.posterior.size == 2
    draws, other = fit.draws(1)["posterior"], ascent.draws(1, 4000)["posterior"]
    for name in names:
        one, two = (each[name].stack(s=("chain", "draw")) for each in (draws, other))
        sd = np.maximum(one.std("s").values, two.std("s").values)
        assert np.all(np.abs(one.mean("s").values - two.mean("s").values) < 0.5 * sd), name
    for name, values in grid.items():
        place = [np.interp(np.log(each[name].mean(["chain", "draw"]).values), np.log(values), np.arange(len(values)))
                 for each in (draws, other)]
        assert np.all(np.abs(place[0] - place[1]) < 1), (name, place)


@pytest.fixture(scope="module")
def drawn():
    """A fit with draws of a sampler, made by hand: one component more often and wider than the other."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 1, 60), rng.normal(9, 1, 40)])
    fit = Mixture(["x"], {"x": x}, max_components=3).fit(seed=1)
    held = {"weight": (("chain", "draw", "component"), rng.dirichlet([6, 4], (2, 5)))}
    stats_ = {"diverging": (("chain", "draw"), np.zeros((2, 5), bool))}
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(held, {"component": [1, 2]}), "sample_stats": xr.Dataset(stats_)})
    return replace(fit, sampled=Sampled(tree, "nuts", 0.25, float("nan"), reliable=True, seconds=1.5)), x


def test_draws_of_a_sampler_are_saved(drawn, tmp_path):
    fit, _ = drawn
    fit.save(tmp_path / "fit.bglm")
    found = MixtureFit.load(tmp_path / "fit.bglm")
    for group in ("posterior", "sample_stats"):
        assert found.draws(1)[group].to_dataset().identical(fit.draws(1)[group].to_dataset())
    assert (found.sampled.engine, found.sampled.relabelled, found.sampled.reliable) == ("nuts", 0.25, True)
    assert np.isnan(found.sampled.k_hat)


def test_draws_of_a_sampler_do_not_outlive_their_rows(drawn):
    """After new rows they are draws of another posterior: those of coordinate ascent take their place."""
    fit, x = drawn
    for later in (fit.update({"x": x}), fit.pooled([fit.update({"x": x})])):
        assert later.sampled is None
        assert later.draws(1, 30)["posterior"].sizes["draw"] == 30
    assert fit.named({1: "warm"}).sampled is fit.sampled
