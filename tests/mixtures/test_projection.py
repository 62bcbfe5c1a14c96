"""Principal components before a mixture: what they keep, the way back, densities, and the fit with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesglm.data.door import read_table
from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture, MixtureFit
from bayesglm.mixtures.projection import learn
from tests.mixtures.worlds import separated

NAMES = list("abcd")


def correlated(rows=300, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)) @ rng.normal(size=(2, 4)) + 0.2 * rng.normal(size=(rows, 4))
    return pd.DataFrame(5 + x * [1, 10, 100, 0.1], columns=NAMES)


def learnt(data, **options):
    return learn(list(data), read_table(data, list(data))[0], {}, **options)


def scores_of(projection, data):
    table = projection.extend(read_table(data, list(projection.columns))[0])
    return np.column_stack([table[name].values for name in projection.names])


def test_the_error_of_reconstruction_is_the_discarded_variance():
    data = correlated()
    for count in (1, 2, 4):
        found = learnt(data, scores=count)
        error = (((found.back(scores_of(found, data)) - data.to_numpy()) / data.std(ddof=0).to_numpy()) ** 2).mean(axis=0).sum()
        assert error / 4 == pytest.approx(1 - found.explained.sum(), abs=1e-8)
    assert learnt(data, scores=0.9).explained.sum() >= 0.9
    assert len(learnt(data, scores=0.9).explained) < 4


def test_whitened_scores_have_unit_covariance():
    data = correlated()
    assert np.allclose(np.cov(scores_of(learnt(data, whiten=True), data).T, bias=True), np.eye(4), atol=1e-6)
    plain = scores_of(learnt(data), data)
    assert np.allclose(np.cov(plain.T, bias=True), np.diag(plain.var(axis=0)), atol=1e-8)
    assert plain[:, 0].var() > plain[:, 3].var()


def test_signs_stay_when_rows_change_a_little():
    data = correlated()
    first, again = (learnt(rows).loadings for rows in (data, data.sample(frac=0.9, random_state=1)))
    assert (np.diag(first.T @ again) > 0.9).all()


def test_the_mixture_is_that_of_the_scores_and_densities_are_in_original_units():
    """By hand: scores as columns of their own, and the Jacobian by finite differences, one column on the log scale."""
    frame = pd.DataFrame(separated(2, 3, 300, 1)[0]) * [0.1, 50, 0.1]
    frame["x0"] = np.exp(frame["x0"])
    fit = Mixture(list(frame), frame, max_components=4, projection="whiten", transform={"x0": "log"}).fit(seed=1)
    scores = scores_of(fit.projection, frame)
    manual = Mixture(["pc1", "pc2", "pc3"], dict(zip(["pc1", "pc2", "pc3"], scores.T, strict=True)), max_components=4).fit(seed=1)
    step = 1e-6 * frame.iloc[0].abs().to_numpy()
    slopes = np.column_stack([(scores_of(fit.projection, frame[:1] + one) - scores[:1])[0] / one.sum() for one in np.diag(step)])
    given = dict(zip(["pc1", "pc2", "pc3"], scores.T, strict=True))
    assert fit.score(frame)[0] == pytest.approx(manual.score(given)[0] + np.linalg.slogdet(slopes)[1], abs=1e-4)
    assert np.allclose(fit.responsibilities(frame), manual.responsibilities(given))
    labels = fit.responsibilities(frame).argmax(axis=1)
    means = frame.assign(x0=np.log(frame["x0"])).groupby(labels).mean().assign(x0=lambda held: np.exp(held["x0"]))
    found = fit.components[["x0_median", "x1_mean", "x2_mean"]]
    assert np.allclose(found, means, rtol=0.02, atol=0.02 * frame.std().to_numpy())


def test_a_reduced_fit_answers_as_others_do(tmp_path):
    data = correlated().assign(zone=np.where(np.arange(300) % 3 == 0, "a", "b"))
    fit = Mixture([*NAMES, "zone"], data, max_components=3, projection="pca", scores=2).fit(seed=1)
    assert fit.columns == (*NAMES, "zone")
    far = data.iloc[:1].assign(a=500.0)
    assert fit.tail_probability(far, size=500)[0] < 0.01
    assert fit.score(far)[0] < fit.score(data).min()
    assert fit.explain(far)["feature"].iloc[0] in ("pc1", "pc2")
    assert set(NAMES) < set(fit.examples(per=2).columns)
    later = fit.update(data.iloc[:100])
    later.save(tmp_path / "fit.bglm")
    again = MixtureFit.load(tmp_path / "fit.bglm")
    assert np.array_equal(again.score(data), later.score(data))
    pd.testing.assert_frame_equal(again.components, later.components)
    assert again.update(data.iloc[100:200]).bound == later.update(data.iloc[100:200]).bound
    halves = [data.iloc[:150], data.iloc[150:]]
    pieces = Mixture([*NAMES, "zone"], halves, max_components=3, projection="pca", scores=2).fit(seed=1)
    assert np.allclose(pieces.score(data), fit.score(data), atol=1e-2)
    refit = Mixture([*NAMES, "zone"], data[::-1], max_components=3, projection=fit.projection).fit(seed=2)
    assert refit.identified(fit).ids == fit.ids
    with pytest.raises(BayesGLMError, match="projects its columns otherwise"):
        Mixture([*NAMES, "zone"], data.iloc[:250], max_components=3, projection="pca", scores=2).fit(seed=1).identified(fit)


def test_bad_projections_are_refused():
    data = {"x": [1.0, 2.0, 4.0], "y": [2.0, 4.0, 8.0], "same": [1.0] * 3, "s": ["a", "b", "a"], "gap": [1.0, np.nan, 2.0],
            "pc1": [1.0, 3.0, 2.0]}
    for columns, options, says in (
        (["x", "same"], {}, "constant"), (["s"], {}, "described together"), (["x", "gap"], {}, "missing value"),
        (["x", "y"], {"scores": 2}, "at most 1"), (["x", "y"], {"scores": 0.0}, "at most 1"),
        (["x", "y"], {"scores": True}, "at most"),
        (["x", "y"], {"projection": "ica"}, "unknown projection"), (["x", "y"], {"projection": None, "scores": 1}, "without"),
        (["x", "pc1"], {}, "name of a score"), (["x", "y"], {"component": {"x": "student_t"}}, "one component"),
        (["x"], {"projection": learnt(pd.DataFrame(data)[["x", "y"]])}, "with a scale, x"),
    ):
        with pytest.raises(BayesGLMError, match=says) as caught:
            Mixture(columns, data, **({"projection": "pca", "missing": "marginalise"} | options))
        assert caught.value.fix
    assert Mixture(["x"], data, projection="pca").projection.loadings.tolist() == [[1.0]]
