"""Every engine keeps its laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.engines import Engine, Nuts, Run
from bayesglm.engines.density import compile_density
from bayesglm.errors import EngineError, UnknownNameError
from bayesglm.model import build
from bayesglm.registry import discover
from bayesglm.specification import Problem
from tests.engines import laws
from tests.engines.targets import poisson_line

ENGINES = dict(discover("bayesglm.engines", Engine))
NEEDS = {"jax": "jax"}  # the packages of extras


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", ENGINES)
def test_engine_keeps_its_laws(name: str, law: Callable[[Engine], None]) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    law(ENGINES[name])


@dataclass(frozen=True, slots=True)
class Careless(Nuts):
    """Draws too widely, never looks at its seed twice, and takes any setting."""

    name: ClassVar[str] = "careless"

    def __post_init__(self) -> None:
        pass

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        found = Nuts.run(self, problem, seed=int(np.random.SeedSequence().generate_state(1)[0]), progress=progress)
        posterior = found.draws["posterior"].to_dataset()
        wide = posterior.mean(("chain", "draw")) + 1.5 * (posterior - posterior.mean(("chain", "draw")))
        return replace(found, draws=type(found.draws).from_dict({"posterior": wide[["Intercept", *set(wide) & {
            "beta", "concentration"}]]}))


@pytest.mark.parametrize("law", [law for law in laws.LAWS if law is not laws.another_posterior_is_noticed],
                         ids=lambda law: law.__name__)
def test_a_careless_engine_breaks_them(law: Callable[[Engine], None]) -> None:
    with pytest.raises((AssertionError, KeyError, pytest.fail.Exception)):
        law(Careless())


def test_engines_are_found_by_name_and_by_record() -> None:
    model = poisson_line().model
    short = {"draws": 20, "tune": 30, "chains": 2, "seed": 1, "progress": False}
    by_name = model.fit("nuts", **short)
    by_record = model.fit(Nuts(draws=20, tune=30, chains=2), seed=1, progress=False)
    np.testing.assert_array_equal(by_name.draws["posterior"]["beta"], by_record.draws["posterior"]["beta"])
    assert by_name.settings == by_record.settings
    assert by_name.shape == (2, 20)
    with pytest.raises(UnknownNameError, match="nuts"):
        model.fit("nutz")
    with pytest.raises(UnknownNameError, match="draws"):
        model.fit("nuts", drawz=3)


def test_an_engine_that_cannot_says_why() -> None:
    @dataclass(frozen=True, slots=True)
    class Picky(Engine):
        name: ClassVar[str] = "picky"

        def reason_against(self, problem: Problem) -> str:
            return f"{problem.specification.family.name} is not to its taste"

    with pytest.raises(EngineError, match="poisson is not to its taste"):
        poisson_line().model.fit(Picky(), seed=1)


def test_adaptations_and_cores_agree_with_the_posterior() -> None:
    target = poisson_line()
    for engine in (Nuts(adaptation="low_rank"), Nuts(cores=2)):
        found = laws.run(laws.small(engine, cores=engine.cores or 1), target, seed=5)
        scores = laws.standard_scores(found, target)
        assert max(scores.values()) < laws.MOST_SIGMAS, scores


def test_other_data_bind_to_a_compiled_density() -> None:
    problem = poisson_line().model.problem
    density = compile_density(build(problem))
    more = problem.observations.response + 1.0
    other = replace(problem, observations=replace(problem.observations, response=more))
    at = np.array([0.3, -0.2])
    bound, compiled = density.bind({"y_data": more})(at), compile_density(build(other))(at)
    assert bound[0] == pytest.approx(compiled[0], rel=1e-12)
    np.testing.assert_allclose(bound[1], compiled[1], rtol=1e-12)
    assert density(at)[0] != pytest.approx(bound[0], rel=1e-3)
    step = 1e-6
    numerical = [(density(at + step * e)[0] - density(at - step * e)[0]) / (2 * step) for e in np.eye(2)]
    np.testing.assert_allclose(density(at)[1], numerical, rtol=1e-6)


def test_where_a_parameter_overflows_the_density_is_minus_infinity() -> None:
    table = pd.DataFrame({"y": [0.5, 1.0, 2.0, 4.0], "x": [-1.0, 0.0, 1.0, 2.0]})
    density = compile_density(build(bg.Model("y ~ x", table, "gamma").problem))
    value, gradient = density(np.full(density.size, 800.0))
    assert value == -np.inf
    assert gradient.shape == (density.size,)


def test_a_fit_tells_how_it_was_made() -> None:
    fit: bg.Fit = poisson_line().model.fit(draws=20, tune=30, chains=1, progress=False)
    again = poisson_line().model.fit(draws=20, tune=30, chains=1, progress=False, seed=fit.seed)
    np.testing.assert_array_equal(fit.draws["posterior"]["beta"], again.draws["posterior"]["beta"])
    assert (fit.engine, fit.exact, fit.complete) == ("nuts", True, True)
    assert set(fit.seconds) == {"compile", "mode", "sample"}
