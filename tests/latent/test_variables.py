"""Draws in the model's own parameters: both sides of 0 are reported alike."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bayesglm.latent.hyper import SIGNED, evaluate
from bayesglm.latent.layout import Field
from bayesglm.latent.placed import Placed
from bayesglm.latent.variables import dims_of, expand
from tests.latent.fields import EVERY, posterior_of, somewhere


def images(field: Field, placed: Placed, t: np.ndarray, w: np.ndarray, v: np.ndarray):
    """Yield the same point with every choice of signs of a block's scales."""
    scales = np.unique(placed.sd)
    for signs in product((1.0, -1.0), repeat=len(scales)):
        sign = np.array(signs)[np.searchsorted(scales, placed.sd)]
        turned_t, turned_w, turned_v = t.copy(), w.copy(), v.copy()
        turned_t[placed.sd] = t[placed.sd] * sign
        if placed.partial.size:
            column, row = np.triu_indices(len(sign), 1)
            turned_t[placed.partial] *= sign[row] * sign[column]
        if placed.core is not None:
            turned_v[placed.core] *= sign
        else:
            live = placed.sparse >= 0
            turned_w[placed.sparse[live]] *= np.broadcast_to(sign, placed.sparse.shape)[live]
        yield turned_t, turned_w, turned_v


def expanded(field: Field, t: np.ndarray, w: np.ndarray, v: np.ndarray) -> dict[str, np.ndarray]:
    return expand(field, evaluate(t, field.hyper)[0][None], w[None], v[None])


@pytest.mark.parametrize("name", [name for name in EVERY if name != "priors that are not normal"])
def test_turned_scales_are_reported_as_they_were(name):
    posterior = posterior_of(name)
    t, w, v = somewhere(posterior)
    found = expanded(posterior.field, t, w, v)
    for placed in posterior.field.placed:
        assert (posterior.field.hyper.way[placed.sd] == SIGNED).all()
        for turned in images(posterior.field, placed, t, w, v):
            again = expanded(posterior.field, *turned)
            assert again.keys() == found.keys()
            for variable, values in found.items():
                np.testing.assert_allclose(again[variable], values, rtol=1e-12, atol=1e-12, err_msg=variable)
            assert posterior.log_joint(*turned) == pytest.approx(posterior.log_joint(t, w, v), rel=1e-11)


@pytest.mark.parametrize("name", EVERY)
def test_dims_and_coordinates_fit_the_draws(name):
    field = posterior_of(name).field
    found = expanded(field, *somewhere(posterior_of(name)))
    dims, coords = dims_of(field)
    assert field.problem.specification.reported().keys() <= found.keys()
    for variable, values in found.items():
        if variable in dims:
            assert values.shape[1:] == tuple(len(coords[dim]) for dim in dims[variable])
    scales = [name for name in found if name.split(".")[-1].startswith(("sd_", "zero_sd_"))]
    assert scales
    assert all((found[each] >= 0).all() for each in scales)


@pytest.mark.parametrize("name", ["a walk", "a walk of order 2"])
def test_a_walk_has_no_mean_and_its_innovations_no_memory(name):
    """The state is sd P y: of mean 0, of order 2 without a straight line; the innovations are differences of y."""
    posterior = posterior_of(name)
    field = posterior.field
    found = expanded(field, *somewhere(posterior))
    placed = next(each for each in field.placed if each.block.path is not None)
    order, nodes = placed.block.path.order, placed.block.path.nodes
    state = found[f"effect_{placed.block.name}"][0, :, 0]
    assert state.sum() == pytest.approx(0, abs=1e-12)
    if order == 2:
        assert state @ np.arange(nodes) == pytest.approx(0, abs=1e-10)
    sd = float(np.squeeze(found[placed.predictor.name(placed.block.hyperparameters[0].name)]))
    innovations = found[f"z_{placed.block.name}"][0, :, 0]
    bent = np.diff(state, n=2) / sd
    np.testing.assert_allclose(bent, np.diff(innovations, n=2 - order), atol=1e-10)
