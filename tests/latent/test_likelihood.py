"""The likelihood on cells: equal to the model over rows, with the derivatives that its values have."""

from __future__ import annotations

import threading
from itertools import product

import numba
import numpy as np
import pytest

from bayesglm.families.family import Family
from bayesglm.latent.cells import cells_of
from bayesglm.latent.graph import compiled, graph_of
from bayesglm.latent.likelihood import likelihood_on, redrawn
from bayesglm.model import build
from bayesglm.registry import discover
from tests.latent.cases import CASES, PYTHON, interpreted, likelihood_of, model_of, point

FAMILIES = discover("bayesglm.families", Family)
# One for each kind of reduction; the others take as long and find as little.
QUICK = {"poisson", "negative_binomial", "zero_inflated_negative_binomial, all", "gaussian", "beta_binomial"}
ALL = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
# Largest standard score of a fixed seed: some 60 of them are looked at, of which one in a million is beyond 5.
MOST_SIGMAS = 5.0
# What sums over blocks of counts lose of an information, against sums over every count.
BLOCK_ERROR = 0.003


def over_rows(name: str, seed: int):
    """Return the log likelihood of the ``pm.Model`` over rows at a random point, with eta at patterns and the constants."""
    problem = model_of(name).problem
    specification = problem.specification
    model = build(problem, over="obs")
    wanted = [each.name for each in specification.constant()]
    wanted += [each.name(part) for each in specification.predictors for part in ("Intercept", "beta")
               if each.name(part) in model.named_vars]
    outputs = dict(zip([each.name for each in model.unobserved_value_vars], model.unobserved_value_vars, strict=True))
    function = model.compile_fn([model.logp(vars=model.observed_RVs), *(outputs[each] for each in wanted)], mode=PYTHON)
    rng = np.random.default_rng(seed)
    start = model.initial_point()
    total, *found = function({key: rng.normal(0.0, 0.5, np.shape(value)) for key, value in start.items()})
    found = dict(zip(wanted, found, strict=True))
    etas = []
    for each in specification.predictors:
        coded = each.code(problem.patterns.table)
        beta = coded.common @ found[each.name("beta")] if each.coef else 0.0
        etas.append(coded.offset + beta + found[each.name("Intercept")])
    return float(total), np.array(etas), np.array([found[each.name] for each in specification.constant()])


@pytest.mark.parametrize("name", ALL)
def test_the_likelihood_on_cells_is_the_one_over_rows(name):
    likelihood = likelihood_of(name)
    evaluate = interpreted(likelihood, "first")
    for seed in (1, 2):
        expected, eta, constants = over_rows(name, seed)
        found = evaluate(eta[:, likelihood.pattern], constants)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_every_family_is_among_the_cases():
    assert {case.family for case in CASES.values()} == set(FAMILIES)


def slopes_agree(likelihood, first, second, third):
    """Hold each derivative against the central difference of the one before, along a random direction."""
    eta, constants = point(likelihood)
    rng = np.random.default_rng(5)
    toward, moved = rng.normal(size=eta.shape), rng.normal(size=constants.shape) * 0.3
    weight = rng.normal(size=(len(eta), *eta.shape))
    step = 1e-5

    def around(evaluate, *between):
        ends = [evaluate(eta + sign * step * toward, constants + sign * step * moved, *between) for sign in (1.0, -1.0)]
        return [(up - down) / (2.0 * step) for up, down in zip(*ends, strict=True)]

    value, d_eta, d_constants, curvature, cross = second(eta, constants)
    for found, expected in zip((value, d_eta, d_constants), first(eta, constants), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(curvature, np.swapaxes(curvature, 0, 1))
    slopes = around(first)
    np.testing.assert_allclose((d_eta * toward).sum() + d_constants @ moved, slopes[0], rtol=1e-6, atol=1e-6)
    bent = -np.einsum("ijc,jc->ic", curvature, toward) + np.einsum("kpc,k->pc", cross, moved)
    np.testing.assert_allclose(bent, slopes[1], rtol=1e-6, atol=1e-6)
    t_eta, t_constants = third(eta, constants, weight)
    expected = (weight * around(second)[3]).sum()
    scale = np.abs(t_eta * toward).sum() + np.abs(t_constants * moved).sum()
    np.testing.assert_allclose((t_eta * toward).sum() + t_constants @ moved, expected, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_derivatives_are_the_slopes_of_values(name):
    likelihood = likelihood_of(name)
    slopes_agree(likelihood, *(interpreted(likelihood, each) for each in ("first", "second", "third")))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_compiled_derivatives_are_the_slopes_of_values(name):
    likelihood = likelihood_of(name)
    slopes_agree(likelihood, likelihood.value_and_gradient, likelihood.second, likelihood.third)
    eta, constants = point(likelihood)
    for found, expected in zip(likelihood.value_and_gradient(eta, constants),
                               interpreted(likelihood, "first")(eta, constants), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def smallest(curvature):
    """Return the smallest eigenvalue of each cell over its largest in size."""
    values = np.linalg.eigvalsh(np.moveaxis(curvature, -1, 0))
    return values[:, 0] / np.maximum(np.abs(values).max(axis=1), 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_where_a_family_is_said_to_be_log_concave_it_is_and_elsewhere_not(name):
    likelihood, problem = likelihood_of(name), model_of(name).problem
    rows = likelihood_on(problem.specification, cells_of(problem, "apart"))
    rng, found = np.random.default_rng(3), []
    for seed, (spread, size) in enumerate(product((0.5, 2.0, 4.0), (1.0, 0.1, 0.01))):
        eta, constants = point(likelihood, seed, spread)
        found.append(smallest(likelihood.second(eta, size * constants)[3]))
        eta, constants = point(rows, seed, spread)
        drawn = redrawn(rows, np.clip(eta, -2.0, 2.0), constants, rng)
        found.append(smallest(drawn.second(eta, size * constants)[3]))
    if likelihood.log_concave:
        assert np.concatenate(found).min() > -1e-6
    else:
        assert np.concatenate(found).min() < -1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_expected_information_is_the_mean_curvature_of_the_rows(name):
    likelihood, problem = likelihood_of(name), model_of(name).problem
    rows = likelihood_on(problem.specification, cells_of(problem, "identical"))
    eta, constants = point(likelihood, 2, 0.5)
    eta = eta[:, :likelihood.cells.patterns]
    of_cells, of_rows = eta[:, likelihood.pattern], eta[:, rows.pattern]
    rng, draws = np.random.default_rng(8), 400
    per_row = np.array([redrawn(rows, of_rows, constants, rng).second(of_rows, constants)[3] for _ in range(draws)])
    curvature = per_row * rows.cells.frequency
    found = np.array([likelihood.information(of_cells, constants, seed) for seed in range(12)])
    assert np.array_equal(found[0], likelihood.information(of_cells, constants, 0))
    assert min(smallest(each).min() for each in found) > -1e-9
    variance = (curvature.var(axis=0, ddof=1) / draws).sum(axis=-1) + (found.var(axis=0, ddof=1) / len(found)).sum(axis=-1)
    total = found.mean(axis=0).sum(axis=-1)
    size = np.sqrt(np.diag(total))
    off = total - curvature.mean(axis=0).sum(axis=-1)
    assert np.all(np.abs(off) <= MOST_SIGMAS * np.sqrt(variance) + BLOCK_ERROR * size[:, None] * size)


def test_the_kernel_is_called_by_compiled_code_without_the_lock():
    likelihood = likelihood_of("poisson")
    kernel, data = likelihood.kernel, likelihood.data

    @numba.njit(nogil=True)
    def twice(eta, constants, data):
        value, d_eta, _ = kernel(eta, constants, *data)
        return 2.0 * value[()], d_eta

    eta, constants = point(likelihood)
    value, d_eta, d_constants = likelihood.value_and_gradient(eta, constants)
    found, gradient = twice(eta, constants, data)
    assert found == 2.0 * value
    np.testing.assert_array_equal(gradient, d_eta)
    assert d_constants.shape == (0,)
    results = []
    threads = [threading.Thread(target=lambda: results.append(likelihood.value_and_gradient(eta, constants)[0]))
               for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert results == [value] * 4


def test_models_of_one_form_share_their_code():
    one, other = likelihood_of("poisson"), likelihood_of("poisson, no exposure")
    assert one.form == other.form
    assert one.data[0].tolist() != other.data[0].tolist()
    assert compiled(one.form, "first") is compiled(other.form, "first")
    assert likelihood_of("binomial").form != likelihood_of("binomial, probit").form
    assert graph_of(one.form, "first")[0][0].type.shape == (1, None)
