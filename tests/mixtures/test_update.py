"""Updates: yesterday's posterior is today's prior; births, merges and drift; ids, names and pooled sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture
from bayesglm.mixtures.ascent import ascend, maximise
from bayesglm.mixtures.identity import alikeness
from bayesglm.mixtures.learning import rows_and_bases
from tests.mixtures.worlds import mixed, separated


@pytest.fixture(scope="module")
def table():
    return pd.DataFrame(separated(3, 2, 6000, 1)[0])


@pytest.fixture(scope="module")
def first(table):
    return Mixture(["x0", "x1"], table.iloc[:2000], max_components=8).fit(seed=1)


@pytest.fixture(scope="module")
def whole(table):
    return Mixture(["x0", "x1"], table, max_components=8).fit(seed=1)


def with_new_mode(rows, share, seed):
    rng = np.random.default_rng(seed)
    count = round(share * len(rows))
    mode = rng.normal([20.0, -5.0], 0.6, (count, 2))
    return pd.concat([rows.iloc[count:], pd.DataFrame(mode, columns=["x0", "x1"])])


def test_the_bound_of_new_rows_and_kept_sums_never_falls(table, first):
    held, bases, _ = rows_and_bases(first.parts, first.read(table.iloc[2000:3000]))
    problem = replace(first.priors, held=held, base=float(bases.sum()))
    kept = 0.5 * first.posterior.sums
    start = maximise(problem, np.random.default_rng(1).random(kept.shape) * 0.1, kept)
    bounds = np.array(ascend(problem, start, 40, -1.0).bounds)
    assert np.diff(bounds).min() > -1e-9 * np.abs(bounds).max()
    assert bounds[-1] > bounds[0] + 1


def test_one_pass_over_iid_batches_is_the_fit_of_all_rows(table, first, whole):
    found = first
    for start in range(2000, 6000, 1000):
        found = found.update(table.iloc[start:start + 1000])
    assert found.ids == (1, 2, 3)
    assert set(found.changes["action"]) == {"kept"}
    assert np.abs(found.score(table) - whole.score(table)).max() < 0.05
    assert found.posterior.counts.sum() == pytest.approx(6000)
    assert found.schema.rows == 6000
    assert found.refreshes["effective_rows"].tolist() == pytest.approx([3000, 4000, 5000, 6000])
    assert (np.abs(found.refreshes["score_after"] - found.refreshes["score_before"]) < 0.02).all()


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_a_new_kind_of_row_is_proposed_and_stays(table, first, seed):
    rows = with_new_mode(table.iloc[2000:3000], 0.03, seed)
    found = first.update(rows, seed=seed)
    new = found.changes.query("action == 'new'")
    assert new["id"].tolist() == [4]
    assert new["rows"].iloc[0] == pytest.approx(30, abs=2)
    assert new["weight_after"].iloc[0] == pytest.approx(0.01, abs=0.002)
    members = np.flatnonzero(found.responsibilities(rows).argmax(axis=1) == found.ids.index(4))
    assert members.tolist() == list(range(970, 1000))
    components = found.components.set_index("id")
    assert components["since"].to_dict() == {1: 0, 2: 0, 3: 0, 4: 1}
    assert components["rows"].sum() == pytest.approx(3000)
    assert components.loc[4, "rows"] == pytest.approx(30, abs=2)
    later = found.update(with_new_mode(table.iloc[3000:4000], 0.03, seed + 100), seed=seed)
    assert later.components.set_index("id")["since"].to_dict() == {1: 0, 2: 0, 3: 0, 4: 1}
    assert sorted(later.ids) == [1, 2, 3, 4]
    assert later.changes.query("refresh == 2")["action"].tolist() == ["kept"] * 4


def test_rows_of_the_same_kinds_bring_nothing_new(table, first):
    assert all(set(first.update(table.sample(700, random_state=seed), seed=seed).ids) == {1, 2, 3} for seed in range(8))


@pytest.mark.parametrize("seeds", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_three_in_a_hundred_rows_five_sds_away_are_a_new_component_within_two_refreshes(seeds):
    """Two kinds of rows and a third of the same width whose center is 5 sds from both; its id stays."""
    centers, found = np.array([[0.0, 0.0], [6.0, 0.0], [3.0, 4.0]]), 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)

        def window(share, rng=rng):
            kind = rng.choice(3, 1000, p=[0.6 - share / 2, 0.4 - share / 2, share])
            return pd.DataFrame(centers[kind] + rng.normal(size=(1000, 2)), columns=["a", "b"])

        fit = Mixture(["a", "b"], window(0.0), max_components=6).fit(seed=seed)
        later = fit.update(window(0.03), seed=seed).update(window(0.03), seed=seed)
        means = later.components[later.components["since"] > 0][["a_mean", "b_mean"]].to_numpy()
        found += len(means) == 1 and np.linalg.norm(means[0] - centers[2]) < 1
    assert found >= 0.95 * seeds


@pytest.mark.slow
def test_stationary_windows_bring_a_new_component_in_at_most_one_of_twenty(first):
    false = 0
    for seed in range(100):
        rows = {name: values[2000:] for name, values in separated(3, 2, 3000, 1)[0].items()}
        drawn = pd.DataFrame(rows).sample(1000, replace=True, random_state=seed)
        false += set(first.update(drawn + np.random.default_rng(seed).normal(0, 1e-3, drawn.shape), seed=seed).ids) != {1, 2, 3}
    assert false <= 5


def test_a_component_that_falls_apart_is_split_and_knows_its_parent():
    rng = np.random.default_rng(1)
    fit = Mixture(["x"], {"x": rng.normal(0, 1, 800)}).fit(seed=1)
    found = fit.update({"x": np.concatenate([rng.normal(-1.7, 0.4, 400), rng.normal(1.7, 0.4, 400)])}, forgetting=0.1)
    split = found.changes.query("action == 'split'")
    assert len(split) >= 1
    assert split["other"].tolist() == [1] * len(split)
    assert min(split["id"]) == 2


def test_components_that_become_one_are_merged_with_the_moments_of_their_rows(table, first):
    """Half of component 2's sums stand apart as a component of their own: an update puts them back together."""
    posterior = first.posterior
    sums = np.vstack([posterior.sums, 0.5 * posterior.sums[1:2]])
    sums[1] *= 0.5
    twice = maximise(first.priors, np.zeros_like(sums), sums)
    identity = replace(first.identity, ids=(1, 3, 2, 4) if twice.counts[1] > twice.counts[2] else (1, 2, 3, 4), last=4)
    found = replace(first.found, climb=replace(first.found.climb, posterior=twice))
    later = replace(first, found=found, identity=identity).update(table.iloc[2000:2500])
    assert len(later.ids) == 3
    merged = later.changes.query("action == 'merged'")
    assert len(merged) == 1
    assert merged["other"].iloc[0] in later.ids
    again = first.update(table.iloc[2000:2500])
    assert np.allclose(np.sort(later.posterior.counts), np.sort(again.posterior.counts), atol=1e-3)
    assert np.allclose(later.posterior.sums[0], again.posterior.sums[0], rtol=1e-5)


def test_forgetting_tracks_drift_and_smooths_weights(table, first):
    moved = table.copy()
    drifting, frozen = first, first
    for refresh in range(6):
        moved["x0"] = table["x0"] + 0.15 * (refresh + 1)
        rows = moved.iloc[refresh * 1000:(refresh + 1) * 1000]
        drifting, frozen = drifting.update(rows, forgetting=0.3), frozen.update(rows)
    assert set(drifting.ids) == {1, 2, 3}
    now = moved.iloc[5000:]
    assert drifting.score(now).mean() > frozen.score(now).mean() + 0.05
    truth = first.components.set_index("id")["x0_mean"] + 0.9
    means = drifting.components.set_index("id")["x0_mean"]
    assert np.allclose(means, truth[means.index], atol=0.15)
    assert drifting.refreshes["mean_age"].iloc[-1] == pytest.approx(0.3 / 0.7, abs=0.05)
    assert (drifting.changes.query("refresh == 6")["distance"] > 0).any()


def test_damped_weights_vary_less_than_raw_ones(first):
    """Windows of 200 rows: with forgetting 0.8 the weight of a refresh is a mean over about five of them."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame(separated(3, 2, 6000, 1)[0])
    damped, raw, smooth = first.update(table.sample(200, random_state=99), forgetting=0.001), [], []
    for refresh in range(12):
        rows = table.sample(200, random_state=refresh)
        raw.append(first.responsibilities(rows)[:, 0].mean())
        damped = damped.update(rows, forgetting=0.8, seed=int(rng.integers(100)))
        smooth.append(damped.weights[damped.ids.index(1)])
    assert np.std(smooth[4:]) < 0.6 * np.std(raw)
    assert damped.refreshes["mean_age"].iloc[-1] > 2


def test_rare_components_are_pruned_with_patience_unless_protected(table, first):
    born = first.update(with_new_mode(table.iloc[2000:3000], 0.02, 1))
    assert 4 in born.ids
    pruned, kept = born, born
    for refresh in range(3):
        rows = table.iloc[3000 + refresh * 1000:4000 + refresh * 1000]
        pruned = pruned.update(rows, floor=0.01, patience=2)
        kept = kept.update(rows, floor=0.01, patience=2, protect=[4])
    assert set(pruned.ids) == {1, 2, 3}
    line = pruned.changes.query("action == 'pruned'")
    assert line["id"].tolist() == [4]
    assert line["refresh"].tolist() == [3]
    assert 4 in kept.ids
    assert "pruned" not in set(kept.changes["action"])


def test_a_component_without_rows_is_forgotten(table, first):
    found = first.update(with_new_mode(table.iloc[2000:3000], 0.02, 1))
    for refresh in range(3):
        found = found.update(table.iloc[3000 + refresh * 1000:4000 + refresh * 1000], forgetting=0.1)
    assert set(found.ids) == {1, 2, 3}
    assert found.changes.query("id == 4")["action"].iloc[-1] == "retired"


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_a_refit_of_permuted_rows_keeps_ids_and_names(table, first, seed):
    named = first.named({1: "warm", 3: "cold start"}, runbook={3: "https://runbooks/cold"})
    shuffled = table.sample(2500, random_state=seed)[["x1", "x0"]]
    refit = Mixture(["x1", "x0"], shuffled, max_components=6).fit(seed=seed)
    found = refit.identified(named)
    assert set(found.ids) == {1, 2, 3}
    before, after = (fit.components.set_index("id") for fit in (named, found))
    assert np.allclose(before["x0_mean"], after["x0_mean"][before.index], atol=0.2)
    assert after.loc[3, ["name", "runbook"]].tolist() == ["cold start", "https://runbooks/cold"]
    assert found.update(table.iloc[:300]).components.set_index("id").loc[1, "name"] == "warm"


def test_alikeness_is_the_bhattacharyya_coefficient():
    rng = np.random.default_rng(1)
    one = Mixture(["x"], {"x": rng.normal(0, 1, 20000)}, max_components=1).fit(seed=1)
    other = Mixture(["x"], {"x": rng.normal(1.5, 2, 20000)}, max_components=1).fit(seed=1)
    truth = np.sqrt(2 * 1 * 2 / (1 + 4)) * np.exp(-1.5**2 / (4 * 5))
    found = [alikeness(one.standing, other.standing, seed)[0, 0] for seed in range(20)]
    assert np.mean(found) == pytest.approx(truth, abs=0.02)
    assert alikeness(one.standing, one.standing, 1)[0, 0] == pytest.approx(1, abs=1e-9)


def test_mixed_columns_are_updated_and_identified():
    data, _ = mixed(1500, 1)
    options = {"columns": ["latency_ms", "restarts", "cold", "zone"], "transform": {"latency_ms": "log"},
               "component": {"restarts": "poisson"}, "max_components": 5}
    frame = pd.DataFrame(data)
    fit = Mixture(data=frame.iloc[:700], **options).fit(seed=1)
    found = fit.update(frame.iloc[700:])
    whole = Mixture(data=frame, **options).fit(seed=1)
    assert np.abs(found.score(frame) - whole.score(frame)).mean() < 0.05
    assert whole.identified(found).ids == found.ids


def test_pooled_sums_of_places_are_the_fit_of_all_rows(table, first, whole):
    places = [first.update(table.iloc[2000:3500]), first.update(table.iloc[3500:])]
    found = first.pooled(places)
    assert set(found.ids) == {1, 2, 3}
    assert found.schema.rows == 6000
    assert np.abs(found.score(table) - whole.score(table)).max() < 2e-3
    assert found.posterior.counts.sum() == pytest.approx(6000)
    with pytest.raises(BayesGLMError, match="nothing forgotten"):
        first.pooled([first.update(table.iloc[2000:3500], forgetting=0.9)])


def test_updates_from_pieces_are_updates_from_a_table(table, first):
    rows = table.iloc[2000:4000]
    plain, pieces = first.update(rows), first.update([rows.iloc[:500], rows.iloc[500:]])
    assert np.allclose(plain.score(table), pieces.score(table), atol=1e-3)
    assert pieces.table is None
    assert first.update(rows).bound == plain.bound


@pytest.mark.parametrize(("options", "says"), [
    ({"forgetting": 0.0}, "forgetting"), ({"forgetting": 1.5}, "forgetting"), ({"floor": 1.0}, "floor"),
    ({"patience": 0}, "patience"), ({"protect": [9]}, "the id 9"), ({"seed": -1}, "seed"),
])
def test_bad_options_are_refused(table, first, options, says):
    with pytest.raises(BayesGLMError, match=says):
        first.update(table.iloc[:100], **options)


def test_unknown_ids_and_other_columns_are_refused(table, first):
    with pytest.raises(BayesGLMError, match="the id 7"):
        first.named({7: "nobody"})
    other = Mixture(["x0"], table.iloc[:300]).fit(seed=1)
    with pytest.raises(BayesGLMError, match="same columns"):
        other.identified(first)
