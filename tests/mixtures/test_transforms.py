"""Transforms: every one through the laws of its record and through what a fit answers, beside the column transformed by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture, MixtureFit, inject, plots
from bayesglm.mixtures.scorer import Scorer
from bayesglm.mixtures.scorer.transforms import TRANSFORMS, inverse, power, transform

BY_HAND = {  # f, its inverse, and log f', each written out
    "log": (np.log, np.exp, lambda x: -np.log(x)),
    "log1p": (lambda x: np.log(1 + x), lambda y: np.exp(y) - 1, lambda x: -np.log(1 + x)),
    "sqrt": (np.sqrt, np.square, lambda x: -np.log(2 * np.sqrt(x))),
    "power:0.25": (lambda x: x**0.25, lambda y: y**4, lambda x: np.log(0.25) - 0.75 * np.log(x)),
    "power:2.0": (np.square, np.sqrt, lambda x: np.log(2 * x)),
}
REFUSED = {"log": (0.0, -1.0), "log1p": (-1.0, -3.0), "sqrt": (0.0,), "power:0.25": (0.0,), "power:2.0": (0.0,)}
every = pytest.mark.parametrize("name", list(BY_HAND))


def world(name, rows=240):
    """Return a table that is Gaussian in two kinds of rows after the transform, and which kind each row is."""
    rng = np.random.default_rng(1)
    other = rng.random(rows) < 0.4
    y, x = np.where(other, 6.0, 4.0) + 0.2 * rng.normal(size=rows), np.where(other, 2.0, 0.0) + rng.normal(size=rows)
    return pd.DataFrame({"a": BY_HAND[name][1](y), "b": x}), other


@cache
def fitted(name, component="gaussian", **options):
    """Return the fit with the transform, the fit of the column transformed by hand, and the table."""
    table, _ = world(name)
    given = {"component": component, "max_components": 4} | options
    fit = Mixture(["a", "b"], table, transform={"a": name}, **given).fit(seed=1)
    return fit, Mixture(["a", "b"], by_hand(name, table), **given).fit(seed=1), table


def by_hand(name, table):
    return table.assign(a=BY_HAND[name][0](table["a"]))


def test_every_transform_is_tested():
    assert {*TRANSFORMS} - {"identity"} <= {*BY_HAND}


@every
def test_a_record_is_its_map(name):
    how, (forward, back, log_slope) = transform(name), BY_HAND[name]
    x = np.geomspace(1e-3, 1e4, 50)
    assert how.name == name
    assert np.allclose(how.forward(x), forward(x), rtol=1e-12)
    assert np.allclose(how.inverse(forward(x)), x, rtol=1e-9)
    assert np.allclose(how.log_slope(forward(x)), log_slope(x), atol=1e-9)
    both = np.sort(np.concatenate([x, -x])[how.holds(np.concatenate([x, -x]))])
    assert (np.diff(how.forward(both)) > 0).all()
    assert np.allclose(how.inverse(how.forward(both)), both, rtol=1e-9)
    assert np.isnan(how.forward(np.array([np.nan]))).all()
    assert how.holds(np.array([np.nan, *x])).all()
    assert not how.holds(np.array(REFUSED[name])).any()
    mean, variance = how.moments(np.array([5.0]), np.array([0.04]))
    first, second = (integrate.quad(lambda y, p=p: back(y) ** p * stats.norm.pdf(y, 5, 0.2), 3, 7, epsabs=0)[0] for p in (1, 2))
    assert mean[0] == pytest.approx(first, rel=1e-8)
    assert variance[0] == pytest.approx(second - first**2, rel=1e-6)


@every
def test_all_that_is_told_of_numbers_is_that_of_the_column_transformed_by_hand(name):
    fit, other, _ = fitted(name)
    new = world(name, 60)[0]
    assert len(fit.components) == 2
    assert fit.bound == pytest.approx(other.bound, rel=1e-12)
    assert np.allclose(fit.numbers(new)[0], other.numbers(by_hand(name, new))[0], atol=1e-9)
    assert np.allclose(fit.responsibilities(new), other.responsibilities(by_hand(name, new)), atol=1e-9)
    assert np.allclose(fit.tail_probability(new, size=500), other.tail_probability(by_hand(name, new), size=500))
    jacobian = BY_HAND[name][2](new["a"].to_numpy())
    assert np.allclose(fit.score(new), other.score(by_hand(name, new)) + jacobian, atol=1e-9)
    assert fit.update(new).bound == pytest.approx(other.update(by_hand(name, new)).bound, rel=1e-12)
    ends = ["value", "expected", "expected_low", "expected_high"]
    ours, theirs = (each.explain(rows).query("feature == 'a'").set_index("row").sort_index()
                    for each, rows in ((fit, new[:5]), (other, by_hand(name, new[:5]))))
    assert np.allclose(ours["contribution"], theirs["contribution"], atol=1e-6)
    assert np.allclose(ours[ends].astype(float), BY_HAND[name][1](theirs[ends].astype(float)), rtol=1e-6)
    assert [text.split()[0] for text in fit.components["distinguished_by"]] == ["a", "a"]


@every
def test_means_and_sds_are_those_of_the_values(name):
    """By the rows of each kind, which lie apart."""
    fit, _, table = fitted(name, "student_t" if name == "sqrt" else "gaussian")
    labels = fit.responsibilities(table).argmax(axis=1)
    rows, shown = table.groupby(labels)["a"], fit.components
    assert np.allclose(shown["a_mean"], rows.mean(), rtol=0.05)
    assert np.allclose(shown["a_sd"], rows.std(), rtol=0.25)


@every
def test_the_score_is_scipys_by_change_of_variables_and_integrates_to_one(name):
    table, _ = world(name)
    fit = Mixture(["a"], table, transform={"a": name}, max_components=1).fit(seed=1)
    (part,), (params,) = fit.parts, fit.posterior.params
    df = params["nu"][0]
    scale = np.sqrt(params["psi"][0, 0, 0] * (params["kappa"][0] + 1) / (params["kappa"][0] * df)) * part.layout.scale[0]
    forward, _, log_slope = BY_HAND[name]
    x = table["a"].to_numpy()
    expected = stats.t.logpdf(forward(x), df, part.layout.center[0] + part.layout.scale[0] * params["mean"][0, 0], scale)
    assert np.allclose(fit.score(table), expected + log_slope(x), atol=1e-9)
    edges = transform(name).inverse(np.linspace(-12.0, 24.0, 40_002))  # an even number, so that no middle is at 0
    middle = (edges[1:] + edges[:-1]) / 2
    held = transform(name).holds(middle)
    assert (np.exp(fit.score({"a": middle[held]})) * np.diff(edges)[held]).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["sqrt", "power:0.25"])
def test_a_density_that_passes_zero_integrates_to_one(name):
    """Powers keep the sign, so what lies below 0 after the transform stands for values below 0."""
    y = np.random.default_rng(2).normal(0.5, 1, 200)
    x = inverse((transform(name),), y[:, None])
    fit = Mixture(["x"], {"x": x[:, 0]}, transform={"x": name}, max_components=2).fit(seed=1)
    edges = transform(name).inverse(np.linspace(-30, 30, 60_001))  # 0 is one of them
    middle = (edges[1:] + edges[:-1]) / 2
    assert (np.exp(fit.score({"x": middle})) * np.diff(edges)).sum() == pytest.approx(1, abs=2e-3)


@every
def test_a_transformed_fit_is_saved_and_exported(name, tmp_path):
    fit, _, table = fitted(name)
    fit.save(tmp_path / "fit.bglm")
    found = MixtureFit.load(tmp_path / "fit.bglm")
    assert found.parts[0].layout.transforms[0] is transform(name)
    assert np.array_equal(found.score(table), fit.score(table))
    pd.testing.assert_frame_equal(found.components, fit.components)
    assert found.identified(fit).ids == fit.ids
    fit.export(tmp_path / "fit.npz")
    scorer = Scorer.load(tmp_path / "fit.npz")
    assert np.allclose(scorer.score(table), fit.score(table), rtol=0, atol=1e-10)
    for value in REFUSED[name]:
        with pytest.raises(ValueError, match=f"`a`: {transform(name).wrong}"):
            scorer.score({"a": [value], "b": [0.0]})


@every
def test_scores_of_transformed_columns_have_the_density_of_the_values(name, tmp_path):
    fit, other, table = fitted(name, projection="whiten")
    jacobian = BY_HAND[name][2](table["a"].to_numpy())
    assert np.allclose(fit.score(table), other.score(by_hand(name, table)) + jacobian, atol=1e-8)
    assert np.allclose(fit.components["a_median"], BY_HAND[name][1](other.components["a_mean"].to_numpy()), rtol=1e-9)
    fit.save(tmp_path / "fit.bglm")
    assert np.array_equal(MixtureFit.load(tmp_path / "fit.bglm").score(table), fit.score(table))
    with pytest.raises(BayesGLMError, match="same transforms"):
        Mixture(["a", "b"], table, projection=fit.projection)


@every
def test_plots_are_on_its_scale(name):
    fit, _, table = fitted(name)
    for figure in (plots.ellipses(fit, "a", "b", table), plots.marginal(fit, "a", table)):
        figure.draw_without_rendering()
        axes = figure.axes[0]
        low, high = axes.get_xlim()
        assert low < table["a"].min() < table["a"].max() < high
        places = axes.get_xaxis().get_transform().transform(table["a"].to_numpy())
        assert np.allclose(places, BY_HAND[name][0](table["a"]))
        assert len([tick for tick in axes.get_xticks() if low <= tick <= high]) >= 3


def test_a_report_names_the_scale(tmp_path):
    fit, _, table = fitted("sqrt")
    fit.report(tmp_path / "modes.html", table)
    assert "on the square root scale" in (tmp_path / "modes.html").read_text()


@every
def test_anomalies_are_injected_on_its_scale(name):
    fit, _, table = fitted(name)
    found = inject(table, ["a", "b"], "burst", size=2.0, seed=1, rows=3, transform={"a": name})
    rows = found.labels > 0
    y = BY_HAND[name][0](table["a"].to_numpy())
    assert np.allclose(BY_HAND[name][0](found.data["a"][rows]), y[rows] + 2 * y.std())
    assert fit.detection_rates(table, sizes=[8.0], kinds=["shift"], rate=0.01)["detected"].iloc[0] > 0.5
    whole = {"n": np.arange(1, 60)}
    moved = inject(whole, ["n"], "shift", size=6.0, seed=1, rows=30, transform={"n": name})
    assert transform(name).holds(moved.data["n"].to_numpy().astype(float)).all()


@every
def test_values_that_it_does_not_take_are_refused_by_column(name):
    for value in REFUSED[name]:
        table = world(name)[0]
        table.loc[3, "a"] = value
        with pytest.raises(BayesGLMError, match=rf"`a`: 1 value at .*first at row 3: {value:g}") as caught:
            Mixture(["a"], table, transform={"a": name})
        assert "leave 'a' out of transform=" in caught.value.fix
        with pytest.raises(BayesGLMError, match="`a`"):
            fitted(name)[0].score(table)


def test_names_that_are_no_transforms_are_refused():
    table = world("sqrt")[0]
    wrong = dict.fromkeys(("power", "power:x", "power:0", "power:-1", "power:nan"), "finite and above 0")
    for given, says in (*wrong.items(), ("cube", "unknown transform 'cube'"), (0.5, "unknown transform")):
        with pytest.raises(BayesGLMError, match=says) as caught:
            Mixture(["a"], table, transform={"a": given})
        assert caught.value.fix


def test_a_record_of_ones_own_is_a_transform_but_is_not_saved(tmp_path):
    own = replace(power(0.5), name="asinh", label="asinh", forward=np.arcsinh, inverse=np.sinh,
                  log_slope=lambda y: -np.log(np.cosh(y)), holds=lambda x: np.ones(np.shape(x), bool))
    x = np.sinh(np.random.default_rng(1).normal(1, 1, 100))
    fit = Mixture(["x"], {"x": x}, transform={"x": own}, max_components=2).fit(seed=1)
    other = Mixture(["x"], {"x": np.arcsinh(x)}, max_components=2).fit(seed=1)
    assert np.allclose(fit.score({"x": x}), other.score({"x": np.arcsinh(x)}) - np.log(np.sqrt(1 + x * x)), atol=1e-9)
    for write in (fit.save, fit.export):
        with pytest.raises(BayesGLMError, match="transform of your own"):
            write(tmp_path / "file")
