"""What is often read wrongly of mixtures: each test is named for the reading that holds here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesglm.checks.check import Check
from bayesglm.mixtures import Mixture, inject
from bayesglm.mixtures.check import PANEL, examined
from bayesglm.mixtures.shapes import shapes
from bayesglm.registry import discover
from tests.mixtures.worlds import separated

CHECKS = discover(PANEL.folder, Check)


@pytest.fixture(scope="module")
def table():
    return separated(3, 2, 1200, 1)[0]


@pytest.fixture(scope="module")
def fit(table):
    return Mixture(["x0", "x1"], table, max_components=6).fit(seed=1)


def test_a_responsibility_is_no_anomaly_probability(fit, table):
    """A row far from all components is surely one's, and in the last tail; how sure a row is says little of how usual it is."""
    far = {name: np.append(values[:50], 1e3) for name, values in table.items()}
    assigned, tails = fit.assign(far), fit.tail_probability(far)
    assert assigned["probability"].iloc[-1] > 0.999
    assert assigned["entropy"].iloc[-1] < 1e-3
    assert tails[-1] < 1e-4
    assert tails[:50].min() > 1e-3
    assert np.corrcoef(assigned["probability"][:50], tails[:50])[0, 1] < 0.6


def test_a_tail_probability_depends_on_no_unit_where_a_density_does(fit, table):
    other = Mixture(["x0", "x1"], {"x0": 1000 * table["x0"], "x1": table["x1"]}, max_components=6).fit(seed=1)
    rows = {name: values[:300] for name, values in table.items()}
    moved = {"x0": 1000 * rows["x0"], "x1": rows["x1"]}
    assert np.allclose(other.tail_probability(moved), fit.tail_probability(rows), atol=2e-3)
    assert np.allclose(other.score(moved), fit.score(rows) - np.log(1000), atol=1e-4)
    flags = [each.threshold(data, rate=0.01).flags(each.tail_probability(data)) for each, data in ((fit, rows), (other, moved))]
    assert np.array_equal(*flags)


def test_a_weight_is_long_term_and_a_share_is_of_the_rows_at_hand(fit, table):
    member = fit.responsibilities(table).argmax(axis=1)
    window = {name: values[member != 2] for name, values in table.items()}
    found = fit.shares(window, floor=0.5, protected=[3])
    assert found["weight"].iloc[2] > 0.05
    assert found["share"].iloc[2] < 0.01
    assert found["assigned"].sum() == pytest.approx(1)
    assert found["flag"].tolist()[1:] == ["below 50%", "protected"]


def test_a_skewed_kind_of_row_is_several_gaussians_unless_it_is_transformed():
    latency = {"ms": np.exp(np.random.default_rng(1).normal(3, 0.7, 1500))}
    plain, log = (Mixture(["ms"], latency, transform=each, max_components=8).fit(seed=1) for each in ({}, {"ms": "log"}))
    assert len(plain.ids) >= 3
    assert len(log.ids) == 1
    one = Mixture(["ms"], latency, max_components=1).fit(seed=1)
    found = CHECKS["predictive"].run(examined(one), 0)
    assert found.verdict == "fail"
    assert "log scale" in found.advice
    assert CHECKS["predictive"].run(examined(log), 0).verdict == "pass"


def test_an_id_is_never_given_twice(fit, table):
    rng, frame = np.random.default_rng(1), pd.DataFrame(table)
    found = fit
    for place in (40.0, -40.0, 80.0):  # a new kind each time, forgotten before the next
        new = pd.DataFrame(rng.normal(place, 0.5, (20, 2)), columns=["x0", "x1"])
        found = found.update(pd.concat([frame.iloc[:300], new]), forgetting=0.02)
        found = found.update(frame.iloc[300:600], forgetting=0.02)
    born = found.changes.query("action == 'new'")["id"].tolist()
    assert born == [4, 5, 6]
    assert set(found.ids) == {1, 2, 3}


def test_more_rows_of_a_shape_that_is_not_gaussian_are_more_components():
    """The number is no estimate of a number of kinds: one gamma distribution is more and more Gaussians."""
    x = np.random.default_rng(1).gamma(6.0, 1.0, 4000)
    few, many = (Mixture(["x"], {"x": x[:rows]}, max_components=8).fit(seed=1).posterior.size for rows in (60, 4000))
    assert few == 1
    assert many >= 3


def test_whitening_takes_away_what_a_condition_number_says():
    rng = np.random.default_rng(1)
    x = rng.normal(size=800)
    data = {"x": x, "y": x + 0.02 * rng.normal(size=800)}
    raw, white = (Mixture(["x", "y"], data, projection=each, max_components=2).fit(seed=1) for each in (None, "whiten"))
    assert shapes(raw)[0].condition.max() > 500
    assert shapes(white)[0].condition.max() < 1.5


def test_new_rows_go_through_the_projection_of_the_fitted_ones():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3))
    data = {f"x{j}": x[:, j] for j in range(3)}
    fit = Mixture(list(data), data, projection="whiten", max_components=2).fit(seed=1)
    own, moved = (np.column_stack([fit.read(each)[name].values for name in ("pc1", "pc2", "pc3")])
                  for each in (data, {name: values + 5 for name, values in data.items()}))
    assert np.allclose(own.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(moved - own, moved[0] - own[0])
    assert np.abs(moved.mean(axis=0)).max() > 1


@pytest.mark.slow
def test_anomalies_among_the_rows_that_were_learnt_from_lower_the_recall_and_are_a_rare_component():
    rng = np.random.default_rng(1)
    root = np.linalg.cholesky(np.array([[1, 0.8], [0.8, 1]]))
    clean, new = ({f"x{j}": column for j, column in enumerate((rng.normal(size=(2000, 2)) @ root.T).T)} for _ in range(2))
    dirty = inject(clean, list(clean), "shift", size=5, seed=1, rows=19).data
    tested, recall = inject(new, list(new), "shift", size=5, seed=2, rows=200), {}
    for name, data in (("clean", clean), ("dirty", dirty)):
        fit = Mixture(list(data), data).fit(seed=1)
        hit = fit.threshold(rate=0.005).flags(fit.tail_probability(tested.data))
        recall[name] = hit[tested.labels > 0].mean()
    assert recall["clean"] > 0.95
    assert recall["dirty"] < recall["clean"] - 0.1
    assert "below 1%" in fit.shares()["flag"].tolist()
    assert CHECKS["weights"].run(examined(fit), 0).verdict == "warn"


def test_a_row_may_be_unusual_though_each_of_its_values_is_ordinary():
    """Latency, cpu, memory and restarts that go together: high latency beside low cpu is in the tail, each alone is not."""
    rng = np.random.default_rng(1)
    load = rng.normal(size=2000)
    data = {"latency_ms": np.exp(3 + 0.5 * load + 0.1 * rng.normal(size=2000)),
            "cpu": 0.5 + 0.1 * load + 0.02 * rng.normal(size=2000), "memory": 4 + load + 0.2 * rng.normal(size=2000),
            "restarts": rng.poisson(0.4, 2000)}
    fit = Mixture(list(data), data, transform={"latency_ms": "log"}, component={"restarts": "poisson"}).fit(seed=1)
    odd = {"latency_ms": [np.exp(3.7)], "cpu": [0.36], "memory": [4.0], "restarts": [0]}
    for name, values in data.items():
        assert 0.05 < (values < odd[name][0]).mean() + 0.5 * (values == odd[name][0]).mean() < 0.95
    assert fit.tail_probability(odd)[0] < 0.01
    assert fit.tail_probability({name: values[:1] for name, values in data.items()})[0] > 0.01
