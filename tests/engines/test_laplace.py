"""Nested Laplace: near the references or not reliable, each way of weighting by itself, and faults that the verdict must see."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm.engines import Laplace
from bayesglm.engines.approximation import Returned, compiled, worth
from bayesglm.engines.moves import DRAWS, drift
from bayesglm.engines.native import native
from bayesglm.engines.structured import prepare
from bayesglm.engines.verdict import Moved, Weights, columns, judge, moved, resample, smooth
from bayesglm.engines.view import joint_view, learn, levels_view, summit
from bayesglm.errors import EngineError
from bayesglm.latent.levels import levels_of
from bayesglm.priors import StudentT
from tests.reference.cases import draws_by_name, names, read_case
from tests.reference.comparison import compare

MEAN_GAP, SD_GAP = 0.15, 0.15
FAST = ("cbpp_binomial",)


@pytest.mark.parametrize("name", [pytest.param(each, marks=[] if each in FAST else [pytest.mark.slow]) for each in names()])
def test_what_is_reliable_is_near_the_reference(name: str) -> None:
    case = read_case(name)
    verdicts = []
    for seed in (1, 2):
        fit = case.model.fit("laplace", seed=seed, progress=False)
        assert fit.verdict is not None
        verdicts.append(fit.verdict.reliable)
        gaps = compare(case.posterior, draws_by_name(fit))
        if fit.verdict.reliable:
            assert gaps["mean_gap"].abs().max() < MEAN_GAP
            assert gaps["sd_gap"].abs().max() < SD_GAP
    assert any(verdicts)


@cache
def groups() -> bg.Model:
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(12), 5)
    eta = 0.4 + 0.7 * rng.normal(size=12)[group]
    return bg.Model("y ~ 1 + (1 | g)", pd.DataFrame({"y": rng.poisson(np.exp(eta)), "g": [f"g{i}" for i in group]}), "poisson")


def test_both_ways_of_weighting_find_the_same_posterior() -> None:
    prepared = prepare(groups().problem, seed=1)
    levels = levels_of(prepared.transported.posterior.field)
    assert levels is not None
    found = []
    for view in (joint_view(prepared, compiled(prepared), returned=Returned(2_000, 2_000, 1_000), most=4_000, cores=1),
                 levels_view(prepared, levels, returned=Returned(2_000, 2_000, 1_000), most=4_000, cores=1)):
        one = learn(prepared, view, (), seed=np.random.SeedSequence(1))
        assert one.verdict.reliable, one.verdict.summary
        labels, values = columns({name: prepared.expand(one.q)[name] for name in ("Intercept", "sd_g", "effect_g")})
        mean = one.weights.weight @ values
        found.append((mean, np.sqrt(one.weights.weight @ (values - mean) ** 2)))
    assert len(labels) == 14
    gap = np.abs(found[0][0] - found[1][0]) / found[0][1]
    # Two sets of at least 1,500 effective draws: 0.037 sd is one Monte Carlo error.
    assert gap.max() < 0.15
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0.12)


def test_not_applicable_where_a_prior_is_not_normal() -> None:
    table = {"y": [1, 2, 3, 4], "x": [0.0, 1.0, 0.5, 2.0]}
    model = bg.Model("y ~ x", table, "poisson", priors={"x": StudentT(3, 0, 1)})
    with pytest.raises(EngineError, match="not normal") as caught:
        model.fit("laplace", seed=1)
    assert "nuts" in caught.value.fix
    assert Laplace().reason_against(bg.Model("y ~ x", table, "poisson").problem) == ""


def even(size: int = 1_000) -> Weights:
    return smooth(np.random.default_rng(0).normal(0.0, 0.1, size))


def test_a_verdict_needs_even_weights_and_little_movement() -> None:
    draws = {"x": np.random.default_rng(1).normal(size=1_000)}
    weights = even()
    still = moved(draws, np.full(1_000, 1e-3), weights.weight)
    assert judge(weights, still, correction="weights").reliable
    assert not judge(weights, still, correction="weights", against=("two modes",)).reliable
    assert not judge(weights, still, correction="weights", group_k_hat=0.9).reliable
    tilted = np.exp(0.3 * draws["x"])
    far = moved(draws, np.full(1_000, 1e-3), tilted / tilted.sum())
    assert far.mean == pytest.approx(0.3, abs=0.06)
    assert "moves the mean of x" in judge(weights, far, correction="weights").reasons[0]
    few = smooth(np.random.default_rng(0).standard_cauchy(1_000) * 3)
    assert few.effective < 400
    assert not judge(few, still, correction="").reliable
    assert smooth(np.full(10, np.nan)).effective == 0


def test_what_does_not_vary_has_not_moved() -> None:
    weights = even()
    equal, without = np.full(1_000, 1e-3), weights.weight.copy()
    without[:10] = 0.0
    without /= without.sum()
    rng = np.random.default_rng(1)
    draws = {"x": rng.normal(size=1_000), "step": np.where(np.arange(1_000) < 10, 0.3, 0.1), "same": np.full(1_000, 7.0)}
    found = moved(draws, without, without)
    assert (found.mean, found.sd, found.quantile) == (0.0, 0.0, 0.0)
    assert moved({"step": draws["step"]}, without, without).mean == 0.0
    assert moved({"same": draws["same"]}, equal, equal) == Moved(0.0, "", 0.0, "")
    gone = moved(draws, equal, without)  # of 1 % elsewhere nothing is left
    assert (gone.mean, gone.mean_of, gone.sd, gone.sd_of) == (np.inf, "step", np.inf, "step")
    assert not judge(weights, gone, correction="weights").reliable


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_draw_that_is_not_finite_speaks_against_the_verdict_where_it_counts(value: float) -> None:
    rng = np.random.default_rng(1)
    ratio, equal = rng.normal(0.0, 0.1, 1_000), np.full(1_000, 1e-3)
    draws = {"x": rng.normal(size=(1_000, 3)), "y": rng.normal(size=1_000)}
    draws["x"][7, 1] = value
    assert columns(draws)[0] == ["x[0]", "x[1]", "x[2]", "y"]
    weights = smooth(ratio)
    ends, tails = worth(draws, weights, Returned(1_000, 1_000, 1_000))[1:]
    found = moved(draws, equal, weights.weight, tails)
    verdict = judge(weights, found, correction="weights", known=ends)
    assert verdict.reasons == ("draws of x[1] are not finite",)
    assert max(found.mean, found.sd, found.quantile) < 0.1
    draws["y"][8] = value
    assert moved(draws, equal, weights.weight).not_finite == "x[1] and 1 more"
    ratio[7:9] = -np.inf
    weights = smooth(ratio)
    ends, tails = worth(draws, weights, Returned(1_000, 1_000, 1_000))[1:]
    found = moved(draws, equal, weights.weight, tails)
    assert judge(weights, found, correction="weights", known=ends).reliable
    rest = {name: np.delete(values, [7, 8], axis=0) for name, values in draws.items()}
    again = moved(rest, np.full(998, 1 / 998), np.delete(weights.weight, [7, 8]))
    assert (found.mean, found.sd, found.mean_of) == (pytest.approx(again.mean), pytest.approx(again.sd), again.mean_of)


def test_resampling_keeps_the_weights() -> None:
    weight = np.array([0.1, 0.0, 0.4, 0.5])
    found = resample(weight, 1_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(found, minlength=4) / 1_000, weight, atol=2e-3)


def test_the_move_test_lets_the_posterior_be_and_sees_what_is_not() -> None:
    numba = pytest.importorskip("numba")

    @numba.njit(nogil=True)
    def normal(q, gradient, precision):
        gradient[:] = -precision * q
        return 0.5 * np.dot(q, gradient)

    density = native(normal, [np.ones(10)])
    q = np.random.default_rng(2).normal(size=(DRAWS, 10))

    def score(points, reported=lambda each: {"x": each}):
        return drift(density, points, reported, seed=3, cores=1)

    assert score(q).score < score(q).limit
    for wrong in (q + 0.5 * np.eye(10)[0], 0.7 * q, 1.5 * q):
        assert score(wrong).score > score(wrong).limit
    broken = score(q, lambda each: {"x": each, "y": np.where(each[:, 1] > 2.0, np.inf, each[:, 1])})
    assert (broken.score, broken.score_of) == (np.inf, "y")


def test_the_summit_of_a_normal_density_is_found_with_its_covariance() -> None:
    mean, precision = np.array([3.0, -1.0]), np.array([[2.0, 0.6], [0.6, 0.8]])
    at, triangle = summit(lambda x: -0.5 * np.einsum("ni,ij,nj->n", x - mean, precision, x - mean), 2)
    np.testing.assert_allclose(at, mean, atol=0.1)
    np.testing.assert_allclose(triangle @ triangle.T, np.linalg.inv(precision), rtol=1e-6)


@pytest.mark.parametrize("seed", [1, 2])
def test_autocorrelations_that_round_to_1_have_no_density_and_raise_nothing(seed):
    y = np.random.default_rng(0).poisson(3, 15)
    run = Laplace().run(bg.Model("y ~ 1 + ar(t)", {"y": y, "t": np.arange(15.0)}, "poisson").problem, seed=seed, progress=False)
    assert run.verdict is not None
    assert all(np.isfinite(each).all() for each in run.draws["posterior"].data_vars.values())
