"""The transported density on JAX: the same posterior as the ``pm.Model``'s and the compiled core's, with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

from bayesglm.accelerated import blocks, likelihood
from bayesglm.accelerated.blocks import arrow_of
from bayesglm.accelerated.density import Accelerated, accelerate
from bayesglm.errors import EngineError
from bayesglm.families.gamma_ratio import LogRising
from bayesglm.latent.layout import Layout
from bayesglm.latent.mode import Point
from bayesglm.latent.nodes import CONSTANT
from bayesglm.model import build
from tests.latent.cases import CASES, interpreted, likelihood_of, point
from tests.latent.fields import EVERY, posterior_of, transported_of
from tests.latent.points import density_at, point_of
from tests.latent.test_densities import log_jacobian as log_jacobian_of

# Compiling takes JAX some seconds for each; one whose coordinates are those of the compiled core, and one with others.
QUICK = {"correlated slopes", "priors that are not normal"}
STEP = 1e-3
# Groups that are eliminated after a walk by the compiled core, and before it on JAX: other coordinates of the same posterior.
REORDERED = {"a walk of order 2", "priors that are not normal", "walks of order 2 for each level"}


@pytest.fixture(params=[pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in EVERY], scope="module")
def named(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("jax")
    return request.param


@pytest.fixture(scope="module")
def accelerated(named: str) -> Accelerated:
    return accelerate(transported_of(named))


def near(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


def size_of(accelerated: Accelerated) -> int:
    return sum(accelerated.posterior.field.sizes)


def log_jacobian(accelerated: Accelerated, q: np.ndarray) -> float:
    """Return log |d(t, w, v) / dq| by differences of fourth order."""
    moves = STEP * np.eye(len(q))
    at = {k: np.concatenate(accelerated.fields(q + k * moves), axis=1) for k in (-2, -1, 1, 2)}
    sign, value = np.linalg.slogdet((8.0 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12.0 * STEP))
    assert sign != 0
    return float(value)


def test_the_density_is_that_of_the_pymc_model(accelerated):
    """Constants and Jacobians included: that of the map by differences, those of the ``pm.Model`` by PyMC."""
    q = near(size_of(accelerated), seed=1)
    t, w, v = (each[0] for each in accelerated.fields(q[None]))
    at = Point(accelerated.posterior, t, w, v)
    model = build(accelerated.posterior.field.problem)
    values, density = point_of(at, model, accelerated(q)[0] - log_jacobian(accelerated, q))
    density -= sum(log_jacobian_of(own, at.theta) for own in at.posterior.field.own)
    assert density == pytest.approx(density_at(model, [*model.free_RVs, *model.observed_RVs], values), rel=1e-8)


def test_the_gradient_is_that_of_the_density(accelerated, named):
    """The compiled core's where the coordinates are the same, else that of differences."""
    q = near(size_of(accelerated), seed=2)
    value, gradient = accelerated(q)
    if named not in REORDERED:
        expected, slope = transported_of(named)(q)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-9)
        return
    moves = 1e-5 * np.eye(len(q))
    slope = np.array([accelerated(q + move)[0] - accelerated(q - move)[0] for move in moves]) / 2e-5
    np.testing.assert_allclose(gradient, slope, rtol=2e-6, atol=2e-6)


def test_where_a_parameter_overflows_there_is_no_density(accelerated):
    value, gradient = accelerated(np.full(size_of(accelerated), 1e5))
    assert value == -np.inf
    assert not gradient.any()


def test_draws_are_moved_the_same_in_any_number(accelerated):
    q = np.stack([near(size_of(accelerated), seed) for seed in range(70)])
    for one, each in zip(accelerated.fields(q), accelerated.fields(q[66:67]), strict=True):
        np.testing.assert_array_equal(one[66:67], each)


def test_numbers_are_double_whatever_jax_is_set_to():
    jax = pytest.importorskip("jax")
    accelerated = accelerate(transported_of("correlated slopes"))
    q = near(size_of(accelerated), seed=3)
    with jax.enable_x64(new_val=False):
        value, gradient = accelerated(q)
        fields = accelerated.fields(q[None])
    assert value == accelerated(q)[0]
    assert gradient.dtype == fields[1].dtype == np.float64


def test_another_density_is_noticed(monkeypatch):
    """The prior of a scale is another on the device: it is refused, and not sampled."""
    pytest.importorskip("jax")
    transported = transported_of("correlated slopes")
    monkeypatch.setattr(Accelerated, "__call__", lambda self, q: (transported(q)[0] + 0.01, q))
    with pytest.raises(EngineError, match="double precision"):
        accelerate(transported)


@pytest.mark.parametrize("name", EVERY)
def test_clusters_are_independent_levels(name):
    """Every coordinate stands once; no entry of P couples two clusters, and a priori no two coordinates of one."""
    layout = posterior_of(name).layout
    arrow = arrow_of(layout)
    live = arrow.clusters[arrow.clusters >= 0]
    assert sorted([*live, *arrow.rest]) == list(range(len(layout.start) - 1))
    cluster = np.full(len(layout.start) - 1, -1)
    for number, each in enumerate(arrow.clusters):
        cluster[each[each >= 0]] = number
        assert (np.diff(each[each >= 0]) > 0).all()
    below, right = cluster[layout.row], cluster[np.repeat(np.arange(len(cluster)), np.diff(layout.start))]
    read = np.zeros(len(layout.row), bool)
    read[layout.position] = True
    assert (below == right)[read & (below >= 0) & (right >= 0)].all()
    apart = layout.band_row != layout.band_column
    assert (cluster[layout.band_row[apart]] < 0).all()
    assert (layout.band_kind[cluster[layout.band_row] >= 0] == CONSTANT).all()


def test_the_largest_factor_and_what_shares_its_levels_are_eliminated():
    chosen = ("two crossed groups", "two predictors that are coupled", "a walk")
    found = {name: arrow_of(posterior_of(name).layout) for name in chosen}
    assert found["two crossed groups"].clusters.shape == (5, 2)
    assert len(found["two crossed groups"].rest) == 3
    assert found["two predictors that are coupled"].clusters.shape == (5, 2)
    assert (found["a walk"].clusters == -1).all()


def test_a_dense_matrix_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(blocks, "MOST_DENSE", 10)
    with pytest.raises(EngineError, match="13 coordinates are left") as caught:
        arrow_of(posterior_of("a walk").layout)
    assert "nuts" in caught.value.fix


def test_a_layout_with_unknown_parts_is_refused(monkeypatch):
    """What a layout has besides what the blocks read is named, where there is some of it."""
    assert set(Layout._fields) == blocks.KNOWN
    monkeypatch.setattr(blocks, "KNOWN", blocks.KNOWN - {"shear_core"})
    with pytest.raises(EngineError, match="shear_core") as caught:
        arrow_of(posterior_of("a walk").layout)
    assert "nuts" in caught.value.fix
    arrow_of(posterior_of("a group").layout)


def test_coefficients_with_scales_of_their_own_are_clusters():
    layout = posterior_of("a horseshoe").layout
    arrow = arrow_of(layout)
    alone = arrow.clusters[(arrow.clusters >= 0).sum(axis=1) == 1].max(axis=1)
    assert set(layout.own_place) <= set(alone)


# Two predictors with all of the gamma functions, and a constant parameter; others are slow.
FAST = {"zero_inflated_negative_binomial, all"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in CASES])
def test_every_family_runs_on_jax(name):
    jax = pytest.importorskip("jax")
    cells = likelihood_of(name)
    eta, constants = point(cells)
    with jax.enable_x64(new_val=True):
        found = jax.jit(jax.value_and_grad(likelihood.log_likelihood(cells.form), argnums=(0, 1)))(eta, constants, cells.data)
    value, d_eta, d_constants = interpreted(cells, "first")(eta, constants)
    assert float(found[0]) == pytest.approx(float(value), rel=1e-10)
    np.testing.assert_allclose(found[1][0], d_eta, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found[1][1], d_constants, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("order", [0, 1])
def test_ratios_of_gamma_functions(order):
    jax = pytest.importorskip("jax")
    grid = np.meshgrid([1e-30, 1e-3, 0.5, 3.0, 15.9, 16.0, 17.0, 1e4, 1e9], [0.0, 1.0, 2.5, 7.0, 20.0, 1e5])
    a, y = (each.ravel() for each in grid)
    with jax.enable_x64(new_val=True):
        found = np.asarray(jax.jit(likelihood.RISING[order])(a, y))
    left, right = pt.dvectors("a", "y")
    kernel = pytensor.function([left, right], pt.elemwise.Elemwise(LogRising(order))(left, right))
    np.testing.assert_allclose(found, kernel(a, y), rtol=1e-12, atol=1e-13)


def test_an_operation_that_jax_lacks_is_named(monkeypatch):
    pytest.importorskip("jax")
    a = pt.dvector("a")
    strange = pt.elemwise.Elemwise(LogRising(2))(a, a)
    monkeypatch.setattr(likelihood, "graph_of", lambda form, name: ([a], [strange]))
    form: Any = likelihood_of("poisson").form
    with pytest.raises(EngineError, match="log_rising_2") as caught:
        likelihood.first_of(form)
    assert "nuts" in caught.value.fix


def test_a_check_of_parameters_gives_no_number():
    """Where a density of PyMC's would raise on the processor, it is not a number on the device, and elsewhere it is the same."""
    pytest.importorskip("jax")
    sigma = pt.dvector("sigma")
    density = pm.logp(pm.Normal.dist(0.0, sigma), np.ones(2))
    function = pytensor.function([sigma], density.sum(), mode=likelihood.jax_mode())
    assert np.isnan(function(np.array([1.0, -1.0])))
    assert function(np.array([1.0, 2.0])) == pytest.approx(density.sum().eval({sigma: np.array([1.0, 2.0])}, mode="FAST_COMPILE"))
