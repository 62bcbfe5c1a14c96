"""What calls itself reliable is near the posterior, on targets made to be hard; and the study computes what it says."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest

from bayesglm.engines import Engine
from bayesglm.engines.verdict import HIGHEST_K_HAT
from bayesglm.registry import discover
from benchmarks.verdicts import exact, oracles, study
from benchmarks.verdicts.__main__ import arguments, latest, planned
from benchmarks.verdicts.exact import EXACT
from benchmarks.verdicts.oracles import Oracle, Spread, keep, read, spread
from benchmarks.verdicts.study import Case, Off, distance, from_record, models, to_record
from benchmarks.verdicts.table import caught, cell, far, markdown, timid
from benchmarks.verdicts.targets import CHEAP as CHEAP_WORKLOADS
from benchmarks.verdicts.targets import EASY, HARD
from benchmarks.workloads import WORKLOADS

# One mode of several, one that weights cannot reach, a funnel's relative, and two that every engine should get right.
CHEAP = ("mirrored", "prior-conflict", "three-levels", "separation", "zero-none")
ENGINES = [name for name in ("nuts", "laplace", "advi") if name in discover("bayesglm.engines", Engine)]
NEAR, FAR = Off(0.1, "a", 0.2, "b"), Off(0.1, "a", 0.5, "b")
CASE = Case("separation", "nuts", 1, reliable=True, why="", off=NEAR, oracle="exact", seconds=1.0, when="2026-01-01T00:00:00")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("target", CHEAP)
def test_what_calls_itself_reliable_is(target, engine):
    case = study.study(target, engine, 1, models())
    assert not case.dishonest, case


@pytest.mark.slow
def test_a_fit_of_one_mode_is_seen_to_be_wrong():
    case = study.study("mirrored", "laplace", 1, models())
    assert case.reliable is False
    assert case.wrong


@pytest.mark.slow
@pytest.mark.parametrize(("target", "two"), [("prior-conflict", True), ("two-clusters", True), ("narrow-prior", False)])
def test_two_modes_show_in_k_hat_and_fail_the_check(target, two):
    fit = HARD[target].model(HARD[target].table()).fit("advi", seed=1, progress=False)
    found = fit.check()["convergence"]
    assert (fit.verdict.k_hat > HIGHEST_K_HAT) == two
    assert fit.verdict.reliable == (not two)
    assert found.verdict == ("fail" if two else "pass")
    assert ("engine='nuts'" in found.advice) == two


@pytest.mark.parametrize("module", [exact, oracles, study])
def test_examples_give_what_they_show(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert not found.failed


@pytest.mark.parametrize("name", HARD)
def test_every_target_has_its_posterior(name):
    target = HARD[name]
    model = target.model(target.table())
    oracle = read(target, model.audit.fingerprint)
    assert oracle.good
    assert (oracle.how == "exact") == (name in EXACT)
    assert all(each.q05 < each.median < each.q95 and each.sd > 0 for each in oracle.quantities.values())


def test_a_posterior_of_another_table_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(oracles, "FOLDER", tmp_path)
    target = HARD["separation"]
    with pytest.raises(ValueError, match="no oracle"):
        read(target, "abc")
    oracle = Oracle("plain run", "abc", 5_000.0, 1.001, 0, {"a": Spread(0.0, 1.0, 2.0, 0.6)})
    keep(target, oracle)
    assert read(target, "abc") == oracle
    with pytest.raises(ValueError, match="another table"):
        read(target, "abd")
    assert not replace(oracle, ess=3_000.0).good
    assert not replace(oracle, r_hat=1.01).good


def test_quadrature_and_draws_give_the_same_spread():
    rng = np.random.default_rng(0)
    grid = np.linspace(0.0, 20.0, 4_001)
    exact_spread, drawn = spread(grid, exact.normalised(-grid)), spread(rng.exponential(size=400_000))
    for name, truth in {"q05": -np.log(0.95), "median": np.log(2.0), "q95": -np.log(0.05)}.items():
        assert getattr(exact_spread, name) == pytest.approx(truth, abs=0.005)
        assert getattr(drawn, name) == pytest.approx(truth, abs=0.02)
    assert drawn.sd == pytest.approx(exact_spread.sd, rel=0.01)


def test_what_is_missing_or_not_finite_is_infinitely_far():
    truth = {"a": Spread(-1.6, 0.0, 1.6, 1.0), "b": Spread(-1.6, 0.0, 1.6, 1.0)}
    assert distance(truth, truth) == Off(0.0, "a", 0.0, "a")
    assert distance({"a": truth["a"]}, truth).median == np.inf
    assert distance({**truth, "b": Spread(-1.6, 0.0, np.nan, 1.0)}, truth).quantile == np.inf
    assert distance({**truth, "b": Spread(np.nan, 0.0, 1.6, 1.0)}, truth).wrong


def test_only_what_calls_itself_reliable_is_dishonest():
    far = replace(CASE, off=FAR)
    assert (CASE.wrong, CASE.dishonest) == (False, False)
    assert (far.wrong, far.dishonest) == (True, True)
    assert (replace(far, reliable=False).wrong, replace(far, reliable=False).dishonest) == (True, False)
    assert not replace(CASE, off=None, reliable=None).dishonest
    assert Off(0.31, "a", 0.0, "b").wrong
    assert not Off(0.3, "a", 0.4, "b").wrong
    assert from_record(to_record(far) | {"machine": {}}) == far


def test_cells_and_page_say_what_was_found():
    wrong = replace(CASE, engine="laplace", off=FAR, reliable=False)
    liar = replace(CASE, engine="advi", off=FAR)
    assert cell([CASE, replace(CASE, seed=2)]) == "reliable 2/2, 0.10 / 0.20"
    assert cell([wrong]) == "not reliable 1/1, 0.10 / 0.50, wrong"
    assert cell([liar]) == "**reliable 1/1, 0.10 / 0.50**"
    assert cell([replace(CASE, reliable=None, off=None)]) == "not applicable"
    assert cell([]) == ""
    assert caught([CASE, wrong, liar]) == {"nuts": [], "laplace": ["separation"], "advi": ["separation"]}
    page = markdown([CASE, wrong, liar])
    assert "robust sds off): 1 of 3." in page
    assert "- `separation`, advi, seed 1" in page
    assert "laplace on `separation`" in page


def test_who_is_seldom_reliable_where_it_is_easy_is_timid():
    easy = [replace(CASE, target="reference:epil_nb", off=None, oracle="", seed=seed, reliable=seed > 10)
            for seed in range(1, 101)]
    assert timid(easy) == ["reference:epil_nb: nuts says reliable with 90 of 100 seeds"]
    assert timid([replace(each, engine="laplace") for each in easy]) == []
    assert timid([replace(each, target="separation") for each in easy]) == []


def test_a_later_fit_takes_the_place_of_an_earlier_one():
    again = replace(CASE, seconds=2.0)
    assert latest([CASE, replace(CASE, seed=2), again]) == [again, replace(CASE, seed=2)]
    assert arguments(["--seeds", "3"]).targets == list(HARD)


def test_the_study_of_timidity_goes_on_where_it_stopped_seed_after_seed():
    names = ["separation", "reference:a", "workload:small", "workload:groups-logit-5000"]
    chosen = arguments(["--timid", "--seeds", "2", "--engines", "nuts", "laplace"])
    plan = planned(chosen, names, {("reference:a", "nuts", 1)})
    assert plan[:3] == [("reference:a", "laplace", 1), ("workload:small", "nuts", 1), ("workload:small", "laplace", 1)]
    assert len(plan) == 7
    assert {seed for *_, seed in plan[3:]} == {2}
    again = planned(arguments(["--targets", "separation", "--engines", "nuts"]), names, {("separation", "nuts", 1)})
    assert again == [("separation", "nuts", 1)]


def test_easy_targets_are_the_workloads_and_what_is_far_off_there_is_told():
    assert [EASY[f"workload:{name}"].table().equals(WORKLOADS[name].table()) for name in CHEAP_WORKLOADS[-1:]] == [True]
    off = replace(CASE, target="workload:small", engine="advi", off=Off(0.25, "a", 0.2, "b"))
    assert far([off]) == ["workload:small: advi, seed 1, says reliable and is 0.25 sd off at a"]
    assert far([replace(off, reliable=False), replace(off, engine="nuts"), replace(off, target="separation")]) == []
    assert "says reliable and is 0.25 sd off" in markdown([off])
