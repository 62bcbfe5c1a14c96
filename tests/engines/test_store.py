"""The store: what was written is there, also after the process was killed, and chains go on from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.sampling import Adaptation, Target, sample
from bayesglm.engines.store import DrawStore, create, read_run, read_runs, read_state, run_names
from bayesglm.errors import EngineError
from bayesglm.versions import installed_versions

Array = NDArray[np.float64]
SHORT = Adaptation(tune=60)
LABELS = ("a", "b", "c")


def density(q: Array) -> tuple[float, Array]:
    return -0.5 * float(q @ q), -q


def expand(flat: Array) -> dict[str, Array]:
    return {"x": flat, "total": flat.sum(axis=1), "positive": flat[:, 0] > 0}


def target() -> Target:
    starts = np.random.default_rng(0).normal(size=(4, 3), scale=2.0)
    return Target(3, lambda: density, starts, expand, {"x": ("service",)}, {"service": LABELS}, single=frozenset({"x"}))


def same(stored: xr.DataTree, tree: xr.DataTree) -> None:
    for group in ("posterior", "sample_stats"):
        for name, values in tree[group].data_vars.items():
            np.testing.assert_array_equal(stored[group][name], values)
            assert stored[group][name].dtype == values.dtype
            assert stored[group][name].dims == values.dims


def test_draws_are_there_with_dims_coordinates_and_types(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    transport = {"factor": np.arange(6.0).reshape(2, 3), "order": np.arange(3)}
    found = sample(target(), seed=1, adaptation=SHORT, draws=50, block=20,
                   store=create(path, target(), seed=1, adaptation=SHORT, transport=transport))
    stored = read_run(path)
    same(stored, found.tree(target()))
    assert stored["posterior"].coords["service"].to_numpy().tolist() == list(LABELS)
    assert stored["posterior"]["x"].dtype == np.float32
    assert (stored.attrs["seed"], stored.attrs["complete"], stored.attrs["draws"]) == (1, True, 50)
    assert json.loads(stored.attrs["adaptation"])["tune"] == 60
    plain = xr.open_datatree(path, engine="zarr")
    np.testing.assert_array_equal(plain["run_0/posterior/total"], found.draws["total"])
    state = read_state(path)
    assert (state.run, state.draws) == ("run_0", 50)
    np.testing.assert_array_equal(state.last, found.last)
    np.testing.assert_array_equal(state.step_size, found.step_size)
    np.testing.assert_array_equal(state.log_density, found.stats["lp"][:, -1])
    assert stored.attrs["versions"] == installed_versions()
    for name, values in transport.items():
        np.testing.assert_array_equal(state.transport[name], values)


def test_chains_go_on_as_a_second_run(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    first = sample(target(), seed=1, adaptation=SHORT, draws=20, store=create(path, target(), seed=1, adaptation=SHORT))
    state = read_state(path)
    further = replace(target(), starts=state.last)
    adaptation = Adaptation(tune=20, initial_step=float(state.step_size.mean()))
    with pytest.raises(EngineError, match="seed=1 is that of run_0"):
        create(path, further, seed=1, adaptation=adaptation)
    second = sample(further, seed=2, adaptation=adaptation, draws=30, store=create(path, further, seed=2, adaptation=adaptation))
    assert run_names(path) == ("run_0", "run_1")
    same(read_run(path, "run_0"), first.tree(target()))
    same(read_run(path), second.tree(target()))
    np.testing.assert_array_equal(read_state(path, "run_0").last, first.last)
    np.testing.assert_array_equal(read_state(path).last, second.last)
    both = read_runs(path)
    for name, values in second.draws.items():
        np.testing.assert_array_equal(both["posterior"][name][:, 20:], values)
        np.testing.assert_array_equal(both["posterior"][name][:, :20], first.draws[name])
    assert both["posterior"]["draw"].to_numpy().tolist() == list(range(50))
    assert both["posterior"]["run"].to_numpy().tolist() == ["run_0"] * 20 + ["run_1"] * 30
    assert both["posterior"]["x"].coords["service"].to_numpy().tolist() == list(LABELS)
    assert both["sample_stats"].sizes == {"chain": 4, "draw": 50}
    assert both.attrs == {"runs": ["run_0", "run_1"], "seeds": [1, 2], "draws": 50, "complete": True}


def test_runs_without_draws_and_of_other_chains_are_not_joined(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    create(path, target(), seed=1, adaptation=SHORT)
    with pytest.raises(EngineError, match="holds runs of no chains"):
        read_runs(path)
    two = replace(target(), starts=target().starts[:2])
    for seed, found in ((2, target()), (3, two)):
        sample(found, seed=seed, adaptation=SHORT, draws=5, store=create(path, found, seed=seed, adaptation=SHORT))
    with pytest.raises(EngineError, match="holds runs of 4, 2 chains"):
        read_runs(path)


def test_what_was_killed_as_it_began_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "draws.zarr"
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(DrawStore, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            create(path, target(), seed=1, adaptation=SHORT)
    assert run_names(path) == ()
    with pytest.raises(EngineError, match=r"has the runs \(none\)"):
        read_state(path)
    found = sample(target(), seed=1, adaptation=SHORT, draws=5, store=create(path, target(), seed=1, adaptation=SHORT))
    assert run_names(path) == ("run_1",)
    same(read_run(path), found.tree(target()))
    with pytest.raises(EngineError, match=r"has the runs run_1; .* read by its name"):
        read_run(path, "run_0")


def test_what_is_no_store_or_another_target_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    create(path, target(), seed=1, adaptation=SHORT, transport={"t": np.ones(2)})
    state = read_state(path)
    assert (state.run, state.draws, state.last.shape, state.transport["t"].tolist()) == ("run_0", 0, (0, 3), [1.0, 1.0])
    with pytest.raises(EngineError, match="has 3 coordinates, this target 4"):
        create(path, replace(target(), size=4), seed=2, adaptation=SHORT)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(EngineError, match="holds no draws"):
        create(other, target(), seed=1, adaptation=SHORT)
    with pytest.raises(EngineError, match="holds no draws"):
        read_run(tmp_path / "nowhere")
    assert (other / "notes.txt").read_text() == "mine"


KILLED = """
import sys, time
from tests.engines.test_store import SHORT, create, replace, sample, target
from tests.engines import test_store

calls = [0]
def slow(q):
    calls[0] += 1
    if calls[0] == 6_000:
        print("half way", flush=True)
        time.sleep(60)
    return test_store.density(q)

path = sys.argv[1]
found = replace(target(), density=lambda: slow)
sample(found, seed=1, adaptation=SHORT, draws=2_000, block=20, store=create(path, found, seed=1, adaptation=SHORT))
"""


def test_a_killed_process_leaves_its_draws(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True,
                               cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "half way"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    stored = read_run(path)
    n = stored.attrs["draws"]
    assert 20 <= n < 2_000
    assert not stored.attrs["ended"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {each.sizes["draw"] for each in (stored["posterior"], stored["sample_stats"])} == {n}
    whole = sample(target(), seed=1, adaptation=SHORT, draws=n).tree(target())
    same(stored, whole)
    assert read_state(path).last.shape == (4, 3)
