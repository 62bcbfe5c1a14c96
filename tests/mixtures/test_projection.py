"""Principal components before a mixture: what they keep, the way back, densities, and the fit with both."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture
from bayesglm.mixtures.projection import fit_projected, learn
from tests.mixtures.worlds import separated


def correlated(rows=300, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)) @ rng.normal(size=(2, 4)) + 0.2 * rng.normal(size=(rows, 4))
    return pd.DataFrame(5 + x * [1, 10, 100, 0.1], columns=list("abcd"))


def test_the_error_of_reconstruction_is_the_discarded_variance():
    data = correlated()
    for count in (1, 2, 4):
        found = learn(list("abcd"), data, scores=count)
        back = found.back(found.scores(data).to_numpy())
        error = (((back - data.to_numpy()) / data.std(ddof=0).to_numpy()) ** 2).mean(axis=0).sum()
        assert error / 4 == pytest.approx(1 - found.explained.sum(), abs=1e-8)
    assert learn(list("abcd"), data, variance=0.9).explained.sum() >= 0.9
    assert len(learn(list("abcd"), data, variance=0.9).explained) < 4


def test_whitened_scores_have_unit_covariance():
    data = correlated()
    scores = learn(list("abcd"), data, whiten=True).scores(data)
    assert np.allclose(np.cov(scores.to_numpy().T, bias=True), np.eye(4), atol=1e-6)
    plain = learn(list("abcd"), data).scores(data)
    assert np.allclose(np.cov(plain.to_numpy().T, bias=True), np.diag(plain.var(ddof=0)), atol=1e-8)
    assert plain["pc1"].var() > plain["pc4"].var()


def test_signs_stay_when_rows_change_a_little():
    data = correlated()
    first, again = (learn(list("abcd"), rows).loadings for rows in (data, data.sample(frac=0.9, random_state=1)))
    assert (np.diag(first.T @ again) > 0.9).all()


def test_the_pipeline_is_the_manual_one_and_densities_are_in_original_units():
    table, _ = separated(2, 3, 300, 1)
    frame = pd.DataFrame(table) * [1, 50, 0.1]
    found = fit_projected(list(frame), frame, seed=1, max_components=4, whiten=True)
    projection = learn(list(frame), frame, whiten=True)
    manual = Mixture(["pc1", "pc2", "pc3"], projection.scores(frame), max_components=4).fit(seed=1)
    step = 1e-5 * frame.std().to_numpy()
    slopes = np.column_stack([
        (projection.scores(frame[:1] + one).to_numpy() - projection.scores(frame[:1]).to_numpy())[0] / one.sum()
        for one in np.diag(step)])
    expected = manual.score(projection.scores(frame)) + np.linalg.slogdet(slopes)[1]
    assert np.allclose(found.score(frame), expected, atol=1e-6)
    assert np.allclose(found.responsibilities(frame), manual.responsibilities(projection.scores(frame)))
    labels = found.responsibilities(frame).argmax(axis=1)
    assert np.allclose(found.means, frame.groupby(labels).mean(), rtol=0.02, atol=0.02 * frame.std().to_numpy())


def test_a_reduced_fit_has_tails_and_no_density():
    data = correlated()
    data["zone"] = np.where(np.arange(300) % 3 == 0, "a", "b")
    found = fit_projected(list("abcd"), data, seed=1, scores=2, others=["zone"], max_components=3)
    far = data.iloc[:1].assign(a=500.0)
    assert found.tail_probability(far, size=500)[0] < 0.01
    with pytest.raises(BayesGLMError, match="as many scores as columns"):
        found.score(data)


def test_bad_projections_are_refused():
    data = {"x": [1.0, 2.0, 4.0], "y": [2.0, 4.0, 8.0], "same": [1.0] * 3, "s": ["a", "b", "a"], "gap": [1.0, np.nan, 2.0]}
    for columns, options, says in (
        (["x", "same"], {}, "constant"), (["x", "s"], {}, "principal components are of numbers"), (["x", "gap"], {}, "missing"),
        (["x", "y"], {"scores": 2}, "vary in 1 directions"), (["x", "y"], {"variance": 0.0}, "above 0"),
    ):
        with pytest.raises(BayesGLMError, match=says):
            learn(columns, data, **options)
    assert learn(["x"], data).loadings.tolist() == [[1.0]]
