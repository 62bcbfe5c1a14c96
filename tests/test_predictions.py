"""Predictions against what they must be: definitions, sums of joint draws, groups integrated or new, exposure, contrasts."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import bayesglm as bg
from bayesglm import responses, rows
from bayesglm.families.family import Family
from bayesglm.predict import add_within, summarise
from bayesglm.registry import discover
from bayesglm.responses import quadrature
from tests.families.oracles import ORACLES
from tests.posteriors import by_hand

FAMILIES = {name: family for name, family in discover("bayesglm.families", Family).items() if name in ORACLES}
ROWS = 24


def table(rows=ROWS):
    rng = np.random.default_rng(5)
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "x": np.sin(number),
            "w": np.cos(1.7 * number),
            "v": np.sqrt(1.0 + number),
            "zone": np.array(["a", "b", "c"])[number % 3],
            "host": np.array(list("klmn"))[number % 4],
            "day": number // 4,
            "hours": 1.0 + number % 5,
            "tries": 4 + number % 6,
            "note": [f"n{i}" for i in number],
            "count": rng.poisson(3, rows) + 1,
            "binary": number % 2,
            "successes": number % 4,
            "real": rng.normal(size=rows),
            "positive": rng.gamma(2.0, size=rows),
            "category": np.array(["red", "blue", "green"])[number % 3],
        }
    )


def model_of(family, right="x + (1 | host)", data=None, **options):
    left = f"{family.support.kind} | trials(tries)" if family.trials else family.support.kind
    if family.exposure:
        options.setdefault("exposure", "hours")
    return bg.Model(f"{left} ~ {right}", table() if data is None else data, family, **options)


@cache
def counts(right="x + zone + (1 + x | host)", **options):
    return by_hand(
        bg.Model(f"count ~ {right}", table(), "negative_binomial", exposure="hours", context=["note", "day"], **options),
        draws=150,
    )


def parameters_by_hand(fit, data):
    """Return every parameter of a fit of ``x + (1 | host)``, draw by draw and row by row, exposure not multiplied in."""
    host = np.array([list("klmn").index(each) for each in data["host"]])
    inverse = {
        "log": np.exp,
        "logit": lambda eta: 1 / (1 + np.exp(-eta)),
        "identity": lambda eta: eta,
        "softmax": lambda eta: eta,
    }
    found = {}
    for each in fit.specification.predictors:
        name = each.name
        eta = fit.stacked(name("Intercept"))[:, None] + fit.stacked(name("beta")) @ data["x"].to_numpy()[None, :]
        found[each.parameter] = inverse[each.link](eta + fit.stacked(name("effect_host"))[:, host, 0])
    for each in fit.specification.constant():
        found[each.name] = fit.stacked(each.name)[:, None]
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_rate_and_expected_are_what_they_say(name):
    """The rate is the first parameter; the expected response is the mean of SciPy's distribution of what is recorded."""
    family, data = FAMILIES[name], table()
    fit = by_hand(model_of(family), draws=20)
    draws = fit.predict(data, quantities=["rate", "expected"], per=10.0).draws
    p = parameters_by_hand(fit, data)
    first = fit.specification.family.parameters[0].name
    trials = data["tries"].to_numpy(dtype=float) if family.trials else None
    if not fit.specification.response_levels:
        np.testing.assert_allclose(draws["rate"].to_numpy().reshape(40, ROWS), 10.0 * p[first], rtol=1e-12)
    if family.exposure:
        p["mu"] = p["mu"] * data["hours"].to_numpy()
    np.testing.assert_allclose(draws["expected"].to_numpy().reshape(40, ROWS, -1), mean_by_scipy(fit, name, p, trials), rtol=1e-6)


def mean_by_scipy(fit, name, p, trials):
    """Sum or integrate y times the density, flattened over draws and rows; of a category, the probabilities."""
    shape = np.broadcast_shapes(*(each.shape for each in p.values()))
    flat = {key: np.broadcast_to(each, shape).ravel() for key, each in p.items()}
    n = None if trials is None else np.broadcast_to(trials, shape).ravel()
    oracle = ORACLES[name]
    if fit.specification.response_levels:
        levels = np.arange(len(fit.specification.response_levels), dtype=float)
        return np.moveaxis(np.exp(oracle(levels[:, None], flat, None)), 0, -1).reshape(*shape, -1)
    support = fit.specification.family.support
    if support.discrete:
        y = np.arange(support.lower, min(support.upper, 400 if n is None else n.max()) + 1.0)[:, None]
        return (y * np.exp(oracle(y, flat, n))).sum(0).reshape(*shape, 1)
    return {"gamma": flat["mu"], "gaussian": flat["mu"], "student_t": flat["mu"]}[name].reshape(*shape, 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_predicted_is_a_draw_around_expected(name):
    """At constant parameters the draws are independent: their mean is the expected response within its standard error."""
    family, data = FAMILIES[name], table().iloc[:6]
    model = model_of(family)
    start = by_hand(model, chains=1, draws=1)
    fit = by_hand(model, {each: start.stacked(each)[0] for each in start.draws["posterior"].data_vars}, chains=4, draws=1000)
    draws = fit.predict(data, quantities=["expected", "predicted"], seed=3).draws
    predicted, expected = (draws[each].to_numpy().reshape(4000, 6, -1) for each in ("predicted", "expected"))
    levels = fit.specification.response_levels
    if levels:
        predicted = (predicted == np.arange(len(levels))).astype(float)
    error = predicted.std(0) / np.sqrt(4000)
    assert np.abs((predicted.mean(0) - expected[0]) / error).max() < 4.5
    if family.support.discrete:
        assert np.array_equal(predicted, np.round(predicted))


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.exposure])
def test_rows_without_exposure_record_nothing(name):
    fit = by_hand(model_of(FAMILIES[name]), draws=10)
    frame = fit.predict(table().assign(hours=[0.0, 2.0] * (ROWS // 2))).to_frame()
    nothing = frame[["expected_mean", "predicted_mean", "predicted_eti90_ub"]].to_numpy()[::2]
    assert np.array_equal(nothing, np.zeros((ROWS // 2, 3)))
    assert np.isfinite(frame.select_dtypes(float).to_numpy()).all()
    assert (frame["expected_mean"].to_numpy()[1::2] != 0).all()


def test_a_concentration_that_grows_with_exposure_bears_no_exposure():
    fit = by_hand(model_of(FAMILIES["negative_binomial"], dispersion_scaling="exposure"), draws=10)
    frame = fit.predict(table().assign(hours=0.0)).to_frame()
    assert (frame["predicted_mean"] == 0).all()


def test_a_concentration_grows_with_exposure_over_the_median_of_the_fit():
    """At twice the median exposure, a count is as the sum of two at the median: the index of dispersion stays."""
    constants = {"Intercept": 1.0, "beta": 0.0, "effect_host": 0.0, "concentration": 2.0}
    fit = by_hand(model_of(FAMILIES["negative_binomial"], dispersion_scaling="exposure"), constants, chains=4, draws=5000)
    median = np.median(table()["hours"])
    draws = fit.predict(table().iloc[:2], exposure=[median, 2 * median], quantities=["predicted"]).draws["predicted"]
    index = (draws.var(("chain", "draw")) / draws.mean(("chain", "draw"))).to_numpy()
    assert index == pytest.approx(np.full(2, 1 + np.e * median / 2.0), rel=0.06)


def test_expected_is_the_rate_times_exposure():
    fit = counts()
    draws = fit.predict(table(), quantities=["rate", "expected"], per=1000.0).draws
    exposure = table()["hours"].to_numpy() / 1000.0
    np.testing.assert_allclose(draws["expected"], draws["rate"] * exposure, rtol=1e-12)
    given = fit.predict(table().drop(columns="hours"), exposure=7.0, quantities=["expected"]).draws["expected"]
    np.testing.assert_allclose(given, draws["rate"] * 7.0 / 1000.0, rtol=1e-12)


def test_rates_need_no_exposure():
    fit = counts()
    bare = fit.predict(table().drop(columns=["hours"]), quantities=["rate"])
    np.testing.assert_array_equal(bare.draws["rate"], fit.predict(table(), quantities=["rate"]).draws["rate"])


# --- groups


def test_population_is_the_mean_over_groups_and_typical_their_centre():
    """With a log link the mean over a group with sd tau is exp(eta + tau^2 / 2): exactly, and by simulation within 1%."""
    fit = counts("x + (1 | host)")
    data = table().assign(host="new")
    typical, population = (
        fit.predict(data, groups=each, quantities=["rate"]).draws["rate"] for each in ("typical", "population")
    )
    eta = fit.stacked("Intercept")[:, None] + fit.stacked("beta") * data["x"].to_numpy()
    tau = fit.stacked("sd_host")
    np.testing.assert_allclose(typical.to_numpy().reshape(300, ROWS), np.exp(eta), rtol=1e-12)
    np.testing.assert_allclose(population.to_numpy().reshape(300, ROWS), np.exp(eta + tau**2 / 2), rtol=1e-9)
    simulated = np.exp(eta[0, 0] + tau[0] * np.random.default_rng(0).standard_normal(400_000)).mean()
    assert population.to_numpy().reshape(300, ROWS)[0, 0] == pytest.approx(simulated, rel=0.01)


def test_population_of_correlated_slopes():
    """The variance at x is that of intercept + slope x: sd_1^2 + 2 r sd_1 sd_2 x + sd_2^2 x^2."""
    fit = counts("x + (1 + x | host)")
    x = table()["x"].to_numpy()
    ratio = (
        (
            fit.predict(groups="population", quantities=["rate"]).draws["rate"]
            / fit.predict(groups="typical", quantities=["rate"]).draws["rate"]
        )
        .to_numpy()
        .reshape(300, ROWS)
    )
    sd, cor = fit.stacked("sd_host"), fit.stacked("cor_host")[:, 0, 1]
    variance = sd[:, :1] ** 2 + 2 * (cor * sd[:, 0] * sd[:, 1])[:, None] * x + sd[:, 1:] ** 2 * x**2
    np.testing.assert_allclose(ratio, np.exp(variance / 2), rtol=1e-8)


def test_population_of_a_logit_and_of_two_predictors_by_simulation():
    family = FAMILIES["zero_inflated_binomial"]
    model = model_of(family, "x + (1 | host)", formulas={"zero_probability": "~ (1 | host)"})
    held = {"Intercept": 0.3, "beta": 0.0, "sd_host": 1.3, "zero_Intercept": -0.5, "zero_sd_host": 0.9}
    fit = by_hand(model, held, draws=2)
    found = float(fit.predict(table().iloc[:1], groups="population", quantities=["expected"]).draws["expected"][0, 0, 0])
    z = np.random.default_rng(1).standard_normal((2, 2_000_000))
    share = (1 - 1 / (1 + np.exp(0.5 - 0.9 * z[1]))) / (1 + np.exp(-0.3 - 1.3 * z[0]))
    assert found == pytest.approx(table()["tries"][0] * share.mean(), rel=0.002)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_quadrature_knows_the_moments_of_normals(dimensions):
    points, weights = quadrature(dimensions)
    assert weights.sum() == pytest.approx(1.0)
    assert np.abs(weights @ points).max() < 5e-3
    assert weights @ np.exp(0.7 * points) == pytest.approx(np.full(dimensions, np.exp(0.245)), rel=0.01)
    assert weights @ points[:, 0] ** 2 == pytest.approx(1.0, abs=0.01)


def test_a_new_level_is_drawn_once_for_each_draw_and_shared_by_its_rows():
    fit = counts("zone + (1 | host)")
    data = pd.concat([table().iloc[:3].assign(host="new", zone="a"), table().iloc[:1].assign(host="other", zone="a")])
    found = np.log(fit.predict(data, quantities=["rate"], seed=4).draws["rate"].to_numpy().reshape(300, 4))
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-12)
    np.testing.assert_allclose(found[:, 0], found[:, 2], rtol=1e-12)
    effects = (found - fit.stacked("Intercept")[:, None])[:, [0, 3]] / fit.stacked("sd_host")
    assert stats.kstest(effects.ravel(), "norm").pvalue > 0.001
    assert abs(np.corrcoef(effects.T)[0, 1]) < 0.2


def test_a_new_level_is_wider_than_a_known_one_and_flagged():
    fit = by_hand(model_of(FAMILIES["poisson"], "(1 | host)"), {"effect_host": 0.0, "Intercept": 1.0}, draws=2000)
    frame = fit.predict(table().iloc[:2].assign(host=["k", "new"]), quantities=["rate"]).to_frame()
    width = frame["rate_eti90_ub"] - frame["rate_eti90_lb"]
    assert frame["new_level"].tolist() == [False, True]
    assert width.iloc[1] > width.iloc[0] + 1.0


def test_new_levels_are_covered():
    """Nine in ten intervals of a new group hold its rate, over groups drawn from the population."""
    fit = by_hand(model_of(FAMILIES["poisson"], "(1 | host)"), {"Intercept": 1.0, "sd_host": 0.8}, draws=4000)
    frame = fit.predict(table().iloc[:1].assign(host="new"), quantities=["rate"]).to_frame()
    truth = np.exp(1.0 + 0.8 * np.random.default_rng(2).standard_normal(20_000))
    inside = ((truth > frame["rate_eti90_lb"].iloc[0]) & (truth < frame["rate_eti90_ub"].iloc[0])).mean()
    assert inside == pytest.approx(0.9, abs=0.01)


def test_conditional_known_levels_use_their_own_effects_and_no_random_numbers():
    fit = counts("zone + (1 | host)")
    one, two = (fit.predict(table(), quantities=["rate", "expected"], seed=seed).draws for seed in (1, 2))
    assert one.equals(two)


# --- sums, means, chunks


@pytest.mark.parametrize("by", [None, "zone", ["zone", "day"]])
def test_sums_and_means_are_those_of_joint_draws(by):
    prediction = counts().predict(seed=2)
    draws, labels = prediction.draws, prediction.labels
    keys = [by] if isinstance(by, str) else list(by or [])
    groups = labels.groupby(by).groups if keys else {(): labels.index}
    for method in ("sum", "mean"):
        found = getattr(prediction, method)(by=by).draws
        for name in found.data_vars:
            values = draws[name].to_numpy()
            for position, index in enumerate(groups.values()):
                by_hand_ = getattr(values[:, :, np.asarray(index)], method)(axis=2)
                np.testing.assert_allclose(found[name].to_numpy()[:, :, position], by_hand_, rtol=1e-12)
    assert "rate" not in prediction.sum(by=by).draws
    assert prediction.sum(by=by).labels["rows"].sum() == ROWS


def test_the_interval_of_a_sum_is_not_the_sum_of_intervals():
    prediction = counts().predict(quantities=["predicted"], seed=2)
    frame, total = prediction.to_frame(), prediction.sum().to_frame()
    assert total["predicted_mean"].iloc[0] == pytest.approx(frame["predicted_mean"].sum())
    assert total["predicted_eti90_ub"].iloc[0] < frame["predicted_eti90_ub"].sum()
    assert total["predicted_eti90_lb"].iloc[0] > frame["predicted_eti90_lb"].sum()


def test_add_within_equals_a_loop():
    rng = np.random.default_rng(0)
    draws, index = rng.normal(size=(5, 40, 2)), rng.integers(0, 6, 40)
    total = np.ones((5, 7, 2))
    add_within(total, index, draws)
    expected = np.ones((5, 7, 2))
    for row, group in enumerate(index):
        expected[:, group] += draws[:, row]
    np.testing.assert_allclose(total, expected, rtol=1e-12)


@pytest.mark.parametrize("groups", ["conditional", "population", "typical"])
def test_the_size_of_chunks_changes_nothing(monkeypatch, groups):
    """Predictive draws and new levels too."""
    data = pd.concat([table().assign(host=host) for host in ("k", "l", "new", "other", "m", "n", "k", "l")], ignore_index=True)
    assert len(data) > 2 * rows.CHUNK_ROWS

    def all_of():
        prediction = counts().predict(data, groups=groups, seed=9)
        return prediction.draws, prediction.sum(by="zone").draws, prediction.to_frame(), prediction.exceeds(3)

    large = all_of()
    monkeypatch.setattr(rows, "CHUNK_NUMBERS", 1)
    small = all_of()
    for which in (0, 1):
        for one, other in zip(large[which].data_vars.values(), small[which].data_vars.values(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    pd.testing.assert_frame_equal(large[2], small[2])
    pd.testing.assert_series_equal(large[3], small[3])


def test_a_chunk_holds_no_more_than_it_may(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_NUMBERS", 300 * 64)
    sizes = [len(take) for take, _ in counts().predict(pd.concat([table()] * 10), quantities=["rate"]).chunks()]
    assert sizes == [64, 64, 64, 48]
    assert responses.CHUNK_ROWS == 64


def test_the_same_seed_gives_the_same_and_another_seed_other_draws():
    data = table().assign(host="new")
    one, same, other = (counts().predict(data, seed=seed).draws for seed in (1, 1, 2))
    assert one.equals(same)
    for name in ("rate", "expected", "predicted"):
        assert not np.allclose(one[name], other[name])


def test_fewer_samples_are_spread_over_all_draws():
    fit = counts()
    full, thinned = fit.predict(quantities=["rate"]).draws["rate"], fit.predict(quantities=["rate"], samples=4).draws["rate"]
    assert dict(thinned.sizes) == {"chain": 1, "draw": 4, "obs": ROWS}
    np.testing.assert_array_equal(thinned[0], full.to_numpy().reshape(300, ROWS)[[0, 100, 199, 299]])


# --- intervals and probabilities


def test_interval_ends_of_counts_can_be_attained_and_cover_at_least_their_level():
    draws = np.random.default_rng(0).poisson(2.5, (999, 8)).astype(float)
    for level in (0.5, 0.9, 0.95):
        found = summarise("predicted", draws, level, discrete=True)
        low, high = list(found.values())[1:]
        assert np.array_equal(low, np.round(low))
        assert np.array_equal(high, np.round(high))
        assert (((draws >= low) & (draws <= high)).mean(axis=0) >= level).all()
    linear = summarise("predicted", np.array([[0.0], [1.0]]), 0.5, discrete=False)
    assert linear["predicted_eti50_lb"][0] == pytest.approx(0.25)


def test_predicted_ends_are_whole_and_sums_too():
    prediction = counts().predict(seed=1)
    for frame in (prediction.to_frame(level=0.8), prediction.sum(by="zone").to_frame(level=0.8)):
        ends = frame[["predicted_eti80_lb", "predicted_eti80_ub"]].to_numpy()
        assert np.array_equal(ends, np.round(ends))


def test_exceeds_is_the_share_of_draws_above():
    prediction = counts().predict(seed=1)
    limits = np.arange(ROWS, dtype=float)
    draws = prediction.draws["predicted"].to_numpy().reshape(300, ROWS)
    np.testing.assert_allclose(prediction.exceeds(limits), (draws > limits).mean(axis=0))
    np.testing.assert_allclose(prediction.exceeds(3), (draws > 3).mean(axis=0))


# --- exposure


def test_uncertain_exposure_widens_intervals():
    fit = counts()
    draws = np.random.default_rng(1).gamma(1.0, 3.0, (300, ROWS))
    sure = fit.predict(table(), exposure=draws.mean(axis=0)).to_frame()
    unsure = fit.predict(table(), exposure=draws).to_frame()
    for name in ("expected", "predicted"):
        wide, narrow = ((each[f"{name}_eti90_ub"] - each[f"{name}_eti90_lb"]) for each in (unsure, sure))
        assert wide.mean() > 1.2 * narrow.mean()
    np.testing.assert_allclose(unsure["rate_mean"], sure["rate_mean"], rtol=1e-12)
    np.testing.assert_allclose(unsure["hours"], draws.mean(axis=0))


def test_each_draw_has_its_own_exposure():
    fit = counts()
    draws = np.random.default_rng(1).gamma(4.0, 1.0, (50, ROWS))
    found = fit.predict(table(), exposure=draws, samples=50, quantities=["rate", "expected"]).draws
    np.testing.assert_allclose(found["expected"].to_numpy()[0], found["rate"].to_numpy()[0] * draws, rtol=1e-12)


# --- contrasts


def test_a_contrast_of_rates_is_the_analytic_one():
    """Gamma posteriors of two rates, as of Poisson counts under a gamma prior."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"errors": [40, 66], "deploy": [0, 1], "requests": [1000.0, 1100.0]})
    model = bg.Model("errors ~ deploy", pd.concat([data] * 2), "poisson", exposure="requests")
    rate = rng.gamma([40.5, 66.5], 1.0 / data["requests"].to_numpy(), (200_000, 2))
    logs = np.log(rate)
    fit = by_hand(model, {"Intercept": logs[:, 0], "beta": logs[:, 1:] - logs[:, :1]}, chains=4, draws=50_000)
    found = fit.contrast({"deploy": 0}, {"deploy": 1}, data, per=1000.0)
    # The ratio of two gammas is a scaled F; P(second > first) follows from it.
    ratio = stats.f(2 * 66.5, 2 * 40.5, scale=(66.5 / 1100) / (40.5 / 1000))
    frame = found.to_frame(rope=(0.9, 1.1))
    assert frame.loc["ratio", "mean"] == pytest.approx(ratio.mean(), abs=0.01)
    assert frame.loc["ratio", "eti90_lb"] == pytest.approx(ratio.ppf(0.05), abs=0.01)
    assert frame.loc["ratio", "eti90_ub"] == pytest.approx(ratio.ppf(0.95), abs=0.015)
    assert frame.loc["ratio", "P(second > first)"] == pytest.approx(ratio.sf(1.0), abs=0.01)
    assert frame.loc["ratio", "P(ratio in 0.9-1.1)"] == pytest.approx(ratio.cdf(1.1) - ratio.cdf(0.9), abs=0.01)
    assert frame.loc["difference", "mean"] == pytest.approx(1000 * (66.5 / 1100 - 40.5 / 1000), rel=0.01)


def test_a_contrast_averages_over_the_rows_with_their_exposure():
    fit = counts("x*zone + (1 | host)")
    found = fit.contrast({"zone": "a"}, {"zone": "c"}, quantity="expected")
    for side, level in ((found.first, "a"), (found.second, "c")):
        draws = fit.predict(table().assign(zone=level), quantities=["expected"]).draws["expected"]
        np.testing.assert_allclose(side, draws.mean("obs").to_numpy().ravel(), rtol=1e-12)


def test_a_contrast_is_on_joint_draws_of_new_levels_too():
    fit = counts("x + (1 | host)")
    found = fit.contrast({"x": 0.0}, {"x": 1.0}, table().assign(host="new"), seed=3)
    np.testing.assert_allclose(found.ratio, np.exp(fit.stacked("beta")[:, 0]), rtol=1e-9)


# --- rows and columns


def test_labels_survive():
    labels = counts().predict(table().iloc[::-1]).labels
    assert labels["note"].tolist() == table()["note"].tolist()[::-1]
    assert {"x", "zone", "host", "note", "day", "hours", "new_level"} == set(labels.columns)
    assert counts().predict(table().drop(columns=["note", "day"])).labels.columns.tolist() == [
        "x",
        "zone",
        "host",
        "hours",
        "new_level",
    ]


@pytest.mark.parametrize(
    "form",
    [
        pl.from_pandas,
        lambda data: pl.from_pandas(data).lazy(),
        lambda data: pl.from_pandas(data).to_arrow(),
        lambda data: data.to_dict("list"),
        lambda data: data[data.columns[::-1]],
        lambda data: data.set_index("note", drop=False),
        lambda data: data.assign(unused=object()),
    ],
)
def test_any_data_frame_and_any_order_of_columns_predict_the_same(form):
    new = table().assign(host="new")
    assert counts().predict(form(new), seed=1).draws.equals(counts().predict(new, seed=1).draws)


def test_permuted_rows_predict_the_same():
    order = np.random.default_rng(0).permutation(ROWS)
    new = table().assign(host=np.where(np.arange(ROWS) % 2, "new", "k"))
    for groups in ("conditional", "population", "typical"):
        one, other = (
            counts().predict(each, groups=groups, quantities=["rate", "expected"]).draws for each in (new, new.iloc[order])
        )
        np.testing.assert_allclose(one.to_array()[..., order], other.to_array(), rtol=1e-12)


def test_predictions_do_not_depend_on_the_units_of_predictors():
    """The same posterior in other units: coefficients divided by the unit; transforms are learnt from their own rows."""
    unit, measured = 1000.0, ["x", "w", "v"]
    scaled = lambda data: data.assign(**{name: unit * data[name] for name in measured})  # noqa: E731
    right = "x + scale(w)*zone + poly(v, 2) + (1 + x | host)"
    one = by_hand(bg.Model(f"count ~ {right}", table(), "poisson"), draws=20)
    divided = np.array([unit if name == "x" else 1.0 for name in one.specification.predictors[0].coef])
    given = {name: one.stacked(name) for name in ("Intercept", "cor_host")}
    given |= {"beta": one.stacked("beta") / divided}
    given |= {name: one.stacked(name) / np.array([1.0, unit]) for name in ("effect_host", "sd_host")}
    other = by_hand(bg.Model(f"count ~ {right}", scaled(table()), "poisson"), given, draws=20)
    new = table().assign(x=lambda each: each["x"] + 0.3, host="k")
    for groups in ("conditional", "population"):
        a, b = (
            fit.predict(data, groups=groups, quantities=["rate"]).draws["rate"]
            for fit, data in ((one, new), (other, scaled(new)))
        )
        np.testing.assert_allclose(a, b, rtol=1e-8)


def test_new_rows_are_coded_by_the_fit_alone():
    """One row predicts as it does among all others: nothing is learnt from new data."""
    fit = by_hand(bg.Model("count ~ scale(w)*zone + poly(v, 2) + bs(x, df=4) + (1 + x | host)", table(), "poisson"), draws=20)
    together = fit.predict(table(), quantities=["rate"]).draws["rate"].to_numpy()
    for row in (0, 7, 23):
        alone = fit.predict(table().iloc[[row]], quantities=["rate"]).draws["rate"].to_numpy()
        np.testing.assert_allclose(alone[:, :, 0], together[:, :, row], rtol=1e-10)


# --- categories


def test_probabilities_of_categories_sum_to_one_and_predictions_count_them():
    fit = by_hand(model_of(FAMILIES["categorical"], "x + (1 | host)", context=["zone"]))
    prediction = fit.predict(table().assign(host="new"), seed=1)
    np.testing.assert_allclose(prediction.draws["expected"].sum("level"), 1.0, rtol=1e-12)
    assert prediction.draws["level"].to_numpy().tolist() == ["blue", "green", "red"]
    frame = prediction.to_frame()
    assert set(frame["predicted_mode"]) <= {"blue", "green", "red"}
    np.testing.assert_allclose(frame[[f"expected[{each}]_mean" for each in ("blue", "green", "red")]].sum(axis=1), 1.0)
    counted = prediction.sum(by="zone").draws["predicted"]
    assert counted.sizes["level"] == 3
    np.testing.assert_allclose(counted.sum("level"), ROWS / 3)
    codes = prediction.draws["predicted"].to_numpy()
    assert counted.sum("by").sel(level="red").to_numpy() == pytest.approx((codes == 2).sum(axis=2))


def test_categories_integrate_groups_in_every_score():
    data = table().assign(category=np.array(list("abcd"))[np.arange(ROWS) % 4])
    model = bg.Model("category ~ (1 | zone)", data, "categorical")
    sds = {f"{level}_sd_zone": sd for level, sd in zip("bcd", (0.5, 1.0, 0.8), strict=True)}
    starts = {f"{level}_Intercept": value for level, value in zip("bcd", (0.2, -0.4, 0.6), strict=True)}
    fit = by_hand(model, sds | starts, draws=2)
    found = fit.predict(data.iloc[:1], groups="population", quantities=["expected"]).draws["expected"].to_numpy()[0, 0, 0]
    z = np.random.default_rng(0).standard_normal((400_000, 3))
    scores = np.exp(np.column_stack([np.zeros(len(z)), np.array([0.2, -0.4, 0.6]) + z * [0.5, 1.0, 0.8]]))
    assert found == pytest.approx((scores / scores.sum(1, keepdims=True)).mean(0), rel=0.01)


def test_a_prediction_reads_well_and_tells_what_the_fit_has_not_seen() -> None:
    data = {"y": [0, 3, 1, 2], "x": [0.0, 1.0, 2.0, 3.0], "g": ["a", "b", "a", "b"], "hours": [60.0, 70.0, 80.0, 90.0]}
    fit = by_hand(bg.Model("y ~ x + (1 | g)", data, "poisson", exposure="hours", exposure_unit="hours"))
    found = fit.predict({"x": [50.0], "g": ["c"], "hours": [4500.0]}, per=1000)
    text = repr(found)
    assert "1 rows" in text
    assert "rates per 1000 hours" in text
    assert len(text.splitlines()) == 4 + len(found.findings)
    assert [each.split(":")[0] for each in found.findings] == ["`x`", "`g`", "`hours`", "`hours`"]
    assert not fit.predict().findings
    assert found._repr_html_().startswith("<pre>bayesglm prediction")


def test_a_contrast_reads_as_its_table() -> None:
    fit = by_hand(bg.Model("y ~ x", {"y": [0, 3, 1], "x": [0.0, 1.0, 2.0]}, "poisson"))
    contrast = fit.contrast({"x": 0}, {"x": 1})
    assert repr(contrast).startswith("rate: first x=0, second x=1")
    assert "<table" in contrast._repr_html_()


def test_flags_and_integers_read_as_such_in_predictions() -> None:
    data = {"y": [0, 3, 1, 2], "flag": [True, False, True, False], "num": [1, 2, 3, 7]}
    fit = by_hand(bg.Model("y ~ flag + num", data, "poisson"))
    for frame in (fit.predict().to_frame(), fit.predict({"flag": [1, 0, 1, 0], "num": [1, 2, 3, 7]}).to_frame()):
        assert frame["flag"].tolist() == data["flag"]
        assert frame["flag"].dtype == bool
        assert frame["num"].dtype.kind == "i"
    coded = by_hand(bg.Model("y ~ C(flag, reference=True) + num", data, "poisson"))
    assert coded.specification.predictors[0].coef[0] == "flag[False]"
    assert coded.predict({"flag": [True], "num": [1]}).to_frame()["flag"].tolist() == [True]
