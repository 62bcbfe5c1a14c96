"""The posteriors are those of long Stan runs, and the comparison would say so if they were not."""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest

from tests.reference.cases import names, read_case, reference_level, right_side
from tests.reference.comparison import compare, disagreements, draws_to_precision

FAST = ("cbpp_binomial", "roaches_nb")


@cache
def compared(name: str) -> pd.DataFrame:
    case = read_case(name)
    return compare(case.posterior, draws_to_precision(case.model, case.posterior.index, seed=1))


def marked(name: str) -> object:
    return pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow])


@pytest.mark.parametrize("name", list(map(marked, names())))
def test_posterior_is_that_of_stan(name: str) -> None:
    off = disagreements(compared(name))
    assert off.empty, f"\n{off.round(3).to_string()}"


@pytest.mark.parametrize(("column", "shift"), [
    ("mean_gap", 0.2), ("mean_gap", -0.2), ("sd_gap", 0.2), ("sd_gap", -0.2), ("q05_gap", 0.3), ("q95_gap", -0.3),
    ("ess", -1e6),
])
def test_a_perturbed_reference_is_noticed(column: str, shift: float) -> None:
    table = compared("cbpp_binomial")
    assert len(disagreements(table.assign(**{column: table[column] + shift}))) == len(table)


def test_words_of_brms() -> None:
    table = pd.DataFrame({"a": ["u v", "w-x", "u v"], "g": ["1", "2", "1"]})
    assert reference_level("a", table, ["b_Intercept", "b_awMx:z", "b_awMx"]) == "u v"
    assert reference_level("a", table, ["b_auv", "b_awMx"]) is None
    assert right_side("0 +  Intercept + a:z + (1 + a |  g)", {"a": "u v"}) == (
        'C(a, reference="u v"):z + (1 + C(a, reference="u v") | g)')
    assert right_side("0 + Intercept", {}) == "1"
