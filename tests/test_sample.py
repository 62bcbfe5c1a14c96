"""A user's own ``pm.Model``: its posterior, what the result says of the run, and what cannot be sampled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayesglm as bg
from bayesglm.engines import race
from bayesglm.engines.collected import Collected
from bayesglm.engines.store import read_run, read_runs, read_state, run_names
from bayesglm.versions import installed_versions

Y = np.array([0.4, 1.9, -0.3, 1.2, 0.8])
SERVICES = ["api", "web", "db"]


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """A mean with a normal prior, known exactly, and effects of services that no data inform."""
    with pm.Model(coords={"service": SERVICES}) as found:
        mu = pm.Normal("mu", 1.0, 2.0)
        effect = pm.Normal("effect", 0.0, 3.0, dims="service")
        pm.Deterministic("level", mu + effect, dims="service")
        pm.Normal("y", mu, 1.5, observed=Y)
    return found


@pytest.fixture(scope="module")
def tree(model: pm.Model) -> xr.DataTree:
    return bg.sample(model, seed=1, tune=150, progress=False)


def test_the_posterior_is_the_conjugate_one(tree: xr.DataTree) -> None:
    precision = 1 / 2.0**2 + len(Y) / 1.5**2
    mean = (1.0 / 2.0**2 + Y.sum() / 1.5**2) / precision
    mu = tree["posterior"]["mu"].to_numpy()
    ess = 400  # at least: this is what it was asked for
    assert abs(mu.mean() - mean) < 5 / np.sqrt(precision * ess)
    assert abs(mu.std() * np.sqrt(precision) - 1) < 5 / np.sqrt(2 * ess)
    assert abs(mu.mean() - mean - 1.0) > 5 / np.sqrt(precision * ess)  # and would notice another mean
    effect = tree["posterior"]["effect"]
    assert (np.abs(effect.mean(("chain", "draw"))) < 5 * 3.0 / np.sqrt(ess)).all()


def test_the_result_is_the_models_and_says_how_it_was_drawn(tree: xr.DataTree) -> None:
    posterior = tree["posterior"]
    assert posterior["level"].dims == ("chain", "draw", "service")
    assert posterior.coords["service"].to_numpy().tolist() == SERVICES
    np.testing.assert_allclose(posterior["level"], posterior["mu"] + posterior["effect"])
    assert tree.attrs["complete"]
    assert tree.attrs["mass_matrix"] in tree.attrs["notes"][0]
    assert tree.attrs["gradients"] == int(tree["sample_stats"]["n_steps"].sum())
    assert tree.attrs["seed"] == 1
    assert json.loads(tree.attrs["versions"]) == installed_versions()
    settings = json.loads(tree.attrs["settings"])
    assert (settings["tune"], settings["draws"], settings["effective"], settings["store"]) == (150, None, 400, None)


def test_the_result_can_be_written_with_all_that_is_said_of_it(tree: xr.DataTree, tmp_path: Path) -> None:
    tree.isel(draw=slice(3)).to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "tree.nc", engine="h5netcdf") as back:
        assert {name: np.asarray(value).tolist() for name, value in back.attrs.items()} == {
            name: value[0] if name == "notes" else value for name, value in tree.attrs.items()}


def test_the_same_seed_gives_the_same_draws_and_a_store_holds_them(model: pm.Model, tree: xr.DataTree, tmp_path: Path) -> None:
    again = bg.sample(model, seed=1, tune=150, draws=100, cores=1, progress=False, store=tmp_path / "draws.zarr")
    np.testing.assert_array_equal(again["posterior"]["mu"], tree["posterior"]["mu"][:, :100])
    stored = read_run(tmp_path / "draws.zarr")
    for name in ("mu", "effect", "level"):
        xr.testing.assert_identical(stored["posterior"][name].load(), again["posterior"][name])


@pytest.mark.parametrize("form", ["low_rank", "diag"])
def test_the_store_records_the_mass_matrix_that_is_kept(
    form: str, model: pm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def worth(runner: Collected, trial: int) -> float:
        runner.absorb(trial)
        return float(runner.adaptation.form == form)

    monkeypatch.setattr(race, "worth", worth)
    found = bg.sample(model, seed=1, tune=60, draws=20, progress=False, store=tmp_path / "draws.zarr")
    assert found.attrs["mass_matrix"] == form
    assert json.loads(read_run(tmp_path / "draws.zarr").attrs["adaptation"])["form"] == form


def test_chains_go_on_from_their_store(model: pm.Model, tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    first = bg.sample(model, seed=1, tune=150, draws=100, progress=False, store=path)
    with pytest.raises(bg.BayesGLMError, match="seed=1 is that of run_0"):
        bg.sample(model, seed=1, draws=100, progress=False, store=path)
    before = read_state(path)
    found = bg.sample(model, seed=2, progress=False, store=path)
    assert run_names(path) == ("run_0", "run_1")
    assert "continues run_0" in found.attrs["notes"][0]
    stored = read_run(path)
    adaptation = json.loads(stored.attrs["adaptation"])
    assert stored.attrs["continues"] == "run_0"
    assert (adaptation["form"], adaptation["tune"]) == (first.attrs["mass_matrix"], 200)
    assert adaptation["initial_step"] == np.median(before.step_size)
    assert json.loads(found.attrs["settings"])["tune"] == 200
    test_the_posterior_is_the_conjugate_one(found)
    test_the_posterior_is_the_conjugate_one(read_runs(path))


@pytest.mark.parametrize("draws", [1, 4])
def test_a_few_draws_need_no_race(model: pm.Model, draws: int) -> None:
    found = bg.sample(model, seed=1, tune=50, draws=draws, progress=False)
    assert found["posterior"]["mu"].shape == (4, draws)
    assert found.attrs["mass_matrix"] == "low_rank"
    assert "so few draws do not tell" in found.attrs["notes"][0]


def test_a_store_of_another_model_is_refused(model: pm.Model, tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    bg.sample(model, seed=1, tune=60, draws=10, progress=False, store=path)

    def variant(prior: float, services: list[str], name: str = "mu") -> pm.Model:
        with pm.Model(coords={"service": services}) as found:
            mu = pm.Normal(name, prior, 2.0)
            effect = pm.Normal("effect", 0.0, 3.0, dims="service")
            pm.Deterministic("level", mu + effect, dims="service")
            pm.Normal("y", mu, 1.5, observed=Y)
        return found

    for other, found in ((variant(1.0, SERVICES, "centre"), "unconstrained variables: 'mu .* there, 'centre"),
                         (variant(1.0, ["api", "web", "cache"]), "labels of service: '3 labels, .* there, '3 labels, .* here"),
                         (variant(1.1, SERVICES), r"the log density of the last draw of chain 0 in run_0 .* is .* and was")):
        with pytest.raises(bg.BayesGLMError, match=found) as caught:
            bg.sample(other, seed=2, progress=False, store=path)
        assert caught.value.column == "store"
        assert "directory that does not exist" in caught.value.fix
    assert run_names(path) == ("run_0",)


def test_a_discrete_variable_is_named() -> None:
    with pm.Model() as mixed:
        switch = pm.Bernoulli("switch", 0.5)
        pm.Normal("y", pm.math.switch(switch, 1.0, -1.0), 1.0, observed=Y)
    with pytest.raises(bg.BayesGLMError, match=r"`switch`.*discrete.*continuous.*pm\.sample") as caught:
        bg.sample(mixed, seed=1)
    assert caught.value.column == "switch"


def test_a_model_without_free_variables_is_refused() -> None:
    with pm.Model() as empty:
        pm.Normal("y", 0.0, 1.0, observed=Y)
    with pytest.raises(bg.BayesGLMError, match="no free variable"):
        bg.sample(empty, seed=1)


def test_a_model_without_a_start_is_refused() -> None:
    with pm.Model() as impossible:
        mu = pm.Normal("mu")
        pm.Potential("nowhere", pm.math.log(-pm.math.exp(mu)))
    with pytest.raises(bg.BayesGLMError, match="no start with a finite log density"):
        bg.sample(impossible, seed=1)
