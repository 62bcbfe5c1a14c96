"""Convergence: good draws pass, and each thing that goes wrong is seen and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import bayesglm as bg
from bayesglm.checks.convergence import MEMBER, diagnostics
from bayesglm.engines.verdict import Moved, Verdict
from bayesglm.fitted import Fitted
from tests.fits_by_hand import counts, made


@pytest.fixture(scope="module")
def good() -> Fitted:
    """Independent draws of a model with correlated group effects, whose correlation has a constant diagonal."""
    model = bg.Model("y ~ x + (1 + x | zone)", counts(100), family="poisson")
    rng = np.random.default_rng(0)
    fitted = made(model, {"Intercept": 1.6, "beta": [0.3], "sd_zone": [0.3, 0.2], "effect_zone": np.zeros((4, 2))})
    rho = rng.uniform(-0.5, 0.5, (4, 400))
    one = np.ones_like(rho)
    cor = np.stack([np.stack([one, rho], -1), np.stack([rho, one], -1)], -2)
    posterior = fitted.draws["posterior"].to_dataset()
    labels = posterior["zone_effect"].to_numpy().tolist()
    posterior = posterior.assign_coords(zone_effect_other=labels).assign(
        cor_zone=(("chain", "draw", "zone_effect", "zone_effect_other"), cor))
    return with_draws(fitted, posterior)


def with_draws(fitted: Fitted, posterior: xr.Dataset, **stats: xr.DataArray) -> Fitted:
    sample_stats = fitted.draws["sample_stats"].to_dataset().assign(stats)
    sample_stats = sample_stats.isel(chain=slice(0, posterior.sizes["chain"]), draw=slice(0, posterior.sizes["draw"]))
    return replace(fitted, draws=xr.DataTree.from_dict({"posterior": posterior, "sample_stats": sample_stats}))


def changed(fitted: Fitted, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Fitted:
    posterior = fitted.draws["posterior"].to_dataset().copy(deep=True)
    posterior[name] = (posterior[name].dims, change(posterior[name].to_numpy().copy()))
    return with_draws(fitted, posterior)


def test_good_draws_pass_and_constants_are_left_out(good):
    found = MEMBER.run(good, 0)
    assert found.verdict == "pass", found.finding
    names = found.table["parameter"].tolist()
    assert sum(name.startswith("cor_zone") for name in names) == 1
    assert "effect_zone[c, Intercept]" in names


def test_diagnostics_are_arviz_s(good):
    import arviz_stats

    table = diagnostics(good).set_index("parameter")
    posterior = good.draws["posterior"].to_dataset()
    assert table.loc["beta[x]", "r_hat"] == pytest.approx(float(arviz_stats.rhat(posterior[["beta"]])["beta"][0]))
    bulk = arviz_stats.ess(posterior[["Intercept"]], method="bulk")["Intercept"]
    tail = arviz_stats.ess(posterior[["Intercept"]], method="tail", prob=(0.05, 0.95))["Intercept"]
    assert table.loc["Intercept", "ess_bulk"] == pytest.approx(float(bulk))
    assert table.loc["Intercept", "ess_tail"] == pytest.approx(float(tail))


def test_a_chain_elsewhere_fails_and_is_named(good):
    def move(values: np.ndarray) -> np.ndarray:
        values[0] += 0.05
        return values

    found = MEMBER.run(changed(good, "beta", move), 0)
    assert found.verdict == "fail"
    assert found.table.loc[0, "parameter"] == "beta[x]"
    assert found.table.loc[0, "problem"] == "chains differ"
    assert "beta[x]" in found.finding


def test_slow_chains_fail_and_group_effects_have_a_lower_bar(good):
    def slow(values: np.ndarray) -> np.ndarray:
        return np.repeat(values[:, ::5], 5, axis=1)[:, :values.shape[1]]

    found = MEMBER.run(changed(good, "Intercept", slow), 0).table.set_index("parameter")
    assert found.loc["Intercept", "verdict"] in ("warn", "fail")
    assert found.loc["Intercept", "ess_bulk"] < 600
    state = MEMBER.run(changed(good, "effect_zone", slow), 0).table
    few = state[state["group_effect"] & (state["ess_bulk"] > 100) & (state["ess_tail"] > 100) & (state["r_hat"] < 1.01)]
    assert (few["verdict"] == "pass").all()


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "pass"), (0.004, "warn"), (0.1, "fail")])
def test_divergences(good, share, verdict):
    flags = np.zeros(1600, bool)
    flags[: round(share * 1600)] = True
    stats = xr.DataArray(flags.reshape(4, 400), dims=("chain", "draw"))
    found = MEMBER.run(with_draws(good, good.draws["posterior"].to_dataset(), diverging=stats), 0)
    assert found.verdict == verdict
    assert (verdict == "pass") == ("target_accept" not in found.advice)


def test_energies_that_wander_warn(good):
    energy = np.random.default_rng(1).normal(size=(4, 400)).cumsum(axis=1)
    stats = xr.DataArray(energy, dims=("chain", "draw"))
    found = MEMBER.run(with_draws(good, good.draws["posterior"].to_dataset(), energy=stats), 0)
    assert found.verdict == "warn"
    assert "BFMI" in found.finding


def test_trees_at_their_limit_warn(good):
    stats = xr.DataArray(np.ones((4, 400), bool), dims=("chain", "draw"))
    found = MEMBER.run(with_draws(good, good.draws["posterior"].to_dataset(), reached_max_treedepth=stats), 0)
    assert found.verdict == "warn"


def test_one_chain_warns(good):
    found = MEMBER.run(with_draws(good, good.draws["posterior"].to_dataset().isel(chain=[0])), 0)
    assert found.verdict in ("warn", "fail")
    assert "one chain: R-hat cannot be computed" in found.finding


def test_too_few_draws_fail(good):
    few = good.draws["posterior"].to_dataset().isel(draw=slice(0, 2))
    assert MEMBER.run(with_draws(good, few), 0).verdict == "fail"


def test_draws_that_are_not_finite_fail(good):
    def spoil(values: np.ndarray) -> np.ndarray:
        values[0, 0] = np.nan
        return values

    found = MEMBER.run(changed(good, "Intercept", spoil), 0)
    assert found.verdict == "fail"
    assert found.table.loc[0, "problem"] == "not finite"


def test_draws_that_do_not_move_fail():
    stuck = made(bg.Model("y ~ 1", counts(50), family="poisson"), {"Intercept": 1.0}, sd=0.0)
    assert MEMBER.run(stuck, 0).verdict == "fail"


def test_a_stopped_run_and_an_approximation_warn(good):
    assert "stopped" in MEMBER.run(replace(good, complete=False), 0).finding
    found = MEMBER.run(replace(good, exact=False, engine="laplace", notes=("k-hat 0.3",)), 0)
    assert found.verdict == "warn"
    assert "k-hat 0.3" in found.finding


def test_several_modes_are_never_passed(good):
    assert MEMBER.run(replace(good, modes=1), 0).verdict == "pass"
    found = MEMBER.run(replace(good, modes=2), 0)
    assert found.verdict == "warn"
    assert "2 different modes" in found.finding


@pytest.mark.parametrize(("reliable", "word"), [(True, "pass"), (False, "fail")])
def test_the_verdict_of_an_approximation_is_the_checks(good, reliable, word):
    verdict = Verdict(reliable, () if reliable else ("a group has k-hat 0.90",), "weights", 1_000, 700.0, 0.3, 0.67,
                      moved=Moved(0.05, "beta[0]", 0.02, "sd_zone[0]"))
    found = MEMBER.run(replace(good, exact=False, engine="laplace", verdict=verdict), 0)
    assert found.verdict == word
    assert "700 effective" in found.finding
    assert ("k-hat 0.90" in found.finding) == (not reliable)
    assert found.table.set_index("evidence").loc["mean moved by the correction, in sds", "value"] == 0.05
    assert bool(found.advice) == (not reliable)


def test_ten_draws_fail_and_a_proper_run_passes():
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    model = bg.Model("y ~ x", {"y": rng.poisson(np.exp(1 + 0.5 * x)), "x": x}, family="negative_binomial")
    short = model.fit(seed=1, tune=10, draws=10, chains=4, progress=False)
    assert MEMBER.run(short, 0).verdict == "fail"
    proper = model.fit(seed=1, progress=False)
    assert MEMBER.run(proper, 0).verdict == "pass", MEMBER.run(proper, 0).finding
