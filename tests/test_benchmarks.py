"""The benchmarks compare like with like: peers' models have our model's density, and the arithmetic of the table is right."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pymc as pm
import pytest

from benchmarks import contenders, measure, runs
from benchmarks.__main__ import arguments, pairs
from benchmarks.contenders import PEERS, contender
from benchmarks.handwritten import write
from benchmarks.measure import converged, elements, quality
from benchmarks.prepared import Ingredients, LinearPredictor, ingredients
from benchmarks.runs import MOST_DRAWS, most_converged, next_draws
from benchmarks.summary import accuracies, compare, summarise
from benchmarks.table import merge, write_all
from benchmarks.task import Task
from benchmarks.workloads import WORKLOADS

# One of each kind, with fewer rows.
KINDS = {"telemetry-nb-2000": 300, "zero-inflated-nb": 300, "crossed-logistic": 300, "random-walk-1000": 30, "horseshoe-200": 300}
SLOW = {"zero-inflated-nb", "crossed-logistic"}


def density(model: pm.Model, point: dict[str, np.ndarray]) -> float:
    """Log density of the parameters themselves, without the Jacobians of their transforms, which differ in name only."""
    value = {name: model.rvs_to_values[model[name]] for name in point}
    inputs = [value[name] for name in point]
    transformed = {name: model.rvs_to_transforms[model[name]] for name in point}
    arguments = [
        np.asarray(point[name] if transformed[name] is None
                   else transformed[name].forward(point[name], *model[name].owner.inputs).eval(mode="FAST_COMPILE"))
        for name in point
    ]
    return float(model.compile_fn(model.logp(jacobian=False), inputs=inputs, point_fn=False, mode="FAST_COMPILE")(*arguments))


def same_point(parts: Ingredients, rng: np.random.Generator, form: str) -> tuple[dict, dict, float]:
    """Return one point in the coordinates of our model and of a handwritten one, and log |d ours / d theirs|."""
    ours, theirs = {}, {}
    for name in parts.constants:
        ours[name] = theirs[name] = np.array(rng.uniform(1, 2))
    jacobian = sum(_predictor_point(each, rng, form, ours, theirs) for each in parts.predictors)
    return ours, theirs, jacobian


def _predictor_point(each: LinearPredictor, rng: np.random.Generator, form: str, ours: dict, theirs: dict) -> float:
    p, jacobian = each.prefix, 0.0
    centre, scale = np.array(each.centre), np.array(each.scale)
    level = rng.normal()
    ours[f"{p}Intercept_centered" if each.coef else f"{p}Intercept"] = np.array(level)
    moved = [e for e in {e for b in each.blocks if b.role == "group" for e in b.effects} if form == "hierarchical"]
    scaled = rng.normal(size=len(each.coef)) * 0.3
    kept = [j for j, name in enumerate(each.coef) if name not in moved]
    population = {name: scaled[j] / scale[j] for j, name in enumerate(each.coef)}
    for j, name in enumerate(each.coef):
        if name in moved:  # the slope per unit of its column, where ours is per sd
            theirs[f"{p}slope_{name}"] = np.array(population[name])
            jacobian += np.log(scale[j])
            level = level - centre[j] * population[name]
    population["Intercept"] = level
    if each.coef and each.priors[0]["prior"] == "horseshoe":
        jacobian += _horseshoe_point(f"{p}beta_scaled", each, rng, form, ours, theirs)
    elif each.coef:
        ours[f"{p}beta_scaled"] = scaled
        theirs[f"{p}beta_scaled"] = scaled[kept]
    walks = [block for block in each.blocks if block.role == "walk"]
    if not (walks and form == "hierarchical"):
        theirs[f"{p}level"] = np.array(level)
    claimed: set[str] = set()
    for block in sorted(each.blocks, key=lambda b: b.levels):
        sd, rows = rng.uniform(0.5, 1.5, len(block.effects)), block.levels - (block.role == "walk")
        z = rng.normal(size=(rows, len(block.effects)))
        ours[f"{p}z_{block.name}"] = z
        ours[f"{p}{block.sd}"] = sd if block.role == "group" else sd[0]
        if block.role == "walk":
            theirs[f"{p}{block.sd}"] = sd[0]
            path = np.concatenate([[0.0], sd[0] * np.cumsum(z[:, 0])])
            theirs |= {f"{p}{block.name}_w": level + path - path.mean()} if form == "hierarchical" else {
                f"{p}{block.name}_z": z[:, 0]}
            jacobian -= rows * np.log(sd[0]) * (form == "hierarchical")
            continue
        for q, effect in enumerate(block.effects):
            theirs[f"{p}{block.sd}_{effect}"] = sd[q]
            mean = population[effect] if effect in moved and effect not in claimed else 0.0
            claimed.add(effect)
            theirs |= {f"{p}{block.name}_z_{effect}": z[:, q]} if form == "noncentred" else {
                f"{p}{block.name}_u_{effect}": mean + sd[q] * z[:, q]}
            jacobian -= rows * np.log(sd[q]) * (form != "noncentred")
    return float(jacobian)


def _horseshoe_point(name: str, each: LinearPredictor, rng: np.random.Generator, form: str, ours: dict, theirs: dict) -> float:
    tau, local, slab, z = 0.2, rng.uniform(0.5, 2, len(each.coef)), 1.5, rng.normal(size=len(each.coef))
    shared = {f"{name}_tau": np.array(tau), f"{name}_lambda": local, f"{name}_slab": np.array(slab)}
    width = tau * local * np.sqrt(slab / (slab + (tau * local) ** 2))
    ours |= {**shared, f"{name}_z": z}
    theirs |= {**shared, **({f"{name}_z": z} if form == "noncentred" else {name: z * width})}
    return 0.0 if form == "noncentred" else -float(np.log(width).sum())


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in KINDS])
def test_peers_models_have_our_models_density(name):
    workload = replace(WORKLOADS[name], rows=KINDS[name])
    model = workload.model(workload.table())
    parts = ingredients(model)
    for form in ("noncentred", "hierarchical"):
        ours, theirs, jacobian = same_point(parts, np.random.default_rng(5), form)
        expected = density(model.pymc, ours) + jacobian
        np.testing.assert_allclose(density(write(parts, form), theirs), expected, rtol=1e-9)


def test_a_peers_model_with_another_prior_has_another_density():
    workload = replace(WORKLOADS["small"])
    parts = ingredients(workload.model(workload.table()))
    ours, theirs, _ = same_point(parts, np.random.default_rng(5), "noncentred")
    expected = density(workload.model(workload.table()).pymc, ours)
    wider = replace(parts, constants={"concentration": {**parts.constants["concentration"], "sigma": 20.0}})
    assert density(write(parts, "noncentred"), theirs) == pytest.approx(expected, rel=1e-9)
    assert abs(density(write(wider, "noncentred"), theirs) - expected) > 0.1


def test_independent_draws_are_worth_their_number_and_no_more():
    rng = np.random.default_rng(1)
    half = rng.normal(size=(4, 500, 3))
    opposite = np.stack([half, -half], axis=2).reshape(4, 1000, 3)  # each draw is followed by its opposite
    for draws in (rng.normal(size=(4, 1000, 3)), opposite):
        found = quality({"beta": draws})
        assert 3000 < found["ess"]["bulk"] <= 4000
        assert converged(found)
    assert quality({"beta": opposite})["ess"]["bulk"] == 4000


def test_chains_that_disagree_do_not_count():
    draws = np.random.default_rng(1).normal(size=(4, 1000, 1))
    draws[0] += 1.0
    assert not converged(quality({"beta": draws}))
    assert not converged(quality({"beta": draws[1:, :100]}))


def test_what_never_varies_is_left_out():
    correlation = np.broadcast_to(np.eye(2), (4, 100, 2, 2)).copy()
    correlation[..., 0, 1] = correlation[..., 1, 0] = np.random.default_rng(1).uniform(-1, 1, (4, 100))
    assert sorted(elements({"cor": correlation})) == ["cor[1]", "cor[2]"]


MACHINE = {"cpu": "a cpu", "cores": 2, "memory_gib": 8, "python": "3.13", "versions": {"pymc": "6"}, "when": "2026-01-01T00:00"}


def run_of(
    contender: str, *, bulk: float, tail: float, sample: float, wall: float = 10.0, draws: int = 500, **more: object,
) -> dict:
    """Return a run as it is kept."""
    good = more.pop("converged", True)
    return {"workload": "small", "contender": contender, "seed": 1, "draws": draws, "threads": 1, "rows": 40, "wall": wall,
            "compile": 1.0, "sample": sample, "dimension": 12, "notes": "", "settings": {"chains": 2, "draws": draws},
            "course": [], "peak_mib": 500.0, "load": [1.0, 2.0], "converged": good, "draws_kept": 2 * draws, "r_hat": 1.001,
            "ess": {"bulk": bulk, "tail": tail, "squares": tail}, "means": {"beta[0]": 0.0}, "sds": {"beta[0]": 1.0},
            "gradients_per_draw": 7.0, "machine": MACHINE, **more}


RUNS = [
    run_of("bayesglm:nuts", bulk=900, tail=600, sample=2.0, wall=5.0),
    run_of("bayesglm:nuts", bulk=900, tail=800, sample=2.0, wall=6.0, seed=2),
    run_of("bayesglm:nuts", bulk=900, tail=1000, sample=2.0, wall=7.0, seed=3),
    run_of("nutpie:diag:noncentred", bulk=300, tail=300, sample=0.1, converged=False),
    run_of("nutpie:diag:noncentred", bulk=500, tail=700, sample=5.0, draws=1000, wall=12.0),
    run_of("nutpie:diag:noncentred", bulk=1200, tail=1500, sample=6.0, draws=2000, wall=15.0),
    run_of("nutpie:low_rank:noncentred", bulk=9000, tail=9000, sample=1.0, converged=False),
    run_of("bambi", bulk=500, tail=500, sample=100.0, wall=120.0, means={"deploy[0]": 0.0}, sds={"deploy[0]": 1.0}),
]


def test_the_ratio_is_of_medians_of_runs_that_count_at_the_setting_that_suits_each():
    (ratio,) = compare(summarise(RUNS))
    assert ratio.peer == "nutpie:diag:noncentred"  # the other one is faster and has not converged
    assert ratio.rate == pytest.approx((800 / 2) / (1200 / 6))
    assert ratio.wall == pytest.approx(12 / 6)
    assert ratio.by_default == pytest.approx((800 / 2) / (500 / 100))


def test_what_packages_do_by_default_counts_as_they_leave_it():
    (ratio,) = compare(summarise([{**each, "converged": each["contender"] != "bambi"} for each in RUNS]))
    assert ratio.by_default == pytest.approx((800 / 2) / (500 / 100))


@pytest.mark.parametrize(("name", "lengths"), [
    ("bayesglm:nuts", [runs.WARM_UP, None, runs.OUR_FIRST_DRAWS]), ("bayesglm:laplace", [runs.WARM_UP, None]),
    ("nutpie:diag:noncentred", [runs.WARM_UP, runs.FIRST_DRAWS]), ("bambi", [runs.WARM_UP, None])])
def test_our_samplers_run_to_their_goals_and_from_few_draws_on(name, lengths, monkeypatch, tmp_path):
    asked = []

    def run(task: Task, *, threads: int | None) -> dict:
        asked.append(task.draws)
        return run_of(task.contender, bulk=900, tail=900, sample=1.0, draws=task.draws or 500, threads=threads)

    monkeypatch.setattr(runs, "run", run)
    monkeypatch.setattr(runs, "prepare", lambda workload, directory: tmp_path)
    kept = list(runs.attempts(contender(name), "small", tmp_path, repeats=1, budget=60.0, threads=[1]))
    assert asked == lengths
    assert len(kept) == len(lengths) - 1


def test_ours_that_has_not_converged_is_shown_without_a_ratio():
    (ratio,) = compare(summarise([{**each, "converged": not each["contender"].startswith("bayesglm")} for each in RUNS]))
    assert (ratio.converged, ratio.rate, ratio.wall, ratio.by_default) == (False, None, None, None)


def test_posteriors_that_differ_are_seen():
    shifted = [*RUNS[1:], run_of("numpyro:noncentred", bulk=900, tail=900, sample=2.0, means={"beta[0]": 0.5})]
    lines = {each.contender: each for each in summarise(shifted)}
    assert lines["numpyro:noncentred"].difference == pytest.approx(0.5)
    assert lines["bambi"].difference is None  # names of its own


def test_an_approximation_counts_from_when_it_stays_near():
    course = [{"seconds": float(t), "means": {"beta[0]": mean}} for t, mean in enumerate((0.9, 0.1, 0.4, 0.15, 0.05), start=1)]
    advi = run_of("advi", bulk=1, tail=1, sample=5.0, converged=False, r_hat=None, course=course, sds={"beta[0]": 0.5})
    (found,) = accuracies([*RUNS, advi])
    assert (found.within, found.shift, found.spread) == (4.0, 0.0, 2.0)


def test_runs_are_doubled_until_they_converge_or_the_time_is_up():
    nutpie = next(each for each in PEERS if each.name.startswith("nutpie"))
    glmm = next(each for each in PEERS if each.name == "glmmTMB")
    open_run = run_of(nutpie.name, bulk=100, tail=100, sample=10.0, wall=20.0, converged=False)
    assert next_draws(open_run, nutpie, budget=100.0) == 1000
    assert next_draws(open_run, nutpie, budget=25.0) is None
    assert next_draws(open_run, glmm, budget=100.0) is None
    assert next_draws({**open_run, "converged": True}, nutpie, budget=100.0) is None
    assert next_draws({**open_run, "settings": {"draws": MOST_DRAWS}}, nutpie, budget=1e9) is None
    assert next_draws({"converged": False, "error": "not done after 100 s"}, nutpie, budget=1e9) is None


def test_one_lucky_seed_of_three_does_not_make_a_setting_count():
    lucky = run_of("nutpie:low_rank:noncentred", bulk=9000, tail=9000, sample=1.0, draws=4000)
    unlucky = [{**lucky, "converged": False, "seed": seed} for seed in (2, 3)]
    assert not most_converged([lucky, *unlucky])
    assert most_converged([lucky, lucky, unlucky[0]])
    lines = {each.contender: each for each in summarise([*RUNS, lucky, *unlucky])}
    assert not lines["nutpie:low_rank:noncentred"].converged


@pytest.mark.parametrize("module", [contenders, measure])
def test_examples_give_what_they_show(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert not found.failed


def test_new_runs_take_the_place_of_kept_ones():
    new = [run_of("bambi", bulk=1, tail=1, sample=1.0)]
    assert merge(RUNS, new) == [*RUNS[:-1], *new]


def test_the_table_is_the_same_twice(tmp_path):
    for folder in ("one", "two"):
        write_all([*RUNS, {**RUNS[-1], "contender": "brms", "error": "not done after 100 s"}], [], tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["grouped.jsonl", "rates.svg", "runs.jsonl", "table.csv", "table.md"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    text = (tmp_path / "one" / "table.md").read_text(encoding="utf-8")
    assert "| small | nutpie:diag:noncentred | 2 | 2 | 80 |" in text
    assert "| *`nutpie:low_rank:noncentred`* |" in text
    assert "not done after 100 s" in text


def test_the_command_line_chooses_by_name_pattern_and_capacity():
    chosen = pairs(arguments(["--workloads", "small", "--ours", "nuts", "--peers", "nutpie:*:hierarchical", "point"]))
    assert [each.name for _, each in chosen] == [
        "bayesglm:nuts", "nutpie:low_rank:hierarchical", "nutpie:diag:hierarchical", "glmmTMB"]
    with pytest.raises(SystemExit, match="telemetry-nb-2000"):
        pairs(arguments(["--workloads", "telemetrie"]))
