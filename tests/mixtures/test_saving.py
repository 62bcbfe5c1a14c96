"""Saved mixtures come back as they were and hold no rows; exported scorers agree with the fit to the last digits."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture, MixtureFit
from bayesglm.mixtures.component import Component
from bayesglm.mixtures.scorer import Scorer
from bayesglm.registry import discover
from tests.mixtures.worlds import mixed, separated

MEMBERS = discover("bayesglm.mixtures.components", Component)
NUMERIC = [name for name, each in MEMBERS.items() if each.scaled]


def fits():
    table = pd.DataFrame(separated(2, 2, 250, 1)[0])
    for name in NUMERIC:
        yield name, Mixture(["x0", "x1"], table, component=name, max_components=3).fit(seed=1), table
    data, log = pd.DataFrame(mixed(300, 1)[0]), {"latency_ms": "log"}
    plain = Mixture(["latency_ms", "cold", "zone"], data, transform=log, weights="dirichlet", max_components=4)
    yield "mixed", plain.fit(seed=1), data
    counts = Mixture(["latency_ms", "restarts"], data, transform=log, component={"restarts": "poisson"}, max_components=4)
    yield "counts", counts.fit(seed=1), data


@pytest.fixture(scope="module", params=[*NUMERIC, "mixed", "counts"])
def fitted(request):
    return next(each for each in CASES if each[0] == request.param)


CASES = list(fits())


def test_a_loaded_fit_is_the_fit(fitted, tmp_path):
    _, fit, data = fitted
    fit = fit.update(data.iloc[:100]).named({1: "warm"}, runbook={1: "https://runbooks/warm"})
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
    assert found.update(data.iloc[100:200]).bound == fit.update(data.iloc[100:200]).bound
    assert found.table is None
    found.save(tmp_path / "again.bglm")
    assert (tmp_path / "again.bglm").read_bytes() == (tmp_path / "fit.bglm").read_bytes()


def test_exported_scorers_agree_with_the_fit(fitted, tmp_path):
    name, fit, data = fitted
    if any(part.component.exported is None for part in fit.parts):
        with pytest.raises(BayesGLMError, match="scorer knows"):
            fit.export(tmp_path / "scorer.npz")
        assert name in {"counts", "student_t"}
        return
    fit.export(tmp_path / "scorer.npz")
    scorer = Scorer.load(tmp_path / "scorer.npz")
    assert scorer.ids == fit.ids
    assert np.allclose(scorer.score(data), fit.score(data), rtol=0, atol=1e-9)
    far = data.iloc[:1].copy()
    far[fit.parts[0].layout.names[0]] = 1e6
    assert scorer.score(far) == pytest.approx(fit.score(far), abs=1e-9)
    if name != "mixed":
        assert np.array_equal(scorer.score(data[list(scorer.columns)].to_numpy()), scorer.score(data))


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
    _, fit, _ = CASES[0]
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
    _, fit, data = next(each for each in CASES if each[0] == "mixed")
    fit.export(tmp_path / "scorer.npz")
    scorer, good = Scorer.load(tmp_path / "scorer.npz"), data.iloc[:3].to_dict("list")
    for column, value, says in (("zone", "z", "has not seen"), ("latency_ms", -1.0, "at or below 0"),
                                ("latency_ms", np.nan, "missing"), ("latency_ms", np.inf, "infinite")):
        with pytest.raises(ValueError, match=says):
            scorer.score(good | {column: [value, *good[column][1:]]})
    numeric = next(fit for name, fit, _ in CASES if name == "gaussian")
    numeric.export(tmp_path / "scorer.npz")
    for rows in (np.ones((2, 3)), np.ones(2)):
        with pytest.raises(ValueError, match="shape"):
            Scorer.load(tmp_path / "scorer.npz").score(rows)
