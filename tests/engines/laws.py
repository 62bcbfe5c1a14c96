"""Laws of an engine, each a function of the record: they raise AssertionError where one is broken."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest

from bayesglm.engines import Engine, Run
from bayesglm.engines.verdict import MOST_MEAN_MOVED, MOST_SD_MOVED
from bayesglm.errors import EngineError
from tests.engines.targets import Target, negative_binomial_spread, poisson_line

# Twelve standard scores of a fixed seed are looked at for each engine; one in a million is beyond 5.
MOST_SIGMAS = 5.0
TARGETS = {"poisson_line": cache(poisson_line), "negative_binomial_spread": cache(negative_binomial_spread)}


def small(engine: Engine, **settings: int) -> Engine:
    """Return the engine with short runs, as far as it has such settings."""
    wanted = {"draws": 1_000, "tune": 400, "chains": 2, "cores": 1, **settings}
    known = {each.name for each in fields(engine)}
    return replace(engine, **{name: value for name, value in wanted.items() if name in known})


def run(engine: Engine, target: Target, *, seed: int) -> Run:
    return engine.run(target.model.problem, seed=seed, progress=False)


@cache
def standard_run(engine: Engine, target: str) -> Run:
    return run(small(engine), TARGETS[target](), seed=1)


def standard_scores(found: Run, target: Target) -> dict[str, float]:
    """Return how many Monte Carlo errors the mean, the sd and an upper tail are off, for each parameter."""
    from arviz_stats.base import array_stats

    scores = {}
    for name in target.values:
        draws = np.squeeze(found.draws["posterior"][name].to_numpy())
        point, tail = target.upper_tail(name)
        expected = {"mean": (draws, target.mean(name)), "sd": ((draws - target.mean(name)) ** 2, target.sd(name) ** 2),
                    "tail": ((draws > point).astype(float), tail)}
        for word, (statistic, truth) in expected.items():
            ess = array_stats.ess(statistic, chain_axis=0, draw_axis=1, method="mean")
            scores[f"{name} {word}"] = float(abs(statistic.mean() - truth) / (statistic.std() / np.sqrt(ess)))
    return scores


def the_posterior_is_known(engine: Engine) -> None:
    """Means, variances and tails are those of quadrature: within Monte Carlo error, or within what "reliable" allows."""
    for name, target in TARGETS.items():
        if not engine.exact:
            what_is_said_to_be_reliable_is(standard_run(engine, name), target())
            continue
        scores = standard_scores(standard_run(engine, name), target())
        assert max(scores.values()) < MOST_SIGMAS, scores


def what_is_said_to_be_reliable_is(found: Run, target: Target) -> None:
    """An approximation says whether it may be read, and if it may, its means and sds are near."""
    assert found.verdict is not None
    for name in target.values if found.verdict.reliable else ():
        draws = found.draws["posterior"][name].to_numpy()
        assert abs(draws.mean() - target.mean(name)) < MOST_MEAN_MOVED * target.sd(name), name
        assert abs(draws.std() / target.sd(name) - 1) < MOST_SD_MOVED, name


def another_posterior_is_noticed(engine: Engine) -> None:
    """The same draws against the quadrature of another prior are far off, if they claim to be of the posterior at all."""
    for name, target in {"poisson_line": poisson_line(0.2),
                         "negative_binomial_spread": negative_binomial_spread(2.0)}.items():
        found = standard_run(engine, name)
        if found.verdict is None or found.verdict.reliable:
            scores = standard_scores(found, target)
            assert max(scores.values()) > 2 * MOST_SIGMAS, scores


def the_same_seed_gives_the_same_draws(engine: Engine) -> None:
    """And another seed gives others."""
    target = TARGETS["poisson_line"]()
    short = small(engine, draws=60, tune=60)
    first, again, other = (run(short, target, seed=seed).draws["posterior"]["beta"].to_numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()
    assert not np.isclose(first[0], first[1]).any()


def what_comes_back_is_the_models(engine: Engine) -> None:
    """Every variable of the model with its dims and coordinates, and what the sampler did."""
    found, model = standard_run(engine, "poisson_line"), TARGETS["poisson_line"]().model.pymc
    posterior = found.draws["posterior"]
    for variable in (*model.free_RVs, *model.deterministics):
        assert posterior[variable.name].dims == ("chain", "draw", *model.named_vars_to_dims.get(variable.name, ()))
        assert np.isfinite(posterior[variable.name]).all()
    assert posterior.coords["coef"].to_numpy().tolist() == ["x"]
    assert (posterior.sizes["chain"], posterior.sizes["draw"]) == (2, 1_000)
    stats = found.draws["sample_stats"]
    for name in engine.stats:
        assert stats[name].dims == ("chain", "draw"), name
    assert found.complete
    assert all(seconds >= 0 for seconds in found.seconds.values())
    assert found.seconds


def settings_are_held_to_their_rules(engine: Engine) -> None:
    """Names and settings are told, and a setting that makes no sense is refused by name."""
    assert engine.name
    assert engine.source
    assert engine.settings() == {each.name: getattr(engine, each.name) for each in fields(engine)}
    for setting, value in (("draws", 0), ("draws", 2.5), ("tune", 0), ("chains", 0), ("cores", 0), ("max_treedepth", 0),
                           ("target_accept", 1.0), ("target_accept", 0.0), ("adaptation", "dense")):
        if setting not in engine.settings():
            continue
        with pytest.raises(EngineError) as caught:
            replace(engine, **{setting: value})
        assert (caught.value.column, caught.value.value) == (setting, value)
        assert caught.value.fix


LAWS = (the_posterior_is_known, another_posterior_is_noticed, the_same_seed_gives_the_same_draws, what_comes_back_is_the_models,
        settings_are_held_to_their_rules)
