"""The posterior in transported coordinates: a change of variables with an exact Jacobian and an exact gradient."""

from __future__ import annotations

import numpy as np
import pytest

from bayesglm.latent.density import Transported, packed
from bayesglm.latent.hyper import SIGNED
from tests.latent.fields import EVERY, transported_of

STEP = 1e-5


@pytest.fixture(params=EVERY, scope="module")
def transported(request: pytest.FixtureRequest) -> Transported:
    return transported_of(request.param)


def near(transported: Transported, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=transported.size)


def with_a_scale_at_zero(transported: Transported) -> np.ndarray:
    """Return coordinates where the first scale that may cross 0 is exactly 0 but for rounding."""
    q, reference = near(transported), transported.reference
    k = int(np.flatnonzero(transported.posterior.field.hyper.way == SIGNED)[0])
    size = len(reference.t)
    t = reference.t + reference.turn @ q[:size]
    t[k] = 0.0
    q[:size] = np.linalg.solve(reference.turn, t - reference.t)
    return q


def differences(transported: Transported, q: np.ndarray) -> np.ndarray:
    moves = STEP * np.eye(len(q))
    return np.array([(transported(q + move)[0] - transported(q - move)[0]) / (2 * STEP) for move in moves])


def test_the_gradient_is_that_of_the_density(transported):
    q = near(transported)
    value, gradient = transported(q)
    assert np.isfinite(value)
    np.testing.assert_allclose(gradient, differences(transported, q), rtol=2e-6, atol=2e-6)


def test_the_density_is_the_posteriors_with_the_jacobian_of_the_map(transported):
    q = near(transported, seed=1)
    theta, _, size = transported.posterior.field.sizes
    moves = STEP * np.eye(len(q))
    ahead, behind = (np.concatenate(transported.fields(q + sign * moves), axis=1) for sign in (1, -1))
    _, jacobian = np.linalg.slogdet((ahead - behind) / (2 * STEP))
    t, w, v = (each[0] for each in transported.fields(q[None]))
    assert transported(q)[0] == pytest.approx(transported.posterior.log_joint(t, w, v) + jacobian, abs=1e-5)
    # Fields given hyperparameters: no hyperparameter moves with the field.
    assert np.abs(((ahead - behind) / (2 * STEP))[theta:, :theta]).max(initial=0.0) == 0.0
    assert w.shape == (size,)


@pytest.mark.parametrize("name", ["correlated slopes", "two crossed groups", "a walk", "walks without an intercept", "curves",
                                  "slopes without data"])
def test_a_scale_of_zero_is_a_point_like_others(name):
    transported = transported_of(name)
    q = with_a_scale_at_zero(transported)
    np.testing.assert_allclose(transported(q)[1], differences(transported, q), rtol=2e-6, atol=2e-6)


def test_the_sampler_sees_the_same_numbers(transported):
    q = near(transported, seed=2)
    value, gradient = transported(q)
    filled = np.empty_like(q)
    assert packed(q, filled, *transported.arrays) == value
    np.testing.assert_array_equal(filled, gradient)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "a prior with long tails"])
def test_the_posterior_is_nearly_standard_normal(name):
    """The log density falls like that of a standard normal: within a few nats at draws of it, where it falls by dozens."""
    transported = transported_of(name)
    highest = transported(np.zeros(transported.size))[0]
    rng = np.random.default_rng(3)
    apart = []
    for _ in range(20):
        q = 0.7 * rng.normal(size=transported.size)
        apart.append(transported(q)[0] - highest + q @ q / 2)
    assert np.median(np.abs(apart)) < 0.2 * 0.49 * transported.size / 2 + 1.5


def test_a_level_without_data_keeps_its_prior():
    """Its coordinate is standard normal, whatever the scale, and moves with nothing else."""
    transported = transported_of("a level without data")
    field = transported.posterior.field
    place = int(field.placed[0].sparse[field.placed[0].block.levels.index("unseen"), 0])
    q, at = near(transported), field.hyper.size + place
    moved = q.copy()
    moved[at] += 1.3
    (_, w, v), (_, w_moved, v_moved) = (transported.fields(each[None]) for each in (q, moved))
    assert transported(moved)[0] - transported(q)[0] == pytest.approx((q[at] ** 2 - moved[at] ** 2) / 2, abs=1e-9)
    assert w_moved[0, place] - w[0, place] == pytest.approx(1.3, abs=1e-12)
    assert np.delete(w_moved - w, place).max(initial=0.0) == 0.0
    assert (v == v_moved).all()


def test_parameters_that_overflow_have_no_density():
    transported = transported_of("a constant parameter")
    q = np.zeros(transported.size)
    q[:2] = 1e5
    value, gradient = transported(q)
    assert value == -np.inf
    assert not gradient.any()
