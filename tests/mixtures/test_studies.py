"""Studies over many simulated tables: numbers of components, and the coverage of intervals, with a negative control.

Reduced; `python -m benchmarks.mixtures components coverage` runs them in full.
"""

from __future__ import annotations

import numpy as np
import pytest

from bayesglm.mixtures import Mixture
from tests.mixtures.worlds import known, separated

pytestmark = pytest.mark.slow


def covered(seeds, level):
    """Return how many intervals of weights and means hold the truth, in tables of four well separated components."""
    found = []
    for seed in range(seeds):
        table, _, weights, means = known(4, 2, 800, 100 + seed, 8.0)
        drawn = Mixture(["x0", "x1"], table, max_components=8).fit(seed=seed).draws(seed=seed, size=600)["posterior"]
        middle = drawn["mean"].mean(["chain", "draw"]).values
        place = np.linalg.norm(means[:, None] - middle, axis=2).argmin(axis=1)
        for name, truth in (("weight", weights), ("mean", means)):
            low, high = np.quantile(drawn[name].values[0][:, place], [(1 - level) / 2, (1 + level) / 2], axis=0)
            found += ((low <= truth) & (truth <= high)).ravel().tolist()
    return np.mean(found)


def test_intervals_of_separated_components_cover():
    assert 0.84 <= covered(30, 0.9) <= 0.96
    assert covered(30, 0.7) < 0.84


@pytest.mark.parametrize(("count", "size"), [(1, 2), (1, 8), (12, 2), (12, 8)])
def test_the_number_of_components_is_exact_but_for_one_in_six_at_most(count, size):
    exact = 0
    for seed in range(6):
        table, _ = separated(count, size, 12_000, 1000 * count + seed, 4.0)
        exact += Mixture(list(table), table, max_components=25).fit(seed=seed).posterior.size == count
    assert exact >= 5
