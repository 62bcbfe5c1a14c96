"""Quantiles: their estimated errors are those of repeated draws, and chains and weights are held to them."""

from __future__ import annotations

import numpy as np
import pytest

from bayesglm.engines.goals import effective
from bayesglm.engines.quantiles import ENOUGH, ROBUST, weighted_quantiles, weighted_tails

DRAWS, TIMES = 1_000, 300


def long_tails(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draw effects of groups without data: a normal number times an sd that is normal too."""
    return rng.normal(size=shape) * rng.normal(size=shape)


def robust_sd(values: np.ndarray) -> float:
    return float(ROBUST * np.median(np.abs(values - np.median(values))))


@pytest.mark.parametrize("law", [lambda rng, *shape: rng.normal(size=shape), long_tails], ids=["normal", "long tails"])
def test_errors_are_those_of_repeated_draws(law) -> None:
    rng = np.random.default_rng(0)
    repeated = law(rng, DRAWS, TIMES)
    truth = np.quantile(repeated, 0.95, axis=0).std() / robust_sd(law(rng, 200_000))
    found = weighted_tails(repeated, np.full(DRAWS, 1 / DRAWS))
    each = found.slope[1] * np.sqrt(0.95 / (0.05 * found.effective[1]))
    assert each.mean() == pytest.approx(truth, rel=0.15)  # one Monte Carlo error of the truth is 4 %
    # The largest of many is chance; less of it than of the largest as they are.
    assert found.errors().max() < 1.2 * truth
    assert each.max() > 1.3 * truth


def test_uneven_weights_and_few_draws_are_worth_less() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4_000, 3))
    even = weighted_tails(values, np.full(4_000, 1 / 4_000))
    weight = np.exp(values[:, 0])
    uneven = weighted_tails(values, weight / weight.sum())
    assert even.effective.min() > 3_000
    assert uneven.effective[1, 0] < 500  # where the large weights are
    assert even.resampled(500, 4_000).errors().min() > 2 * even.errors().max()
    np.testing.assert_allclose([uneven.lower[0], uneven.upper[0]], [1 - 1.645, 1 + 1.645], atol=0.35)


def test_quantiles_of_equal_weights_are_those_of_the_draws() -> None:
    values = np.random.default_rng(2).normal(size=(999, 4))
    found = weighted_quantiles(values, np.full(999, 1 / 999), (0.05, 0.5, 0.95))
    np.testing.assert_allclose(found, np.quantile(values, (0.05, 0.5, 0.95), axis=0, method="inverted_cdf"))


def test_chains_with_long_tails_need_more_draws_than_their_goal() -> None:
    rng = np.random.default_rng(3)
    normal, heavy = rng.normal(size=(5, 4, 500)), long_tails(rng, 5, 4, 500)
    assert effective(normal).meets(1_000.0).all()
    found = effective(heavy)
    assert found.tail.min() > 1_000
    assert found.r_hat.max() < 1.01
    assert not found.meets(1_000.0).any()
    assert (found.error > ENOUGH).all()
    assert effective(long_tails(rng, 5, 4, 2_500)).meets(1_000.0).all()


def test_what_does_not_vary_is_known_and_half_equal_draws_are_not() -> None:
    values = np.zeros((1_000, 2))
    values[:400, 1] = np.random.default_rng(4).normal(size=400)
    error = weighted_tails(values, np.full(1_000, 1e-3)).errors()
    assert error[0] == 0.0
    assert error[1] == np.inf
