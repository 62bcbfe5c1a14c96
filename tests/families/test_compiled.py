"""What engines compile of a family runs without Python objects: value, gradient and curvature, and draws."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

from bayesglm.families.family import Family
from bayesglm.families.values import Values
from bayesglm.registry import discover
from tests.families import laws

FAMILIES = discover("bayesglm.families", Family)


def derivatives(family: Family):
    """Return (inputs, outputs): log density, its gradient in every linear predictor, and all second derivatives per unit."""
    values, inputs = laws.symbols(family)
    y = pt.dvector("y")
    etas = list(values.eta.values())
    total = pm.logp(family.likelihood(values), y).sum()
    gradients = pytensor.grad(total, etas)
    second = [pytensor.grad(gradient.sum(), etas[j], disconnected_inputs="ignore")
              for i, gradient in enumerate(gradients) for j in range(i, len(etas))]
    return [y, *inputs], [total, *gradients, *second]


@pytest.mark.parametrize("name", FAMILIES)
def test_value_gradient_and_curvature_compile_without_objects(name):
    # PyTensor warns when it falls back to Python objects, and warnings are errors here.
    inputs, outputs = derivatives(FAMILIES[name])
    pytensor.function(inputs, outputs, mode="NUMBA")


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_compile_without_objects(name):
    family = FAMILIES[name]
    values, inputs = laws.symbols(family)
    pytensor.function(inputs, family.likelihood(values), mode="NUMBA")


def test_a_fall_back_is_seen():
    def by_numpy(x, rng=None, size=None):
        return rng.normal(x, size=size)

    x = pt.dvector("x")
    with pytest.raises(UserWarning, match="object mode"):
        pytensor.function([x], pm.CustomDist.dist(x, random=by_numpy), mode="NUMBA")


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_are_the_slopes_of_the_log_density(name):
    family = FAMILIES[name]
    inputs, outputs = derivatives(family)
    compiled = pytensor.function(inputs, outputs, mode="FAST_COMPILE")
    setting = laws.settings(family)
    y = family.draw(np.random.default_rng(1), setting.numbers, setting.trials)
    n = [] if setting.trials is None else [setting.trials]
    names, count = [each.name for each in family.parameters], len(family.parameters)

    def at(moved):
        _, *rest = compiled(y, *moved.values(), *n)
        return rest[:count], rest[count:]

    density, step = laws.log_density(family), 1e-5
    gradients, second = at(setting.etas)
    pairs = [(i, j) for i in range(count) for j in range(i, count)]
    for j, name_j in enumerate(names):
        up, down = ({**setting.etas, name_j: setting.etas[name_j] + sign * step} for sign in (1, -1))
        slope = (density(y[None], up, setting.trials) - density(y[None], down, setting.trials))[0] / (2 * step)
        np.testing.assert_allclose(gradients[j], slope, rtol=1e-6, atol=1e-6)
        bends = [(a - b) / (2 * step) for a, b in zip(at(up)[0], at(down)[0], strict=True)]
        for (i, other), found in zip(pairs, second, strict=True):
            if other == j:
                np.testing.assert_allclose(found, bends[i], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_are_finite_far_out(name):
    family = FAMILIES[name]
    inputs, outputs = derivatives(family)
    compiled = pytensor.function(inputs, outputs, mode="FAST_COMPILE")
    far = np.repeat([-25.0, 25.0], 3)
    low = max(family.support.lower, 0.0) + (0.0 if family.support.discrete else 0.5)
    y = np.tile(np.minimum([low, low + 1.0, low + 5.0], family.support.upper), 2)
    moderate = {each.name: np.full(6, laws.ETAS[each.role, each.links[0]][0]) for each in family.parameters}
    n = [np.full(6, 7.0)] if family.trials else []
    for parameter in family.parameters:
        etas = {**moderate, parameter.name: far}
        for found in compiled(y, *etas.values(), *n):
            assert np.isfinite(found).all(), parameter.name


def test_an_observed_response_goes_through_pymc():
    family = FAMILIES["zero_inflated_negative_binomial"]
    with pm.Model(coords={"obs": np.arange(4)}) as model:
        eta = pm.Normal("slope") + pm.Data("x", np.linspace(-1.0, 1.0, 4), dims="obs")
        log = family.parameters[0].link()
        values = Values(
            {"mu": log.tensor(eta), "zero_probability": pm.Beta("zero_probability", 1.0, 1.0),
             "concentration": pm.HalfNormal("concentration", 10.0)}, {"mu": eta}, {"mu": log},
        )
        observed = pm.Data("y_data", np.array([0.0, 3.0, 0.0, 1.0]), dims="obs")
        model.register_rv(family.likelihood(values), "y", observed=observed, dims=("obs",))
    prior = pm.sample_prior_predictive(20, model=model, random_seed=1, compile_kwargs={"mode": "FAST_COMPILE"})
    with model:
        later = pm.sample_posterior_predictive(prior["prior"], random_seed=1, progressbar=False,
                                               compile_kwargs={"mode": "FAST_COMPILE"})
    assert later["posterior_predictive"]["y"].dims == ("chain", "draw", "obs")
    assert np.isfinite(model.compile_logp(mode="FAST_COMPILE")(model.initial_point()))
