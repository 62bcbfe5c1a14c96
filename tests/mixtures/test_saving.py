"""Saved mixtures come back as they were and hold no rows; exported scorers agree with the fit to the last digits."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import gammaln

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture, MixtureFit
from bayesglm.mixtures import scorer as folder
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Component
from bayesglm.mixtures.scorer import Scorer, log_rising
from bayesglm.mixtures.scorer.students import Radial
from bayesglm.registry import discover
from tests.mixtures.worlds import mixed, separated

MEMBERS = discover("bayesglm.mixtures.components", Component)
NUMERIC = [name for name, each in MEMBERS.items() if each.scaled]


@cache
def case(name):
    """Return a fit and rows: two kinds of numbers, mixed columns, or counts with an exposure for some or all of them."""
    if name in NUMERIC:
        table = pd.DataFrame(separated(2, 2, 250, 1)[0])
        return Mixture(["x0", "x1"], table, component=name, max_components=3).fit(seed=1), table
    data, log = pd.DataFrame(mixed(300, 1)[0]), {"latency_ms": "log"}
    if name == "mixed":
        plain = Mixture(["latency_ms", "cold", "zone"], data, transform=log, weights="dirichlet", max_components=4)
        return plain.fit(seed=1), data
    rng, given = np.random.default_rng(2), {"restarts": "poisson", "errors": "negative_binomial"}
    data = data.assign(hours=rng.uniform(0.5, 2, 300), errors=data["restarts"].to_numpy()[::-1] ** 2).iloc[:90]
    columns, exposure = {"counts": ({}, {"errors": "hours"}), "exposed": ({"latency_ms": "student_t"}, "hours")}[name]
    counts = Mixture(["latency_ms", "restarts", "errors"], data, transform=log, component=given | columns, max_components=2,
                     exposure=exposure)
    return counts.fit(seed=1), data


@pytest.fixture(params=[*NUMERIC, "mixed", "counts", "exposed"])
def fitted(request):
    return request.param, *case(request.param)


def test_a_loaded_fit_is_the_fit(fitted, tmp_path):
    _, fit, data = fitted
    fit = fit.update(data.iloc[:50])
    fit = fit.named({fit.ids[0]: "warm"}, runbook={fit.ids[0]: "https://runbooks/warm"})
    fit.save(tmp_path / "fit.bglm")
    found = MixtureFit.load(tmp_path / "fit.bglm")
    assert found.bound == fit.bound
    assert found.schema == fit.schema
    pd.testing.assert_frame_equal(found.components, fit.components, check_exact=True)
    pd.testing.assert_frame_equal(found.changes, fit.changes)
    pd.testing.assert_frame_equal(found.refreshes, fit.refreshes)
    pd.testing.assert_frame_equal(found.found.starts, fit.found.starts)
    assert np.array_equal(found.score(data), fit.score(data))
    assert np.array_equal(found.responsibilities(data), fit.responsibilities(data))
    assert found.draws(1, 20)["posterior"].equals(fit.draws(1, 20)["posterior"])
    assert found.update(data.iloc[50:90]).bound == fit.update(data.iloc[50:90]).bound
    assert found.table is None
    found.save(tmp_path / "again.bglm")
    assert (tmp_path / "again.bglm").read_bytes() == (tmp_path / "fit.bglm").read_bytes()


def test_exported_scorers_agree_with_the_fit(fitted, tmp_path):
    name, fit, data = fitted
    fit.export(tmp_path / "scorer.npz")
    scorer = Scorer.load(tmp_path / "scorer.npz")
    assert scorer.ids == fit.ids
    assert np.allclose(scorer.score(data), fit.score(data), rtol=0, atol=1e-10)
    far = data.iloc[:1].copy()
    for value in (1e6, 1e30 if fit.parts[0].component.scaled else 1e9):
        far[fit.parts[0].layout.names[0]] = value
        assert scorer.score(far) == pytest.approx(fit.score(far), rel=1e-11)
    if name != "mixed":
        assert np.array_equal(scorer.score(data[list(scorer.columns)].to_numpy()), scorer.score(data))


def test_a_component_without_a_form_is_not_exported(tmp_path):
    fit, _ = case("gaussian")
    part = Part(replace(fit.parts[0].component, exported=None), fit.parts[0].layout)
    with pytest.raises(BayesGLMError, match="no form that the scorer knows"):
        replace(fit, parts=(part,)).export(tmp_path / "scorer.npz")


def test_levels_that_are_numbers_are_known_in_an_array(tmp_path):
    data = {"x": np.random.default_rng(1).normal(size=40), "zone": np.arange(40) % 3}
    fit = Mixture(["x", "zone"], data, component={"zone": "categorical"}, max_components=2).fit(seed=1)
    fit.export(tmp_path / "scorer.npz")
    scorer = Scorer.load(tmp_path / "scorer.npz")
    assert np.allclose(scorer.score(np.column_stack([data[name] for name in scorer.columns])), fit.score(data), atol=1e-10)


def test_the_scorer_needs_numpy_alone(tmp_path):
    """Its folder, copied elsewhere under another name, scores a row in a process that has not seen the package."""
    fit, data = case("exposed")
    fit.export(tmp_path / "fit.npz")
    shutil.copytree(Path(folder.__file__).parent, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__"))
    row = data.iloc[:1].to_dict("list")
    code = (f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import tiny; "
            f"print(*tiny.Scorer.load({str(tmp_path / 'fit.npz')!r}).score({row!r}).tolist()); "
            "assert not {'bayesglm', 'scipy', 'pandas', 'pymc'} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(fit.score(data.iloc[:1])[0], abs=1e-10)


def test_rising_gammas_are_sums_of_logs():
    """log a (a + 1) ... (a + s - 1), added without rounding; for a of 1e12 the gammas themselves are known to 0.001 only."""
    rng = np.random.default_rng(1)
    a, s = 10 ** rng.uniform(-2, 12, 200), np.floor(10 ** rng.uniform(0, 4, 200))
    exact = [math.fsum(np.log(x + np.arange(y)).tolist()) for x, y in zip(a, s, strict=True)]
    assert np.allclose(log_rising(a, s), exact, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("size", "df", "kappa"), [(1, 3.0, 0.05), (2, 30.0, 30.0), (20, 2000.0, 2000.0), (5, 5.0, 1.05)])
def test_tables_of_students_are_their_integrals(size, df, kappa):
    """Also where the density turns sharply from one power to another: few rows behind the scatter, light tails."""
    for free in (1.0, 100.0):
        radial = Radial(size, df, kappa, free)
        t = np.concatenate([np.random.default_rng(1).uniform(0, end, 200) for end in (1.0, 5.0, 32.0)])
        assert np.allclose(radial.table().at(t), radial.exact(np.expm1(t) * free), rtol=1e-11, atol=1e-11)


def test_the_integral_of_a_student_is_quadratures():
    radial = Radial(3, 12.0, 5.0, 4.0)
    for square in (0.0, 2.0, 1e4):
        def integrand(u, square=square):
            widen = 1 / u + 1 / 5.0
            return stats.gamma.pdf(u, 2.0, scale=0.5) * widen ** (-1.5) * (1 + square / (12 * widen)) ** (-7.5)

        peak = 1 / (1 + square)
        pieces = [(low, high) for low, high in ((0, peak), (peak, 1), (1, 40)) if low < high]
        found = sum(integrate.quad(integrand, *piece, epsabs=0, epsrel=1e-11)[0] for piece in pieces)
        constant = 2 * np.log(2.0) - gammaln(2.0)
        assert radial.exact(np.array([square]))[0] + constant == pytest.approx(np.log(found), rel=1e-9)


def test_a_saved_file_holds_no_rows(tmp_path):
    secret = pd.DataFrame({"x": np.arange(1000, 1400.0) + 0.125, "zone": ["alpha", "beta"] * 200})
    fit = Mixture(["x", "zone"], secret, max_components=3).fit(seed=1)
    fit.save(tmp_path / "fit.bglm")
    with zipfile.ZipFile(tmp_path / "fit.bglm") as file:
        text = file.read("manifest.json").decode()
        assert sorted(file.namelist()) == ["arrays.nc", "manifest.json"]
        assert len(file.read("arrays.nc")) < 60_000
    assert json.loads(text)["format"] == "bayesglm mixture"
    assert not any(f"{value}" in text for value in secret["x"][1:-1])


def test_damaged_and_foreign_files_are_refused(tmp_path):
    fit, _ = case("gaussian")
    place = tmp_path / "fit.bglm"
    fit.save(place)
    whole = place.read_bytes()
    for broken in (whole[:-30], whole[:200] + b"x" + whole[201:], b"", b"PK nothing"):
        place.write_bytes(broken)
        with pytest.raises(BayesGLMError):
            MixtureFit.load(place)
    with pytest.raises(BayesGLMError, match="cannot be read"):
        MixtureFit.load(tmp_path / "nothing")
    with pytest.raises(BayesGLMError, match="folder"):
        fit.save(tmp_path)
    with pytest.raises(BayesGLMError, match="written"):
        fit.export(tmp_path / "nowhere" / "scorer.npz")
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(ValueError, match="no scorer"):
        Scorer.load(tmp_path / "other.npz")


def test_bad_rows_are_refused_by_the_scorer(tmp_path):
    fit, data = case("mixed")
    fit.export(tmp_path / "scorer.npz")
    scorer, good = Scorer.load(tmp_path / "scorer.npz"), data.iloc[:3].to_dict("list")
    for column, value, says in (("zone", "z", "has not seen"), ("latency_ms", -1.0, "at or below 0"),
                                ("latency_ms", np.nan, "missing"), ("latency_ms", np.inf, "infinite")):
        with pytest.raises(ValueError, match=says):
            scorer.score(good | {column: [value, *good[column][1:]]})
    counts, data = case("exposed")
    counts.export(tmp_path / "scorer.npz")
    scorer, good = Scorer.load(tmp_path / "scorer.npz"), data.iloc[:3].to_dict("list")
    for column, value, says in (("restarts", 1.5, "no counts"), ("errors", -1, "no counts"), ("errors", np.nan, "missing"),
                                ("hours", -1.0, "exposures that are"), ("hours", np.nan, "exposures that are")):
        with pytest.raises(ValueError, match=says):
            scorer.score(good | {column: [value, *good[column][1:]]})
    numeric, _ = case("gaussian")
    numeric.export(tmp_path / "scorer.npz")
    with pytest.raises(ValueError, match="further than"):
        Scorer.load(tmp_path / "scorer.npz").score(np.array([[1e200, 0.0]]))
    for rows in (np.ones((2, 3)), np.ones(2)):
        with pytest.raises(ValueError, match="shape"):
            Scorer.load(tmp_path / "scorer.npz").score(rows)
