"""Continuing: chains go on from a store with its transport, step size and last draws, and from nothing else's."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray

import bayesglm as bg
from bayesglm.engines import Nuts, Run, nuts, structured
from bayesglm.engines.continuation import continuation, last_draws, restored, starts_of, transport_of
from bayesglm.engines.identity import difference, identity_of
from bayesglm.engines.sampling import Adaptation, Target
from bayesglm.engines.store import create, read_run, read_runs, read_state, run_names
from bayesglm.engines.structured import prepare
from bayesglm.errors import EngineError
from bayesglm.priors import Normal
from tests.engines import laws
from tests.engines.targets import poisson_line

Array = NDArray[np.float64]
SHORT: dict[str, Any] = {"draws": 60, "chains": 2, "progress": False}


def first_run(path: Path, **settings: Any) -> bg.Fit:
    return poisson_line().model.fit("nuts", seed=1, store=path, **{**SHORT, **settings})


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bg.Fit]:
    """Return a store with one run, and its fit; whoever writes there copies it."""
    path = tmp_path_factory.mktemp("begun") / "draws.zarr"
    return path, first_run(path)


@pytest.fixture
def path(begun: tuple[Path, bg.Fit], tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun[0], tmp_path / "draws.zarr"))


def nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object) -> None:
        raise AssertionError("a mode was searched")

    monkeypatch.setattr(structured, "search", search)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """Return the list to which every target that nuts samples is added."""
    seen: list[Target] = []

    def sample(target: Target, **settings: Any) -> Any:
        seen.append(target)
        return original(target, **settings)

    original: Callable[..., Any] = nuts.sample
    monkeypatch.setattr(nuts, "sample", sample)
    return seen


def same(stored: xr.DataTree, fit: bg.Fit) -> None:
    for group in ("posterior", "sample_stats"):
        for name, values in fit.draws[group].data_vars.items():
            np.testing.assert_array_equal(stored[group][name], values)


def test_a_fit_writes_its_draws_to_a_store_and_another_continues_it(
    begun: tuple[Path, bg.Fit], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = begun[1]
    assert first.settings["store"] == str(begun[0])
    assert not any("store" in note or "run_0" in note for note in first.notes)
    same(read_run(path), first)
    before = read_state(path)
    nothing_is_searched(monkeypatch)
    targets = watched(monkeypatch)
    second = poisson_line().model.fit("nuts", seed=2, store=path, **SHORT)
    assert run_names(path) == ("run_0", "run_1")
    same(read_run(path, "run_0"), first)
    same(read_run(path), second)
    stored = read_run(path)
    assert (stored.attrs["continues"], stored.attrs["seed"], stored.attrs["complete"]) == ("run_0", 2, True)
    assert f"continues run_0 of {str(path)!r}" in second.notes[0]
    assert "transport and step size" in second.notes[0]
    # It begins where the other stopped, with its transport and step size and a warm-up half as long.
    np.testing.assert_array_equal(targets[0].starts, before.last)
    for name, values in before.transport.items():
        np.testing.assert_array_equal(read_state(path).transport[name], values)
    adaptations = [json.loads(read_run(path, name).attrs["adaptation"]) for name in run_names(path)]
    assert [each["tune"] for each in adaptations] == [100, 50]
    assert [each["initial_step"] for each in adaptations] == [0.5, np.median(before.step_size)]
    # The fit is one as any other, and the same store and the same seed give the same draws.
    second.save(tmp_path / "second.fit")
    assert bg.load(tmp_path / "second.fit").notes == second.notes
    shutil.copytree(begun[0], tmp_path / "copy")
    again = poisson_line().model.fit("nuts", seed=2, store=tmp_path / "copy", **SHORT)
    one, two, three = (fit.draws["posterior"]["beta"].to_numpy() for fit in (first, second, again))
    np.testing.assert_array_equal(two, three)
    assert not np.isclose(one, two).any()


def test_a_continued_run_is_of_the_posterior(tmp_path: Path) -> None:
    """From a store with two draws, so that what was learnt there is little."""
    path, target = tmp_path / "draws.zarr", poisson_line()
    engine = Nuts(draws=2, chains=2, store=str(path))
    engine.run(target.model.problem, seed=1, progress=False)
    found = Nuts(draws=2_000, chains=2, store=str(path)).run(target.model.problem, seed=2, progress=False)
    joined = read_runs(path)
    assert joined["posterior"].sizes["draw"] == 2_002
    for draws in (found, Run(joined)):
        assert max(laws.standard_scores(draws, target).values()) < laws.MOST_SIGMAS
        assert max(laws.standard_scores(draws, poisson_line(0.2)).values()) > 2 * laws.MOST_SIGMAS


KILLED = """
import os, signal, sys
from bayesglm.engines.store import DrawStore
from tests.engines.test_continuation import first_run

note = DrawStore.note
def dying(self, **attributes):
    if attributes.get("draws", 0) > 250:
        os.kill(os.getpid(), signal.SIGKILL)
    note(self, **attributes)

DrawStore.note = dying
first_run(sys.argv[1], draws=2_000)
"""


def test_what_a_killed_process_left_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies when some of the next draws are written, and nothing says so yet."""
    path = tmp_path / "draws.zarr"
    died = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, cwd=Path(__file__).parents[2])
    assert died.returncode == -signal.SIGKILL
    left = read_run(path)
    assert (left.attrs["draws"], left.attrs["ended"]) == (250, False)
    whole = first_run(tmp_path / "whole.zarr", draws=250)
    np.testing.assert_array_equal(left["posterior"]["beta"], whole.draws["posterior"]["beta"])
    nothing_is_searched(monkeypatch)
    fit = poisson_line().model.fit("nuts", seed=2, store=path, **SHORT)
    assert "continues run_0" in fit.notes[0]
    # What was half written is gone, for readers of each run and of both.
    assert read_runs(path)["posterior"].sizes == {"chain": 2, "draw": 310, "coef": 1}
    assert {group.sizes["draw"] for group in read_run(path, "run_0").children.values()} == {250}
    np.testing.assert_array_equal(read_run(path, "run_0")["posterior"]["beta"], whole.draws["posterior"]["beta"])


def test_what_was_killed_in_its_warm_up_hands_on_its_transport_alone(
    begun: tuple[Path, bg.Fit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, whole = tmp_path / "draws.zarr", begun[1]

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(nuts, "sample", killed)
        with pytest.raises(KeyboardInterrupt):
            first_run(path)
    assert read_run(path).attrs["draws"] == 0
    nothing_is_searched(monkeypatch)
    # With the same seed, for none of its random numbers was used, and so with the draws that the other would have had.
    again = first_run(path)
    assert "ended in its warm-up" in again.notes[0]
    assert "with the stored transport" in again.notes[0]
    np.testing.assert_array_equal(again.draws["posterior"]["beta"], whole.draws["posterior"]["beta"])
    assert [json.loads(read_run(path, name).attrs["adaptation"])["tune"] for name in run_names(path)] == [100, 100]
    # And the next one continues that which has draws.
    third = poisson_line().model.fit("nuts", seed=1_000, tune=10, store=path, **SHORT)
    assert "continues run_1" in third.notes[0]
    assert json.loads(read_run(path).attrs["adaptation"])["tune"] == 10


def test_other_data_another_model_and_other_chains_are_refused(path: Path) -> None:
    table = pd.DataFrame({"y": [0.0, 1, 2, 1, 0, 3, 4, 2, 2, 5, 9, 14], "x": np.linspace(-1.0, 1.5, 12),
                          "e": np.resize([0.5, 1.0, 2.0, 3.0], 12)})
    words: dict[str, Any] = {"family": "poisson", "exposure": "e",
                             "priors": {"Intercept": Normal(0.5, 1.0), "x": Normal(0.0, 1.0)}}

    def refused(found: str, data: pd.DataFrame = table, formula: str = "y ~ x", engine: str = "nuts", **others: Any) -> None:
        with pytest.raises(EngineError, match=found) as caught:
            bg.Model(formula, data, **{**words, **others}).fit(engine, seed=2, store=path, **SHORT)
        assert caught.value.column == "store"
        assert f"run_0 of {str(path)!r} is not of this model and data" in caught.value.problem
        assert "a directory that does not exist" in caught.value.fix

    other = table.assign(y=table["y"] + (table["y"] == 14))
    refused("response: 'y, 12 rows, SHA-256 [0-9a-f]{16}' there, 'y, 12 rows, SHA-256 [0-9a-f]{16}' here", other)
    refused("response: 'y, 12 rows, .*' there, 'y, 11 rows, .*' here", table[:-1])
    refused("covariates: 'x, SHA-256 .*' there", table.assign(x=table["x"] * 2))
    refused("response", table.assign(e=table["e"] * 2))
    refused("formula of mu: 'y ~ x, link log' there, 'y ~ 1, link log' here", formula="y ~ 1", priors={})
    refused("family: 'poisson' there, 'negative_binomial' here", family="negative_binomial")
    refused("prior of x: 'Normal.mu=0, sigma=1.: .*' there, 'Normal.mu=0, sigma=1.000001.: .*' here",
            priors={"Intercept": Normal(0.5, 1.0), "x": Normal(0.0, 1.000001)})
    with pytest.raises(EngineError, match="has 2 chains, not 4") as caught:
        bg.Model("y ~ x", table, **words).fit(seed=2, store=path, draws=10, chains=4, progress=False)
    assert (caught.value.column, caught.value.fix) == ("chains", "Give chains=2, or a directory that does not exist.")
    with pytest.raises(EngineError, match="seed=1 is that of run_0"):
        bg.Model("y ~ x", table, **words).fit(seed=1, store=path, **SHORT)
    assert run_names(path) == ("run_0",)
    same_again = bg.Model("y ~ x", table, **words).problem  # another data frame with the same content
    assert continuation(path, identity_of(same_again, "nuts"), seed=2, chains=2).warm is not None


def test_an_identity_tells_what_makes_the_posterior() -> None:
    rows = pd.DataFrame({"y": [1, 2, 3, 4], "n": [5, 6, 7, 8], "w": [1, 2, 1, 1], "g": list("abab")})

    def identity(formula: str, family: str, engine: str = "nuts", data: pd.DataFrame = rows, **words: Any) -> dict[str, str]:
        return identity_of(bg.Model(formula, data, family, **words).problem, engine)

    one = identity("y ~ 1 + (1 | g)", "poisson")
    assert difference(one, identity("y ~ 1 + (1 | g)", "poisson", data=rows.assign(unused=1))) == ""
    for other in (identity("y ~ 1 + (1 | g)", "poisson", weights="w"), identity("y ~ 1 + (1 | g)", "poisson", exposure="n"),
                  identity("y ~ 1 + (1 | g)", "poisson", data=rows.assign(g=list("abba"))),
                  identity("y ~ 1 + (1 | g)", "poisson", data=rows.assign(g=list("acac"))),
                  identity("y ~ 1 + (1 | g)", "poisson", data=rows[::-1])):
        assert "SHA-256" in difference(one, other)
    assert difference(one, identity("y ~ 1 + (1 | g)", "poisson", "jax")) == "engine: 'nuts' there, 'jax' here"
    trials = identity("y | trials(n) ~ 1", "binomial")
    assert difference(trials, identity("y | trials(n) ~ 1", "binomial", data=rows.assign(n=9))).startswith("response: ")
    constant, growing = (identity("y ~ 1", "negative_binomial", exposure="n", dispersion_scaling=each)
                         for each in ("constant", "exposure"))
    assert difference(constant, growing)
    assert growing["dispersion"] == "grows with exposure / 6.5"


def test_a_transport_comes_back_as_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.poisson(3.0, 60), "x": rng.normal(size=60), "g": np.resize(list("abcde"), 60),
                          "t": np.repeat(np.arange(12), 5)})
    problem = bg.Model("y ~ x + (1 + x | g) + rw(t)", frame, "negative_binomial").problem
    prepared = prepare(problem, seed=1)
    size, path = prepared.transported.size, tmp_path / "draws.zarr"
    target = prepared.target(np.zeros((2, size)))
    create(path, target, seed=1, adaptation=Adaptation(), transport=transport_of(prepared), model=identity_of(problem, "nuts"))
    found = restored(problem, read_state(path))
    assert (found.modes, found.definite) == (prepared.modes, prepared.definite)
    for q in rng.normal(size=(3, size)):
        value, gradient = prepared.transported(q)
        again = found.transported(q)
        assert (again[0], *again[1]) == (value, *gradient)
    # Of a layout with one level less, or of a density with one count more, it is refused.
    smaller = bg.Model("y ~ x + (1 + x | g) + rw(t)", frame[frame["g"] != "e"], "negative_binomial").problem
    with pytest.raises(EngineError, match=r"the transport of run_0 .* has the shapes .* here they are"):
        restored(smaller, read_state(path))


@pytest.mark.slow
def test_jax_continues_what_jax_has_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    path, model = tmp_path / "draws.zarr", poisson_line().model
    model.fit("jax", seed=1, tune=30, store=path, **SHORT)
    with pytest.raises(EngineError, match="engine: 'jax' there, 'nuts' here"):
        model.fit("nuts", seed=2, store=path, **SHORT)
    nothing_is_searched(monkeypatch)
    fit = model.fit("jax", seed=2, tune=20, store=path, **SHORT)
    assert f"continues run_0 of {str(path)!r}" in fit.notes[1]
    same(read_run(path), fit)


def test_chains_go_on_in_their_own_density_only(begun: tuple[Path, bg.Fit]) -> None:
    path, problem = begun[0], poisson_line().model.problem
    before = continuation(path, identity_of(problem, "nuts"), seed=2, chains=2)
    state, density = before.state, prepare(problem, seed=7).transported
    assert state is not None
    restored_density = restored(problem, state).transported
    np.testing.assert_array_equal(starts_of(restored_density, before, chains=2, seed=2), state.last)
    assert density.size == restored_density.size
    with pytest.raises(EngineError, match=r"the last draw of chain 0 in run_0 .* is .* here and was") as caught:
        last_draws(state, lambda q: (restored_density(q)[0] + 0.01, q))
    assert "a library is not what it was" in caught.value.fix
