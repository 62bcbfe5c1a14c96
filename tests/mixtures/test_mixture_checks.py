"""Every check of a mixture passes on rows of its own kind, and answers its planted fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayesglm.checks.check import Check, Checks
from bayesglm.mixtures import Mixture
from bayesglm.mixtures.ascent import Climb, from_responsibilities
from bayesglm.mixtures.check import PANEL, examined
from bayesglm.mixtures.checks.component_collapse import information
from bayesglm.mixtures.identity import first_identity
from bayesglm.mixtures.learning import rows_and_bases
from bayesglm.mixtures.shapes import ellipse, shapes
from bayesglm.mixtures.starts import kmeans
from bayesglm.registry import discover
from tests.mixtures.worlds import separated

CHECKS = discover(PANEL.folder, Check)
BAD = ("warn", "fail")


def answer(name, fit, data=None, seed=0):
    return CHECKS[name].run(examined(fit, data), seed)


@pytest.fixture(scope="module")
def table():
    return separated(3, 2, 1500, 1)[0]


@pytest.fixture(scope="module")
def fit(table):
    return Mixture(["x0", "x1"], table, max_components=6).fit(seed=1)


@pytest.fixture(scope="module")
def heavy():
    """One Gaussian for rows with Student-t tails."""
    return Mixture(["x"], {"x": np.random.default_rng(1).standard_t(3, 2000)}, max_components=1).fit(seed=1)


def with_responsibilities(fit, responsibilities):
    """Return a fit as if ascent had stopped at some responsibilities."""
    rows, bases, _ = rows_and_bases(fit.parts, fit.table)
    problem = replace(fit.priors, held=rows, base=float(bases.sum()))
    posterior, bound = from_responsibilities(problem, responsibilities)
    found = replace(fit.found, climb=Climb(posterior, (bound,), converged=True))
    return replace(fit, found=found, identity=first_identity(len(responsibilities)))


def test_every_check_has_the_same_parts():
    for name, check in CHECKS.items():
        assert name == check.name
        assert check.question.endswith("?")
        assert check.source
    assert [name for name, check in CHECKS.items() if check.decisive] == ["convergence"]
    assert {"singular_cov", "too_many_components", "component_collapse", "alert_storm", "unnamed_component"} <= set(CHECKS)


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "unnamed_component"])
def test_a_sound_fit_passes(name, fit):
    found = answer(name, fit)
    assert found.verdict == "pass", found.finding
    assert found.finding
    assert not found.advice


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_sound_fits_pass_all_checks(seed):
    data = separated(4, 3, 2000, seed)[0]
    found = Mixture(list(data), data).fit(seed=seed).named(dict.fromkeys((1, 2, 3, 4), "a")).check(seed=seed)
    assert found.verdict == "pass", str(found)


FAULTS = {
    "singular_cov": lambda rng, fit: Mixture(
        ["x", "y"], {name: np.append(rng.normal(size=300), [30.0] * 3) for name in "xy"}, max_components=6).fit(seed=1),
    "too_many_components": lambda rng, fit: with_responsibilities(fit, kmeans(fit.numbers()[0], 15, rng)),
    "component_collapse": lambda rng, fit: with_responsibilities(fit, np.full((5, fit.table.rows), 0.2)),
    "alert_storm": lambda rng, fit: Mixture(
        ["n"], {"n": rng.negative_binomial(3, 0.3, 500)}, component="poisson", max_components=1).fit(seed=1),
    "unnamed_component": lambda rng, fit: fit.named({int(rng.integers(1, len(fit.ids) + 1)): "warm"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FAULTS))
def test_a_planted_fault_is_seen_in_each_of_forty_seeds_and_a_sound_fit_passes(name):
    """Fires in at least 99 of 100 and on sound fits in fewer than 5: 40 seeds with no miss, at most one false alarm."""
    false = 0
    for seed in range(40):
        table, _ = separated(3, 2, 500, seed)
        sound = Mixture(list(table), table, max_components=6).fit(seed=seed)
        assert answer(name, FAULTS[name](np.random.default_rng(seed), sound), seed=seed).verdict in BAD, seed
        false += answer(name, sound, seed=seed).verdict in BAD
    assert false <= 1


@pytest.mark.slow
def test_checks_together(fit):
    found = fit.check()
    assert isinstance(found, Checks)
    assert found.results[0].name == "convergence"
    assert found.verdict == "pass"
    assert set(found.to_frame().index) == set(CHECKS)


def test_an_ascent_that_was_stopped_or_fell_fails(fit):
    climb = fit.found.climb
    for broken in (replace(climb, converged=False), replace(climb, bounds=(-10.0, -20.0, -19.0))):
        found = answer("convergence", replace(fit, found=replace(fit.found, climb=broken)))
        assert found.verdict == "fail"
        assert found.advice


def test_student_tails_under_one_gaussian_are_seen(heavy):
    found = answer("predictive", heavy)
    assert found.verdict == "fail"
    assert found.table.loc[found.table["statistic"] == "tails", "p"].item() < 0.01
    assert "student_t" in found.advice


def test_a_pair_that_goes_together_otherwise_is_seen():
    rng = np.random.default_rng(1)
    x = rng.normal(size=1500)
    data = {"x": x, "y": 0.7 * x + rng.normal(size=1500)}
    broken = Mixture(["x", "y"], data, component="diagonal_gaussian", max_components=1).fit(seed=1)
    found = answer("predictive", broken)
    assert found.verdict == "fail"
    assert found.table["statistic"].iloc[0] == "correlation"


def test_levels_unlike_the_fit_are_seen():
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=600), "s": rng.choice(["a", "b"], 600)}
    fit = Mixture(["x", "s"], data).fit(seed=1)
    assert answer("predictive", fit).verdict == "pass"
    assert answer("predictive", fit, data | {"s": rng.choice(["a", "b"], 600, p=[0.8, 0.2])}).verdict in BAD


@pytest.mark.parametrize("fault", ["identical", "collinear"])
def test_singular_covariances_are_seen(fault):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 400))
    faults = {"identical": {"x": np.append(x, [30.0] * 3), "y": np.append(y, [30.0] * 3)}, "collinear": {"x": x, "y": 3 * x}}
    found = answer("singular_cov", Mixture(["x", "y"], faults[fault]).fit(seed=1))
    assert found.verdict == "fail"
    assert "component" in found.finding
    assert "diagonal_gaussian" in found.advice


def test_condition_numbers_and_ellipses_are_those_of_the_eigenvalues(fit):
    (shape,) = shapes(fit)
    table = answer("singular_cov", fit).table
    for k in range(3):
        values, vectors = np.linalg.eigh(shape.standardised[k])
        assert table["condition number"].iloc[k] == pytest.approx(np.linalg.cond(shape.standardised[k]), rel=1e-8)
        assert table["condition number"].iloc[k] == pytest.approx(values[-1] / values[0], rel=1e-8)
        drawn = ellipse(shape.center[k], shape.covariance[k], held=0.9)
        values, vectors = np.linalg.eigh(shape.covariance[k])
        assert np.linalg.norm(drawn.axes, axis=1) == pytest.approx(np.sqrt(4.605170186 * values[::-1]), rel=1e-8)
        assert np.abs(drawn.axes[0] @ vectors[:, 1]) == pytest.approx(np.linalg.norm(drawn.axes[0]), rel=1e-10)
        away = np.linalg.solve(np.linalg.cholesky(shape.covariance[k]), (drawn.outline(20) - shape.center[k]).T)
        assert (away**2).sum(axis=0) == pytest.approx(np.full(20, 4.605170186), rel=1e-8)
    rows = np.random.default_rng(1).multivariate_normal(shape.center[0], shape.covariance[0], 20_000)
    away = np.linalg.solve(np.linalg.cholesky(shape.covariance[0]), (rows - shape.center[0]).T)
    inside = (away**2).sum(axis=0) < 4.605170186  # the 90 % point of chi-square with two degrees of freedom
    assert inside.mean() == pytest.approx(0.9, abs=0.01)


def test_too_many_components_are_seen(fit):
    _, _, numbers = rows_and_bases(fit.parts, fit.table)
    found = answer("too_many_components", with_responsibilities(fit, kmeans(numbers[0], 15, np.random.default_rng(1))))
    assert found.verdict == "fail"
    assert found.finding.startswith("3 components describe the rows better than 15")
    assert found.table["BIC"].diff().iloc[1] < 0
    full = Mixture(["x0", "x1"], separated(3, 2, 300, 1)[0], max_components=3).fit(seed=1)
    assert "allowed" in answer("too_many_components", full).finding


def test_components_that_start_at_one_place_are_seen(fit):
    found = answer("component_collapse", with_responsibilities(fit, np.full((4, fit.table.rows), 0.25)))
    assert found.verdict == "fail"
    assert "4 components have the same rows" in found.finding
    rng = np.random.default_rng(1)
    assert information(rng.dirichlet(np.ones(3), 5000)) < 0.5


@pytest.mark.slow
def test_components_that_other_rows_do_not_give_again_are_seen():
    rng = np.random.default_rng(4)
    data = {"x": rng.gamma(1.0, 1.0, 700), "y": rng.gamma(1.0, 1.0, 700)}
    found = answer("stability", Mixture(["x", "y"], data).fit(seed=1))
    assert found.verdict == "warn"
    assert "kinds of rows" in found.advice


def test_a_window_of_other_components_is_seen(fit, table):
    member = fit.responsibilities(table).argmax(axis=1)
    window = {name: values[(member == 0) | (np.arange(1500) % 4 == 0)] for name, values in table.items()}
    found = answer("weights", fit, window)
    assert found.verdict == "warn"
    assert "long-term" in found.finding


@pytest.mark.parametrize(("fault", "cause"), [("unit", "one column"), ("drift", "drift"), ("event", "one stretch")])
def test_storms_are_seen_with_their_cause(fit, fault, cause):
    new = {name: values[1500:].copy() for name, values in separated(3, 2, 3000, 1)[0].items()}
    assert answer("alert_storm", fit, new).verdict == "pass"
    if fault == "unit":
        new["x0"] *= 1000
    elif fault == "drift":
        new = {name: values + 1.2 for name, values in new.items()}
    else:
        for values in new.values():
            values[300:360] += 40
    found = answer("alert_storm", fit, new)
    assert found.verdict == "fail"
    assert cause in found.table["suspected"].tolist()
    assert found.advice


def test_a_storm_by_a_wrong_model_is_seen(heavy):
    found = answer("alert_storm", heavy)
    assert found.verdict in BAD
    assert found.table["suspected"].tolist() == ["model"]


@pytest.mark.parametrize("exposed", [False, True])
def test_a_storm_by_counts_that_vary_more_than_poisson_is_seen_with_its_cause(exposed):
    rng = np.random.default_rng(1)
    hours = rng.uniform(1, 3, 800)
    data = {"n": rng.negative_binomial(3, 3 / (3 + 7 * hours)), "hours": hours}
    options = {"component": "poisson", "max_components": 1, "exposure": "hours" if exposed else None}
    found = answer("alert_storm", Mixture(["n"], data, **options).fit(seed=1))
    assert found.verdict == "fail"
    assert found.table["suspected"].tolist() == ["dispersion", "model"]
    assert "negative_binomial" in found.advice
    right = Mixture(["n"], data, **options | {"component": "negative_binomial"}).fit(seed=1)
    assert answer("alert_storm", right).verdict == "pass"


@pytest.mark.parametrize(("rows", "verdict"), [(range(700, 709), "pass"), (range(0, 1500, 170), "warn")])
def test_a_burst_of_flagged_rows_is_one_event_and_scattered_ones_are_many(fit, rows, verdict):
    """Nine far rows beside those that are flagged anyway: fewer than a storm, and by themselves too many for chance."""
    new = {name: values[1500:].copy() for name, values in separated(3, 2, 3000, 1)[0].items()}
    new["x0"][list(rows)] += 40
    assert answer("alert_storm", fit, new).verdict == verdict


def test_components_without_a_name_are_seen(fit):
    assert answer("unnamed_component", fit).verdict == "not applicable"
    found = answer("unnamed_component", fit.named({1: "warm", 3: "cold"}))
    assert found.verdict == "warn"
    assert found.table["id"].tolist() == [2]
    assert answer("unnamed_component", fit.named({1: "warm", 2: "batch", 3: "cold"})).verdict == "pass"


def test_checks_that_need_rows_say_so(fit):
    found = Checks(tuple(check.run(examined(replace(fit, table=None)), 0) for check in CHECKS.values()))
    verdicts = found.to_frame()["verdict"]
    for name in ("predictive", "stability", "too_many_components", "component_collapse", "alert_storm", "weights"):
        assert verdicts[name] == "not applicable"
    assert verdicts["convergence"] == "pass"
    assert verdicts["singular_cov"] == "pass"


def test_many_columns_are_seen_unless_they_are_projected():
    rng = np.random.default_rng(1)
    data = {f"x{j}": rng.normal(size=80) for j in range(51)}
    options = {"component": "diagonal_gaussian", "max_components": 1}
    found = answer("many_columns", Mixture(list(data), data, **options).fit(seed=1))
    assert found.verdict == "warn"
    assert "projection" in found.advice
    assert answer("many_columns", Mixture(list(data), data, projection="pca", scores=5, **options).fit(seed=1)).verdict == "pass"
