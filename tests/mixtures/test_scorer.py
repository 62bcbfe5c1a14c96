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
from bayesglm.mixtures.scorer.counts import negative_binomial, poisson
from bayesglm.mixtures.scorer.surfaces import surface
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


@cache
def exposed(kind):
    """Return a fit of counts over exposures, one column over none and one over another exposure, and what makes its rows."""
    def rows(count, seed):
        rng = np.random.default_rng(seed)
        hours, days = np.exp(rng.uniform(-1.5, 1, count)), rng.uniform(0.5, 2, count)
        rate = np.where(rng.random(count) < 0.4, 12.0, 1.0)
        counts = {f"n{j}": rng.poisson(rate * over * rng.gamma(1.5, 1 / 1.5, count))
                  for j, over in enumerate((hours, hours, days, 1.0))}
        return pd.DataFrame({**counts, "hours": hours, "days": days})

    exposure = {"n0": "hours", "n1": "hours", "n2": "days"}
    fit = Mixture(["n0", "n1", "n2", "n3"], rows(250, 1), component=kind, exposure=exposure, max_components=2,
                  missing="marginalise").fit(seed=1)
    return fit, rows


@pytest.mark.parametrize("kind", ["poisson", "negative_binomial"])
def test_counts_of_many_rows_are_as_one_by_one(kind, tmp_path):
    """Of many rows with exposures of their own, polynomials; also with rare counts and exposures, exposures of 0, and gaps."""
    fit, rows = exposed(kind)
    scorer, table = exported(fit, tmp_path), rows(6000, 2).astype(float)
    table.loc[:3, "n0"] = [100.0, 3000.0, 1e6, 1e9]
    table.loc[4:6, "hours"] = [1e-9, 1e9, 0.0]
    table.loc[6, ["n0", "n1"]] = [0.0, np.nan]
    table.loc[7:500, "n1"] = np.nan
    few = np.concatenate([scorer.score(table[start:start + 1000]) for start in range(0, 6000, 1000)])
    for found in (scorer.score(table), fit.score(table)):
        assert np.allclose(found, few, rtol=1e-12, atol=1e-10)
    assert np.allclose(few[:20], fit.score(table[:20]), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("kind", ["poisson", "negative_binomial"])
def test_a_surface_is_taken_where_it_pays(kind, tmp_path):
    """Most cells of the log exposure have polynomials; none has where exposures are spread too far. Bad rows are seen anyway."""
    fit, rows = exposed(kind)
    form, arrays = fit.parts[0].component.exported(fit.posterior.params[0], fit.parts[0].layout)
    columns, table = {"poisson": poisson, "negative_binomial": negative_binomial}[form](arrays)[:2], rows(20_000, 3)
    counts = [table[name].to_numpy(float) for name in ("n0", "n1")]
    found = surface(columns, counts, table["hours"].to_numpy())
    assert (found.slot >= 0).mean() > 0.7
    x, e = np.array([[3.0, 0.0], [0.0, 40.0]]), np.array([0.7, 2.0])
    each = zip(columns, (x[:, :1], x[:, 1:]), strict=True)
    expected = sum(column.complete(column.of_count(own), own, e[:, None]) for column, own in each)
    assert np.allclose(found.at(x, e), expected, rtol=0, atol=1e-11)
    assert surface(columns, counts, np.exp(np.linspace(-600, 600, 20_000))) is None
    assert surface(columns, counts, np.zeros(20_000)) is None
    scorer = exported(fit, tmp_path)
    for bad in (1.5, -1.0, np.inf):
        with pytest.raises(ValueError, match=r"no counts|infinite"):
            scorer.score(table.assign(n0=np.where(np.arange(20_000) == 7, bad, table["n0"])))
