"""Simulation-based calibration of every family, with planted faults that it must find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from bayesglm.families.family import Family
from bayesglm.formulation import find_family
from bayesglm.priors import Normal
from bayesglm.registry import discover
from tests.sbc.simulation import RANKS, Ranks, Simulator, model_of, ranks_of, simulate, simulator_of, uniformity

FAMILIES = tuple(sorted(discover("bayesglm.families", Family)))
# The chance that anything below fails though nothing is wrong; each family gets its share, each of its quantities an equal part.
JOINT_FALSE_ALARM = 1e-4
PROCESSES = 2


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Ranks]]]:
    """The simulations of all families that were asked for, as many at a time as there are cores."""
    asked = [item.callspec.params["family"] for item in request.session.items
             if "running" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec")]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        yield {name: pool.submit(simulate, name) for name in dict.fromkeys(asked)}
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_ranks_are_uniform(family: str, running: Mapping[str, Future[Ranks]], record_property) -> None:
    found = running[family].result()
    record_property("seconds", round(found.seconds))
    p = {name: uniformity(ranks) for name, ranks in found.ranks.items()}
    alarm = JOINT_FALSE_ALARM / len(FAMILIES) / len(p)
    assert min(p.values()) > alarm, {name: f"{each:.1e}" for name, each in p.items()}


@pytest.fixture(scope="module")
def poisson() -> Simulator:
    whole = simulator_of(find_family("poisson"), seed=11)
    return replace(whole, responses=whole.responses[:80])  # enough for what is planted below


def alarm_of(simulator: Simulator) -> float:
    return JOINT_FALSE_ALARM / len(FAMILIES) / (len(simulator.quantities) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("prior", [Normal(0.5, 0.2), Normal(0.0, 0.1)], ids=["shifted", "narrow"])
def test_a_wrong_prior_is_noticed(poisson: Simulator, prior: Normal) -> None:
    wrong = model_of(find_family("poisson"), {"x": prior}).problem
    assert uniformity(ranks_of(poisson, wrong, seed=1_000)["beta 0"]) < alarm_of(poisson)


@pytest.mark.slow
def test_a_lost_exposure_is_noticed(poisson: Simulator) -> None:
    observations = poisson.problem.observations
    wrong = replace(poisson.problem, observations=replace(observations, exposure=np.ones_like(observations.exposure)))
    assert uniformity(ranks_of(poisson, wrong, seed=1_000)["log likelihood"]) < alarm_of(poisson)


def test_uniform_ranks_raise_the_alarm_as_often_as_said() -> None:
    rng = np.random.default_rng(1)
    p = np.array([uniformity(rng.integers(0, RANKS, 200)) for _ in range(1_000)])
    for level in (0.1, 0.01):
        assert (p < level).mean() < level + 4 * np.sqrt(level / 1_000)
    assert (p < 0.1).mean() > 0.04
