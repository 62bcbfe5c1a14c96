"""What users do with a fitted mixture: numbers against hand counts, planted effects first, nothing found where nothing is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import signal, stats
from scipy.special import xlogy
from sklearn.metrics import adjusted_rand_score

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture, compare_pooling, inject, lag_windows
from bayesglm.mixtures.association import shrink
from bayesglm.mixtures.comparison import score_change
from bayesglm.mixtures.explain import explain
from bayesglm.mixtures.injection import KINDS
from bayesglm.mixtures.membership import rand_index
from bayesglm.mixtures.profile import of_numbers
from bayesglm.mixtures.thresholds import by_labels, by_rate, detection
from tests.mixtures.worlds import mixed, separated


@pytest.fixture(scope="module")
def table():
    return separated(3, 2, 1500, 1)[0]


@pytest.fixture(scope="module")
def fit(table):
    return Mixture(["x0", "x1"], table, max_components=6).fit(seed=1)


@pytest.fixture(scope="module")
def requests():
    data, slow = mixed(900, 1)
    fit = Mixture(["latency_ms", "restarts", "cold", "zone"], data, transform={"latency_ms": "log"},
                  component={"restarts": "poisson"}, max_components=5).fit(seed=1)
    return fit, data, slow


@pytest.fixture(scope="module")
def one():
    """One correlated Gaussian."""
    rng = np.random.default_rng(2)
    root = np.linalg.cholesky(np.array([[1, 0.8, 0], [0.8, 1, 0.3], [0, 0.3, 1]]))
    x = rng.normal(size=(3000, 3)) @ root.T
    data = {f"x{j}": x[:, j] for j in range(3)}
    return Mixture(list(data), data, max_components=4).fit(seed=1), data


def test_assignments(fit, table):
    responsibilities, found = fit.responsibilities(table), fit.assign()
    assert np.array_equal(found["id"], np.array(fit.ids)[responsibilities.argmax(axis=1)])
    assert np.allclose(found["probability"], responsibilities.max(axis=1))
    assert np.allclose(found["entropy"], -xlogy(responsibilities, responsibilities).sum(axis=1), atol=1e-12)
    assert fit.kmeans_agreement(seed=1) > 0.95


def test_rand_index_is_scikit_learns():
    rng = np.random.default_rng(1)
    for _ in range(20):
        first, second = rng.integers(0, 4, (2, 50))
        assert rand_index(first, second) == pytest.approx(adjusted_rand_score(first, second), abs=1e-12)
    assert rand_index([1, 1], [2, 2]) == 1.0


def test_examples_are_sure_members_near_the_middle(fit, table):
    found, responsibilities = fit.examples(per=5), fit.responsibilities(table)
    assert found.groupby("id").size().tolist() == [5, 5, 5]
    assert (found["responsibility"] > 0.9).all()
    for k, (_, rows) in enumerate(found.groupby("id")):
        own = np.column_stack([table[name][responsibilities.argmax(axis=1) == k] for name in ("x0", "x1")])
        near = np.sqrt(stats.chi2.ppf(0.1, 2))
        away = (rows[["x0", "x1"]] - own.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(own.T))).T
        assert np.linalg.norm(away, axis=1).max() < near
    with pytest.raises(BayesGLMError, match="per="):
        fit.examples(per=0)


@pytest.mark.parametrize("seed", range(3))
def test_the_planted_column_sets_a_component_apart(seed):
    rng = np.random.default_rng(seed)
    other = rng.random(600) < 0.3
    data = {"a": rng.normal(size=600), "b": rng.normal(np.where(other, 8, 0), 1), "zone": rng.choice(["u", "v"], 600)}
    found = Mixture(["a", "b", "zone"], data).fit(seed=1).components
    assert len(found) == 2
    assert all(text.startswith("b ") and "zone" not in text for text in found["distinguished_by"])


def test_a_distance_is_the_total_variation():
    ends = np.array([0.0, 1.0])
    found = of_numbers("x", ends, ends, np.ones(2), np.array([0.3, 0.7]))
    assert found.distance == pytest.approx(2 * stats.norm.cdf(0.5) - 1, abs=1e-6)
    assert found.text == ("x 0 (others 1)", "x 1 (others 0)")


def test_shares_sum_to_one_and_rare_components_are_flagged():
    rng = np.random.default_rng(1)
    data = {"x": np.concatenate([rng.normal(0, 1, 2985), rng.normal(30, 1, 15)]), "day": np.repeat(["a", "b"], 1500)}
    fit = Mixture(["x"], data).fit(seed=1)
    found = fit.shares()
    assert found["share"].sum() == pytest.approx(1)
    assert found["assigned"].sum() == pytest.approx(1)
    assert found["flag"].tolist() == ["", "below 1%"]
    assert fit.shares(protected=[2])["flag"].tolist() == ["", "protected"]
    days = fit.shares(data, by="day")
    rare = days[(days["id"] == 2) & (days["day"] == "b")].iloc[0]
    assert rare["share"] == pytest.approx(0.01)
    assert rare["share_eti90_lb"] < 0.01 < rare["share_eti90_ub"]
    with pytest.raises(BayesGLMError, match="id 7"):
        fit.shares(protected=[7])


def test_costs_sum_to_the_whole(requests):
    fit, data, slow = requests
    cost = np.random.default_rng(1).gamma(2, 1, 900)
    found = fit.costs(data | {"eur": cost}, "eur")
    assert found["total"].sum() == pytest.approx(cost.sum(), rel=1e-15)
    assert found["share"].sum() == pytest.approx(1)
    assert found["total"].iloc[1] == pytest.approx(cost[slow].sum(), rel=0.02)
    with pytest.raises(BayesGLMError, match="summed"):
        fit.costs(data | {"eur": np.repeat("a", 900)}, "eur")
    assert fit.costs(data | {"eur": np.zeros(900)}, "eur")["share"].tolist() == [0.0, 0.0]


def test_labels_and_costs_are_needed_in_every_row(requests):
    fit, data, _ = requests
    labels, costs = np.array([*["a", "b"] * 449, None, "a"], object), np.where(np.arange(900) == 3, np.nan, 1.0)
    for ask in (lambda: fit.association(data | {"label": labels}, "label"), lambda: fit.shares(data | {"day": labels}, by="day"),
                lambda: fit.costs(data | {"eur": costs}, "eur")):
        with pytest.raises(BayesGLMError, match="every row needs one"):
            ask()
    with pytest.raises(BayesGLMError, match="chosen by one of them"):
        fit.threshold(rate=0.01, labels=np.arange(900) == 3)


def test_the_interval_of_a_cost_holds_draws_of_the_members():
    rng = np.random.default_rng(1)
    data = {"x": np.concatenate([rng.normal(0, 1, 300), rng.normal(2.5, 1, 300)]), "cost": rng.gamma(1, 1, 600)}
    fit = Mixture(["x"], data).fit(seed=1)
    r, found = fit.responsibilities(data), fit.costs(data, "cost").iloc[0]
    drawn = ((rng.random((4000, 600)) < r[:, 0]) * data["cost"]).sum(axis=1)
    assert np.quantile(drawn, [0.05, 0.95]) == pytest.approx([found["total_eti90_lb"], found["total_eti90_ub"]], rel=0.02)


def test_a_target_rate_holds_on_new_rows(fit):
    new = {name: values[1500:] for name, values in separated(3, 2, 21500, 1)[0].items()}
    first, second = ({name: values[place] for name, values in new.items()} for place in (slice(0, 10000), slice(10000, 20000)))
    found = fit.threshold(first, rate=0.01, rows_per_day=1440, seed=2)
    hits = int(found.flags(fit.tail_probability(second, seed=2)).sum())
    # the threshold's own uncertainty and the binomial one
    assert abs(hits - 100) < 4.5 * np.sqrt(2 * 10000 * 0.01)
    assert found.low < 0.01 < found.high
    assert found.per_day[0] == pytest.approx(14.4, rel=0.01)
    with pytest.raises(BayesGLMError, match="at least 1 / rate"):
        by_rate(np.ones(10), 0.01)
    with pytest.raises(BayesGLMError, match="rate=2"):
        fit.threshold(rate=2)


def test_the_share_below_an_order_statistic_has_its_stated_interval():
    rng, inside = np.random.default_rng(1), 0
    for _ in range(400):
        found = by_rate(rng.random(1000), 0.01)
        inside += found.low < found.value < found.high  # the true share at or below a uniform value is that value
    assert abs(inside / 400 - 0.9) < 4.5 * np.sqrt(0.09 / 400)


def test_rows_that_resemble_their_neighbours_have_wider_intervals_of_their_rate():
    """An autoregression of order 1: intervals of independent rows hold the rate in about half of the series."""
    rng, inside, narrow = np.random.default_rng(1), 0, 0
    for _ in range(150):
        x = signal.lfilter([np.sqrt(1 - 0.9**2)], [1, -0.9], rng.normal(size=3300))[300:]
        found = by_rate(2 * stats.norm.sf(np.abs(x)), 0.01)
        inside += found.low < found.value < found.high
        low, high = stats.beta.ppf([0.05, 0.95], 30, 2971)
        narrow += low < found.value < high
        assert found.clustering > 1
    assert inside / 150 > 0.75 > narrow / 150
    assert "come in bursts" in str(found)
    assert by_rate(rng.random(3000), 0.01).clustering < 2


def test_events_are_counted_by_hand():
    flagged = np.array([0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1], bool)
    labels = np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2])
    found = detection(flagged, labels)  # alerts 1-2 (true), 6, 8, 11 (true); events 2-3 (found), 9-11 (found)
    assert (found.precision.hits, found.precision.of) == (2, 4)
    assert (found.recall.hits, found.recall.of) == (2, 2)
    joined = detection(flagged, labels, gap=1)  # 6 and 8 are one alert
    assert (joined.precision.hits, joined.precision.of) == (2, 3)
    stretched = detection(flagged, labels == 2)
    assert (stretched.recall.hits, stretched.recall.of) == (1, 1)
    assert detection(flagged, labels).precision.low == pytest.approx(stats.beta.ppf(0.05, 2.5, 2.5))


def test_a_threshold_by_labels_reaches_its_precision():
    rng = np.random.default_rng(1)
    labels = np.zeros(3000, int)
    for number, start in enumerate(range(50, 3000, 150)):
        labels[start:start + 5] = number + 1
    tails = np.where(labels > 0, rng.beta(0.3, 20, 3000), rng.random(3000))
    found = by_labels(tails, labels, precision=0.8)
    assert found.detection == detection(found.flags(tails), labels)
    assert found.detection.precision.value >= 0.8
    assert found.detection.recall.value > 0.5
    strict = by_labels(tails, labels, precision=0.95)
    assert strict.value < found.value
    for bad, says in ((np.zeros(3000, int), "no event"), (labels[:10], "10 labels for 3000 rows"), (tails, "numbers")):
        with pytest.raises(BayesGLMError, match=says):
            by_labels(tails, bad)


@pytest.mark.parametrize("kind", list(KINDS))
def test_injections_are_labelled_and_repeat(kind):
    clean = {"x": np.random.default_rng(1).normal(5, 2, 400), "n": np.random.default_rng(2).poisson(4, 400)}
    first, again = (inject(clean, ["x", "n"], kind, size=5, seed=3, rows=20) for _ in range(2))
    pd.testing.assert_frame_equal(first.data, again.data)
    changed = (first.data["x"] != clean["x"]).to_numpy()
    assert np.array_equal(changed, first.labels > 0)
    assert (first.labels > 0).sum() == 20
    assert first.data["n"].dtype == np.int64
    assert (first.data["n"] >= 0).all()
    assert len(np.unique(first.labels)) == (2 if KINDS[kind].together else 21)
    other = inject(clean, ["x", "n"], kind, size=5, seed=4, rows=20)
    assert not np.array_equal(first.labels, other.labels)


def test_rows_with_gaps_are_injected_and_detected():
    rng = np.random.default_rng(1)
    data = {name: np.where(rng.random(600) < 0.1, np.nan, rng.normal(size=600)) for name in "xy"}
    for kind in KINDS:
        found = inject(data, ["x", "y"], kind, size=4, seed=1, rows=30)
        assert all(np.array_equal(np.isnan(found.data[name]), np.isnan(data[name])) for name in "xy")
        assert (found.labels > 0).sum() == 30
    fit = Mixture(["x", "y"], data, missing="marginalise", max_components=2).fit(seed=1)
    rates = fit.detection_rates(sizes=[1, 8], kinds=["shift", "burst"], rate=0.02, rows=60)
    assert (rates["detected"][rates["size"] == 8] > 0.9).all()
    assert (rates["detected"][rates["size"] == 1] < 0.5).all()


def test_pooling_takes_rows_with_gaps():
    rng = np.random.default_rng(1)
    data = {"x": np.where(rng.random(120) < 0.2, np.nan, rng.normal(size=120)), "site": np.tile(["a", "b"], 60)}
    found = compare_pooling(["x"], data, "site", seed=1, missing="marginalise", max_components=2)
    assert np.isfinite(found["score"]).all()


def test_injection_refuses_what_it_cannot_do():
    for options, says in (({"kind": "spike"}, "unknown kind"), ({"size": -1}, "size=-1"), ({"rows": 0}, "rows=0"),
                          ({"transform": {"x": "log"}}, "at or below 0"), ({"columns": ["s"]}, "a category")):
        call = {"columns": ["x"], "kind": "shift", "size": 1.0, "seed": 1} | options
        with pytest.raises(BayesGLMError, match=says):
            inject({"x": [0.0, 1.0], "s": ["a", "b"]}, call.pop("columns"), call.pop("kind"), **call)


def test_detection_rises_with_the_size(one):
    fit, data = one
    found = fit.detection_rates(data, sizes=[0, 2, 4, 8], rows=200, rate=0.01, seed=1)
    for kind, curve in found.groupby("kind"):
        assert (np.diff(curve["detected"]) >= 0).all(), kind
        assert curve["detected"].iloc[-1] > 0.7, kind
    at_zero = found[(found["size"] == 0) & (found["kind"].isin(["shift", "scale", "drift", "burst"]))]
    assert (at_zero["detected"] < 0.05).all()


def test_the_planted_value_ranks_first(one):
    fit, data = one
    rng = np.random.default_rng(5)
    frame, column = pd.DataFrame(data).iloc[:150].copy(), rng.integers(0, 3, 150)
    for row, j in enumerate(column):
        frame.iloc[row, j] += rng.choice([-4, 4])
    found = explain(fit, frame)
    first = found.groupby("row").first()["feature"].to_numpy()
    assert (first == np.array([f"x{j}" for j in column])).mean() >= 0.95


def test_contributions_are_those_of_the_gaussian_conditional(one):
    """(z^2 - 1) / 2 with z from the conditional mean and variance of the fitted covariance."""
    fit, _ = one
    row = np.array([1.5, -0.2, 1.0])
    found = fit.explain({f"x{j}": row[j] for j in range(3)}).set_index("feature")
    drawn = fit.draws(1, 4000)["posterior"].mean(["chain", "draw"])
    mean, precision = drawn["mean"].values[0], np.linalg.inv(drawn["covariance"].values[0])
    for j in range(3):
        away = precision[j] @ (row - mean) / precision[j, j]
        line = found.loc[f"x{j}"]
        assert line["contribution"] == pytest.approx((away**2 * precision[j, j] - 1) / 2, abs=0.05, rel=0.01)
        assert line["expected"] == pytest.approx(row[j] - away, abs=0.02)
        half = 1.645 / np.sqrt(precision[j, j])
        ends = (row[j] - away - half, row[j] - away + half)
        assert (line["expected_low"], line["expected_high"]) == pytest.approx(ends, abs=0.03)
        assert line["tail_probability"] == pytest.approx(2 * stats.norm.sf(abs(away) * np.sqrt(precision[j, j])), rel=0.1)


def test_every_kind_of_column_is_explained(requests):
    fit, data, _ = requests
    odd = {"latency_ms": 21.0, "restarts": 1, "cold": True, "zone": "a"}
    assert fit.explain(odd)["feature"].iloc[0] == "cold"
    assert fit.explain(odd | {"cold": False, "restarts": 9})["feature"].iloc[0] == "restarts"
    far = fit.explain(pd.Series(odd | {"latency_ms": 1e9})).iloc[0]
    assert far["feature"] == "latency_ms"
    assert np.isfinite(far["contribution"])
    whole = fit.explain({name: values[:70] for name, values in data.items()})
    assert len(whole) == 280
    assert np.isfinite(whole["contribution"]).all()
    assert whole["tail_probability"].between(0, 1).all()


def test_a_planted_deployment_ranks_first(requests):
    fit, data, slow = requests
    rng = np.random.default_rng(1)
    versions = np.array([f"v{each}" for each in rng.integers(0, 12, 900)])
    versions[slow & (rng.random(900) < 0.35)] = "v7"
    found = fit.association(data | {"version": versions}, "version")
    top = found.table.iloc[0]
    assert (top["id"], top["version"]) == (2, "v7")
    assert top["probability_higher"] > 0.999
    assert top["ratio_eti90_lb"] > 1.5
    assert "24 comparisons" in found.note
    with pytest.raises(BayesGLMError, match="one label"):
        fit.association(data | {"version": np.repeat("a", 900)}, "version")


def test_without_an_effect_a_deployment_is_rarely_suspected():
    rng, suspected = np.random.default_rng(1), 0
    for _ in range(60):
        totals = rng.integers(3, 200, 15)
        suspected += (shrink(rng.binomial(totals, 0.08), totals).higher > 0.95).any()
    assert suspected <= 4


def test_shrunk_shares_cover_the_truth():
    rng, inside = np.random.default_rng(2), []
    for _ in range(40):
        truth = 1 / (1 + np.exp(-rng.normal(-2, 0.7, 15)))
        totals = rng.integers(20, 200, 15)
        found = shrink(rng.binomial(totals, truth), totals)
        inside.append(((found.low < truth) & (truth < found.high)).mean())
    assert 0.84 < np.mean(inside) < 0.95


def test_outcomes_by_component(requests):
    fit, data, slow = requests
    errors = np.random.default_rng(8).random(900) < np.where(slow, 0.3, 0.02)
    found = fit.outcome_rates(data | {"error": errors}, "error").table
    assert found["id"].iloc[0] == 2
    assert found["probability_higher"].iloc[0] > 0.999
    assert found["rate_eti90_lb"].iloc[0] < 0.3 < found["rate_eti90_ub"].iloc[0]
    with pytest.raises(BayesGLMError, match="neither 0 nor 1"):
        fit.outcome_rates(data, "restarts")


def test_a_lower_score_is_seen_and_the_same_is_not(fit):
    new = {name: values[:1500] for name, values in separated(3, 2, 3000, 1)[0].items()}
    assert fit.score_change(new).low < 0 < fit.score_change(new).high
    moved = fit.score_change({name: values + 0.6 for name, values in new.items()})
    assert moved.change < -0.5
    assert moved.high < 0
    with pytest.raises(BayesGLMError, match="x1"):
        fit.score_change({"x0": [1.0]})
    rows = np.random.default_rng(1).normal(size=(2, 400))
    assert score_change(*rows).standard_error == pytest.approx(np.sqrt(2 / 400), rel=0.3)


def test_lag_windows_never_look_ahead():
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=60), "t": rng.permutation(30).repeat(2), "s": np.tile(["a", "b"], 30)}
    found = lag_windows(data, ["x"], lags=[1, 3], rolling=4, time="t", by="s")
    for _, line in found.iterrows():
        rows = zip(data["t"], data["x"], data["s"], strict=True)
        past = sorted((t, x) for t, x, s in rows if s == line["s"] and t <= line["t"])
        values = [x for _, x in past]
        assert (line["x"], line["x_lag1"], line["x_lag3"]) == (values[-1], values[-2], values[-4])
        assert line["x_mean4"] == pytest.approx(np.mean(values[-4:]))
        assert line["x_sd4"] == pytest.approx(np.std(values[-4:], ddof=1))
    assert len(found) == 60 - 2 * 3
    for options, says in (({"lags": [0]}, "a lag of 0"), ({"lags": [-1]}, "looks ahead"), ({"lags": [], "rolling": 0}, "neither"),
                          ({"time": "t"}, "occur twice"), ({"lags": [100]}, "long enough")):
        with pytest.raises(BayesGLMError, match=says):
            lag_windows(data, ["x"], **options)


@pytest.mark.parametrize("truth", [pytest.param("global", marks=pytest.mark.slow),
                                   pytest.param("per_group", marks=pytest.mark.slow), "shared"])
def test_pooling_picks_what_made_the_data(truth):
    rng = np.random.default_rng(3)
    services = np.repeat(["a", "b", "c", "d"], 60 if truth == "shared" else 250)
    place = {"a": 0.1, "b": 0.4, "c": 0.6, "d": 0.9}
    share = np.array([place[each] for each in services]) if truth == "shared" else 0.5
    second = rng.random(len(services)) < share
    shift = np.array([3.0 * "abcd".index(each) for each in services]) if truth == "per_group" else 0.0
    data = {"x": rng.normal(np.where(second, 6, 0) + shift, 1), "y": rng.normal(np.where(second, -5, 0), 1), "service": services}
    found = compare_pooling(["x", "y"], data, "service", seed=1, max_components=8)
    assert set(found["model"]) == {"global", "per_group", "shared"}
    assert found["difference"].iloc[0] == 0
    near = found[found["difference"] > -0.02]["model"].tolist()
    assert truth in near
    if truth != "global":
        assert found["model"].iloc[0] == truth
