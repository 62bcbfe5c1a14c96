"""Numbers of components held against each other, and what several starts are for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture, compare_sizes
from bayesglm.mixtures.learning import coordinates, rows_and_bases
from bayesglm.mixtures.sizes import climbs
from tests.mixtures.worlds import mixed, separated


def test_all_criteria_agree_where_components_are_far_apart():
    table, _ = separated(3, 2, 500, 1, distance=8.0)
    mixture = Mixture(["x0", "x1"], table, max_components=8)
    found = compare_sizes(mixture, seed=1, most=5, starts=4)
    assert found.recommended == 3 == mixture.fit(seed=1).posterior.size
    assert found.table["components"].tolist() == [1, 2, 3, 4, 5]
    assert found.table["bic"].idxmin() == 2
    assert found.table["held_out"].iloc[2] > found.table["held_out"].iloc[0] + 0.3
    assert found.reason.startswith("3 components have a bound within 1 nat of the largest")
    again = compare_sizes(mixture, seed=1, most=5, starts=4)
    assert again.table.equals(found.table)


def test_criteria_that_differ_are_named_and_the_end_of_the_range_is_said():
    table, _ = separated(3, 2, 400, 1)
    found = compare_sizes(Mixture(["x0", "x1"], table), seed=1, most=2)
    assert found.recommended == 2
    assert "largest that was tried" in found.reason
    data, _ = mixed(300, 1)
    few = compare_sizes(Mixture(["restarts", "cold"], data, component={"restarts": "poisson"}), seed=1, most=3)
    differ = {int(few.table["components"][few.table[name].idxmin()]) for name in ("bic", "aic")} - {few.recommended}
    assert all(f"says {size}" in few.reason for size in differ)


def test_the_criteria_count_parameters_and_rows():
    """One Gaussian by hand: as the likelihood is that at expected parameters, BIC - AIC is p (log n - 2)."""
    x = np.random.default_rng(1).normal(size=(200, 2))
    table = compare_sizes(Mixture(["a", "b"], {"a": x[:, 0], "b": x[:, 1]}), seed=1, most=1).table
    assert (table["bic"] - table["aic"])[0] == pytest.approx(5 * (np.log(160) - 2))


def test_numbers_out_of_range_are_refused():
    mixture = Mixture(["x"], {"x": [1.0, 2.0, 4.0, 3.0]}, max_components=3)
    for options, says in (({"most": 4}, "most=4"), ({"held_out": 1.0}, "held_out"), ({"starts": 0}, "starts=0")):
        with pytest.raises(BayesGLMError, match=says):
            compare_sizes(mixture, seed=1, **options)


@pytest.mark.slow
def test_ten_starts_recover_where_one_is_stuck():
    """Nine kinds of rows in three groups of three: single starts often put two centers into one of them and are stuck there."""
    rng = np.random.default_rng(1)
    group, own = np.divmod(np.arange(9), 3)
    means = np.column_stack([10.0 * group + 2.5 * np.cos(2.1 * own), 2.5 * np.sin(2.1 * own)])
    x = means[rng.integers(0, 9, 1800)] + 0.35 * rng.normal(size=(1800, 2))
    mixture = Mixture(["a", "b"], {"a": x[:, 0], "b": x[:, 1]})
    rows, bases, numbers = rows_and_bases(mixture.parts, mixture.table)
    problem, points = replace(mixture.priors, held=rows, base=float(bases.sum())), coordinates(mixture.parts, numbers)
    ends = [climbs(problem, points, 9, 10, np.random.default_rng(seed)) for seed in range(40)]
    bounds = np.array([[state.bound for state in each] for each in ends])
    top = bounds.max()
    assert (bounds[:, 0] < top - 50).mean() > 0.1
    assert (bounds.max(axis=1) > top - 1).mean() > 0.95
