"""Exported scorers of rows with missing values and of principal components, against the fit."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

from bayesglm.mixtures import Mixture
from bayesglm.mixtures.component import Component
from bayesglm.mixtures.scorer import Scorer
from bayesglm.registry import discover
from tests.mixtures.worlds import mixed, separated

NUMERIC = [name for name, each in discover("bayesglm.mixtures.components", Component).items() if each.scaled]


def holed(table, share, seed):
    """Return a table with that share of its values missing, and a first row with none and a second with nothing else."""
    rng, found = np.random.default_rng(seed), pd.DataFrame(table).copy()
    for name in found.columns:
        gone = rng.random(len(found)) < share
        gone[:2] = False, True
        found[name] = found[name].astype(float if found[name].dtype.kind in "if" else object).where(~gone, None)
    return found


@cache
def fitted(name):
    """Return a fit and rows with missing values: three numbers, or mixed columns with counts over an exposure."""
    if name in NUMERIC:
        table = holed(separated(2, 3, 200, 1)[0], 0.2, 1)
        return Mixture(list(table), table, component=name, max_components=3, missing="marginalise").fit(seed=1), table
    data = pd.DataFrame(mixed(200, 1)[0])
    rng = np.random.default_rng(2)
    data = data.assign(errors=data["restarts"].to_numpy()[::-1] ** 2, cpu=rng.normal(size=200))
    table = holed(data, 0.15, 1).assign(hours=rng.uniform(0.5, 2, 200))
    given = {"restarts": "poisson", "errors": "negative_binomial"}
    if name == "diagonal":
        given |= {"latency_ms": "diagonal_gaussian", "cpu": "diagonal_gaussian"}
    exposure = {"errors": "hours"} if name == "mixed" else "hours"
    mixture = Mixture(list(data), table, component=given, transform={"latency_ms": "log"}, max_components=2,
                      missing="marginalise", exposure=exposure)
    return mixture.fit(seed=1), table


def exported(fit, folder):
    fit.export(folder / "scorer.npz")
    return Scorer.load(folder / "scorer.npz")


@pytest.mark.parametrize("name", [*NUMERIC, "mixed", "diagonal"])
def test_missing_values_are_integrated_out_as_by_the_fit(name, tmp_path):
    fit, table = fitted(name)
    scorer, expected = exported(fit, tmp_path), fit.score(table)
    found = scorer.score(table)
    assert np.allclose(found, expected, rtol=0, atol=1e-10)
    assert found[1] == pytest.approx(0.0, abs=1e-12)  # of nothing
    assert np.allclose([scorer.score(table.iloc[n:n + 1])[0] for n in range(12)], expected[:12], rtol=0, atol=1e-10)
    if name in NUMERIC:
        assert np.allclose(scorer.score(table.to_numpy()), expected, rtol=0, atol=1e-10)


def test_the_marginal_of_a_row_is_scipys(tmp_path):
    fit, table = fitted("gaussian")
    scorer, (part,), (params,) = exported(fit, tmp_path), fit.parts, fit.posterior.params
    row, held = table.to_numpy()[0], [0, 2]
    z = ((row - part.layout.center) / part.layout.scale)[held]
    df = params["nu"] - 2
    scale = params["psi"] * ((params["kappa"] + 1) / (params["kappa"] * df))[:, None, None]
    logs = [stats.multivariate_t.logpdf(z, params["mean"][k, held], scale[k][np.ix_(held, held)], df[k]) for k in range(len(df))]
    expected = logsumexp(np.log(fit.weights) + logs) - np.log(part.layout.scale[held]).sum()
    assert scorer.score({"x0": row[:1], "x1": [None], "x2": row[2:]})[0] == pytest.approx(expected, abs=1e-10)


def test_many_rows_with_gaps_are_as_one_by_one(tmp_path):
    """A Student-t takes tables where many rows have the same values, else integrals."""
    fit, _ = fitted("student_t")
    scorer = exported(fit, tmp_path)
    rows = np.random.default_rng(3).normal(3, 3, (1200, 3))
    rows[:, 1] = np.nan
    found = scorer.score(rows)
    assert np.allclose(found[:20], scorer.score(rows[:20]), rtol=1e-11, atol=1e-10)
    assert np.allclose(found, fit.score(pd.DataFrame(rows, columns=["x0", "x1", "x2"])), rtol=0, atol=1e-10)


def test_missing_texts_are_missing_however_they_are_written(tmp_path):
    fit, table = fitted("mixed")
    scorer, row = exported(fit, tmp_path), table.iloc[:1].to_dict("list")
    given = [scorer.score(row | {"zone": [gone], "cpu": [gone]})[0] for gone in (None, np.nan, pd.NA)]
    assert given == [given[0]] * 3
    assert given[0] == pytest.approx(fit.score(pd.DataFrame(row | {"zone": [None], "cpu": [None]}))[0], abs=1e-10)
    with pytest.raises(ValueError, match="'None' is a level"):
        scorer.score(row | {"zone": ["None"]})
    with pytest.raises(ValueError, match="exposures that are missing"):
        scorer.score(row | {"hours": [np.nan]})


@pytest.mark.parametrize(("projection", "scores"), [("pca", None), ("pca", 2), ("whiten", None), ("whiten", 2)])
def test_principal_components_are_taken_as_by_the_fit(projection, scores, tmp_path):
    table = pd.DataFrame(separated(2, 3, 200, 1)[0]) * [0.1, 50, 0.1]
    rng = np.random.default_rng(1)
    table = table.assign(x0=np.exp(table["x0"]), zone=rng.choice(["a", "b"], 200), n=rng.poisson(3, 200))
    gaps = table.assign(n=table["n"].where(rng.random(200) < 0.8), zone=table["zone"].where(rng.random(200) < 0.8, None))
    fit = Mixture(["x0", "x1", "zone", "n", "x2"], gaps, projection=projection, scores=scores, transform={"x0": "log"},
                  component={"n": "poisson"}, missing="marginalise", max_components=3).fit(seed=1)
    scorer = exported(fit, tmp_path)
    assert scorer.columns == fit.columns
    for rows in (table, gaps):
        assert np.allclose(scorer.score(rows), fit.score(rows), rtol=0, atol=1e-10)
    for value, says in ((None, "missing values in `x1`.*a projection takes none"), (np.inf, "infinite")):
        with pytest.raises(ValueError, match=says):
            scorer.score(table.assign(x1=value))
    with pytest.raises(ValueError, match="`x0`: values at or below 0, such as -1"):
        scorer.score(table.assign(x0=-1.0))
