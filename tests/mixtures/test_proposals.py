"""Proposals: splits and merges against what made the rows, similarities against closed forms, merges against pooled moments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture, MixtureFit
from bayesglm.mixtures.ascent import maximise
from bayesglm.mixtures.identity import first_identity
from bayesglm.mixtures.proposals import likeness
from tests.mixtures.worlds import mixed, separated


@pytest.fixture(scope="module")
def table():
    return separated(3, 2, 1500, 1)[0]


@pytest.fixture(scope="module")
def fit(table):
    return Mixture(["x0", "x1"], table, max_components=6).fit(seed=1)


def one_gaussian(seed, sd=1.0):
    return Mixture(["x"], {"x": np.random.default_rng(seed).normal(0, sd, 300)}, max_components=6).fit(seed=seed)


def test_nothing_is_proposed_where_every_component_is_a_kind_of_row(fit):
    found = fit.proposals()
    assert found["action"].value_counts().to_dict()["split"] == 3
    assert not found["proposed"].any()
    merges = found[found["action"] == "merge"]
    assert (merges["bound"] < -100).all()
    assert (merges["score"] < -10 * merges["score_se"]).all()
    assert found.equals(fit.proposals())
    assert fit.proposals(held_out=0.5, seed=2)["bound"].tolist() != found["bound"].tolist()


def test_new_rows_of_two_kinds_in_one_component_are_a_split_that_left_out_rows_agree_with():
    rng = np.random.default_rng(1)
    new = {"x": np.concatenate([rng.normal(-2.5, 0.5, 300), rng.normal(2.5, 0.5, 300)])}
    line = one_gaussian(1, 2.5).proposals(new).iloc[0]
    assert (line["action"], line["proposed"]) == ("split", True)
    assert line["bound"] > 10
    assert line["score"] > 4 * line["score_se"]


@pytest.mark.parametrize("seeds", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_a_split_of_one_gaussian_is_proposed_in_fewer_than_one_of_twenty(seeds):
    assert sum(one_gaussian(seed).proposals()["proposed"].any() for seed in range(seeds)) <= 0.05 * seeds


def test_a_component_that_stands_twice_is_merged_and_a_joined_one_is_split(fit):
    """Half of the sums of component 2 stand apart as a component of their own."""
    sums = np.vstack([fit.posterior.sums, 0.5 * fit.posterior.sums[1:2]])
    sums[1] *= 0.5
    posterior = maximise(fit.priors, sums)
    found = replace(fit.found, climb=replace(fit.found.climb, posterior=posterior))
    first = replace(fit, found=found, identity=first_identity(4)).proposals().iloc[0]
    assert (first["action"], first["proposed"]) == ("merge", True)
    assert first["alike"] > 0.99
    assert first["bound"] > 1
    assert fit.merged(3, 2).proposals().iloc[0][["action", "id", "proposed"]].tolist() == ["split", 2, True]


def test_similarities_are_those_of_the_closed_forms():
    """Two Gaussians of many rows: coefficient and divergence by Bhattacharyya's and Kullback's formulas."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 1, 20000), rng.normal(4, 1.5, 20000)])
    fit = Mixture(["x"], {"x": x}, max_components=4).fit(seed=1)
    found = [likeness(fit.standing, seed) for seed in range(10)]
    (m1, m2), (s1, s2) = fit.components["x_mean"], fit.components["x_sd"]
    alike = np.sqrt(2 * s1 * s2 / (s1**2 + s2**2)) * np.exp(-((m1 - m2) ** 2) / (4 * (s1**2 + s2**2)))
    apart = (s1**2 / s2**2 + s2**2 / s1**2) / 2 - 1 + (m1 - m2) ** 2 * (1 / s1**2 + 1 / s2**2) / 2
    assert np.mean([each[0][0, 1] for each in found]) == pytest.approx(alike, abs=0.03)
    assert np.mean([each[1][0, 1] for each in found]) == pytest.approx(apart, rel=0.04)
    assert np.allclose(found[0][0].diagonal(), 1)
    assert np.allclose(found[0][1].diagonal(), 0)
    assert np.allclose(found[0][1], found[0][1].T)


def test_the_moments_of_a_merged_pair_are_those_of_the_rows_of_both(fit):
    found = fit.named({2: "warm", 3: "cold"}).merged(3, 2)
    assert set(found.ids) == {1, 2}
    assert found.changes[["action", "id", "other"]].to_numpy().tolist() == [["merged", 3, 2]]
    assert found.components.set_index("id")["name"].to_dict() == {1: "", 2: "warm"}
    data = np.column_stack([fit.table[name].values for name in ("x0", "x1")])
    together = fit.responsibilities(None)[:, 1:].sum(axis=1)
    sums = found.posterior.sums[found.ids.index(2)]
    count, layout = sums[0], fit.parts[0].layout
    assert count == pytest.approx(together.sum(), rel=1e-6)
    mean = together @ data / count
    spread = (together[:, None] * (data - mean)).T @ (data - mean) / count
    z = sums[1:3] / count
    assert np.allclose(layout.center + layout.scale * z, mean, rtol=1e-6)
    prior, posterior = fit.priors.blocks[0].prior, found.posterior.params[0]
    scatter = posterior["psi"][found.ids.index(2)] - prior["psi"][0]
    away = z - prior["mean"][0]
    kappa = prior["kappa"][0]
    pooled = spread / np.outer(layout.scale, layout.scale) * count
    assert np.allclose(scatter, pooled + kappa * count / (kappa + count) * np.outer(away, away), rtol=1e-6)


def test_sums_of_a_merged_pair_are_added_to_the_last_digit(fit):
    found = fit.merged(3, 1)
    place = found.ids.index(1)
    assert np.allclose(found.posterior.sums[place], fit.posterior.sums[0] + fit.posterior.sums[2], rtol=1e-14)
    assert np.allclose(found.posterior.sums.sum(axis=0), fit.posterior.sums.sum(axis=0), rtol=1e-14)
    assert found.weights[place] == pytest.approx(fit.weights[[0, 2]].sum(), abs=1e-3)
    assert found.bound < fit.bound


def test_a_merged_fit_is_saved_and_updated(fit, table, tmp_path):
    found = fit.merged(3, 2)
    found.save(tmp_path / "m.bglm")
    loaded = MixtureFit.load(tmp_path / "m.bglm")
    assert loaded.merged(2, 1).ids == (1,)
    later = found.update({name: values[:400] for name, values in table.items()})
    assert set(later.ids) >= {1, 2}
    assert 3 not in later.ids


def test_mixed_columns_have_proposals():
    data, _ = mixed(300, 1)
    given = {"transform": {"latency_ms": "log"}, "component": {"restarts": "poisson"}}
    fit = Mixture(list(data), data, **given, max_components=4).fit(seed=1)
    found = fit.proposals(pd.DataFrame(data).iloc[:200])
    assert len(found) == 3
    assert np.isfinite(found[["bound", "score", "score_se"]]).all(axis=None)


def test_what_cannot_be_proposed_or_merged_is_said(fit):
    few = {"x0": [1.0], "x1": [1.0]}
    for call, says in ((lambda: fit.proposals(held_out=1.0), "held_out"), (lambda: fit.proposals(few), "more rows"),
                       (lambda: fit.merged(7, 1), "the id 7"), (lambda: fit.merged(1, 1), "into itself")):
        with pytest.raises(BayesGLMError, match=says):
            call()
