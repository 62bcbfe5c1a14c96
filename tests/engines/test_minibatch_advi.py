"""Variational inference by batches: batches speak for the table without bias and to second order, in pieces as in memory."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
from numpy.typing import NDArray

import bayesglm as bg
from bayesglm.data.batches import batches_of, survey
from bayesglm.engines import MinibatchADVI
from bayesglm.engines.minibatch_advi import Tailed
from bayesglm.engines.streamed import Streamed, stream
from bayesglm.engines.structured import prepare
from bayesglm.engines.variational import Normal
from bayesglm.errors import EngineError, OptionError, ResponseError
from bayesglm.latent.batch import batch_of
from bayesglm.latent.expansion import batch_arrays, packed_batch
from bayesglm.latent.layout import field_of
from bayesglm.latent.pieces import covering, pieces, some_rows
from benchmarks import pieces as pieces_benchmark

Array = NDArray[np.float64]
ROWS = 3_000


def table(rows: int = ROWS, groups: int = 15, seed: int = 3) -> pd.DataFrame:
    """Overdispersed counts of groups with a continuous predictor, so that no two rows are one cell."""
    rng = np.random.default_rng(seed)
    group, x = rng.integers(0, groups, rows), rng.normal(size=rows)
    eta = 1.0 + rng.normal(0, 0.5, groups)[group] + (0.3 + rng.normal(0, 0.2, groups)[group]) * x
    return pd.DataFrame({"y": rng.negative_binomial(3, 3 / (3 + np.exp(eta))), "x": x, "g": [f"g{i:02d}" for i in group]})


FORMULA = "y ~ x + (1 + x | g)"


@cache
def model() -> bg.Model:
    return bg.Model(FORMULA, table(), "negative_binomial")


@cache
def streamed() -> Streamed:
    return stream(model().problem, sample=500, batch=500, seed=1)


def log_density(found: Streamed, q: Array, rows: Array | None = None, total_rows: int = ROWS) -> tuple[float, Array]:
    """Return the log density and gradient that some rows tell, all of them without any."""
    transported, problem = found.prepared.transported, model().problem
    field = transported.posterior.field
    batch = batch_of(field, problem if rows is None else some_rows(problem, rows))
    arrays = batch_arrays(batch, field.hyper, transported.reference, found.anchor, found.total, total_rows)
    gradient = np.empty(len(q))
    return packed_batch(q, gradient, *arrays), gradient


def test_rows_are_read_alike_in_a_batch_and_in_the_whole() -> None:
    problem = model().problem
    field = field_of(problem)
    for name, one, other in zip(field.layout._fields, batch_of(field, problem).layout, field.layout, strict=True):
        npt.assert_array_equal(one, other, err_msg=name)


def test_a_batch_of_all_rows_is_the_exact_density() -> None:
    prepared = prepare(model().problem, seed=1)
    whole = stream(model().problem, sample=ROWS, batch=ROWS, seed=1)
    q = 0.5 * np.random.default_rng(0).normal(size=prepared.transported.size)
    value, gradient = log_density(whole, q)
    expected = prepared.transported(q)
    assert value == pytest.approx(expected[0], rel=1e-10)
    npt.assert_allclose(gradient, expected[1], rtol=1e-6, atol=1e-6)


def test_batches_are_scaled_by_total_over_batch() -> None:
    """The mean over batches that are all rows is the density of all rows; with another total it is not."""
    found = streamed()
    q = np.random.default_rng(1).normal(size=found.prepared.transported.size)
    exact, slope = log_density(found, q)
    parts = np.array_split(np.random.default_rng(2).permutation(ROWS), 6)
    told = [log_density(found, q, np.sort(part)) for part in parts]
    npt.assert_allclose(np.mean([value for value, _ in told]), exact, rtol=1e-10)
    npt.assert_allclose(np.mean([gradient for _, gradient in told], axis=0), slope, rtol=1e-6, atol=1e-6)
    assert np.std([value for value, _ in told]) > 1e-3  # each batch alone says something else
    wrong = np.mean([log_density(found, q, np.sort(part), total_rows=len(part))[0] for part in parts])
    assert abs(wrong - exact) > 1e-3


def test_a_batch_errs_at_third_order() -> None:
    """Half as far from the anchor a batch errs an eighth as much; its own scaled likelihood would err half as much."""
    found = streamed()
    rows = np.sort(np.random.default_rng(4).choice(ROWS, 300, replace=False))
    q = np.random.default_rng(5).normal(size=found.prepared.transported.size)
    q[:len(found.prepared.transported.reference.t)] = 0.0

    def error(size: float) -> float:
        return log_density(found, size * q, rows)[0] - log_density(found, size * q)[0]

    errors = np.array([error(size) - error(0.0) for size in (0.2, 0.1)])
    assert abs(errors[0] / errors[1]) == pytest.approx(8.0, rel=0.2)


def test_passes_end_at_the_mode_of_all_rows() -> None:
    """Field and transport are those that all rows in memory give, however few the sample has."""
    found, exact = streamed(), prepare(model().problem, seed=1)
    assert found.distance < 0.05
    assert found.passes < 10
    q = np.random.default_rng(0).normal(size=(400, exact.transported.size))
    one, other = found.prepared.expand(q), exact.expand(q)
    for name in ("Intercept", "beta", "sd_g", "concentration", "effect_g"):
        sd = other[name].std(axis=0)
        assert np.abs(one[name].mean(axis=0) - other[name].mean(axis=0)).max() < 0.5 * sd.min(), name
        npt.assert_allclose(one[name].std(axis=0), sd, rtol=0.15, err_msg=name)


def means(fit: bg.Fit) -> dict[str, Array]:
    return {name: np.atleast_1d(fit.stacked(name).mean(axis=0)) for name in ("Intercept", "beta", "sd_g", "concentration")}


@cache
def in_memory() -> bg.Fit:
    return model().fit(MinibatchADVI(batch=600), seed=1, progress=False)


def test_batches_find_what_all_rows_find() -> None:
    full, fit = model().fit("advi", seed=1, progress=False), in_memory()
    assert fit.draws["elbo"]["converged"].all()
    for name, value in means(fit).items():
        assert np.abs(value - means(full)[name]).max() < 0.1 * full.stacked(name).std(axis=0).min(), name
    assert fit.verdict is not None
    assert "variational: intervals may be narrow" in str(fit.summary())


@pytest.mark.parametrize("order", ["shuffled", "by group"])
def test_a_file_is_fitted_as_in_memory(order: str, tmp_path: Path) -> None:
    """Whatever the order of its rows, and whatever the size of its row groups."""
    rows = table() if order == "shuffled" else table().sort_values("g")
    rows.to_parquet(tmp_path / "rows.parquet", row_group_size=170)
    made = bg.Model(FORMULA, tmp_path / "rows.parquet", "negative_binomial")
    assert made.schema.rows == ROWS
    small = replace(made.problem.source, random=np.arange(ROWS) % 3 == 0) if made.problem.source is not None else None
    problem = replace(made.problem, source=small)
    assert sum(len(each.observations.response) for each in pieces(problem, 600, seed=1)) == ROWS
    run = MinibatchADVI(batch=600).run(problem, seed=1, progress=False)
    for name, value in means(in_memory()).items():
        sd = in_memory().stacked(name).std(axis=0).min()
        assert np.abs(run.draws["posterior"][name].mean(("chain", "draw")).to_numpy() - value).max() < 0.15 * sd, name


def test_an_ascent_that_was_cut_short_says_so() -> None:
    fit = model().fit(MinibatchADVI(batch=600, passes=1, draws=20), seed=1, progress=False)
    assert fit.verdict is not None
    assert not fit.verdict.reliable
    assert any("too few to tell" in reason for reason in fit.verdict.reasons)
    assert "not converged" in " ".join(fit.notes)
    assert fit.draws["elbo"].sizes["climb"] == 3  # and twice more, with half the rate
    assert not fit.draws["elbo"]["converged"].any()


def test_only_engines_that_read_pieces_fit_pieces(tmp_path: Path) -> None:
    table(60).to_parquet(tmp_path / "rows.parquet")
    made = bg.Model(FORMULA, tmp_path / "rows.parquet", "negative_binomial")
    assert "is read in pieces" in repr(made)
    with pytest.raises(EngineError, match="all rows in memory"):
        made.fit("nuts", seed=1)
    with pytest.raises(OptionError, match="in pieces"):
        _ = made.pymc


def test_what_speaks_of_rows_speaks_of_the_sample(tmp_path: Path) -> None:
    table(200).to_parquet(tmp_path / "rows.parquet")
    made = bg.Model(FORMULA, tmp_path / "rows.parquet", "negative_binomial")
    fit = made.fit(MinibatchADVI(batch=100, draws=50), seed=1, progress=False)
    assert "the table has 200 rows and is read in pieces" in str(fit.summary())
    assert len(fit.predict(seed=1).labels) == 200
    assert fit.check(seed=1)["convergence"].verdict in ("pass", "fail")
    again = bg.load(fit.save(tmp_path / "fit.zip", data=True))
    npt.assert_array_equal(again.stacked("beta"), fit.stacked("beta"))
    assert again.problem is not None
    assert again.problem.source is None


def test_a_fault_beyond_the_sample_is_found(tmp_path: Path) -> None:
    pieces_of = [table(60), table(60, seed=4).assign(y=-1)]
    made = bg.Model(FORMULA, pieces_of[:1], "negative_binomial")
    assert made.problem.source is not None
    source = replace(made.problem.source, batches=batches_of(pieces_of, ["y", "x", "g"]), rows=120)
    with pytest.raises(ResponseError, match="negative"):
        MinibatchADVI(batch=100).run(replace(made.problem, source=source), seed=1, progress=False)


def test_a_survey_keeps_a_row_of_every_level_and_both_ends() -> None:
    rng = np.random.default_rng(1)
    frames = [pd.DataFrame({"g": np.arange(50 * i, 50 * i + 50), "day": rng.uniform(i, i + 1, 50), "k": 7 + (i == 8),
                            "id": [f"{i}-{j}" for j in range(50)]}) for i in range(20)]
    columns = ["g", "day", "k", "id"]
    found = survey(batches_of(frames, columns), columns, 30, seed=1, labels={"g"}, ends={"day", "k"}, free={"id"})
    assert set(found.sample["g"]) == set(range(1_000))
    assert found.random.sum() == 30
    fewer = survey(batches_of(frames, columns), columns, 30, seed=1, ends={"day", "k"}, free={"id"})
    whole = pd.concat(frames)
    assert {whole["day"].min(), whole["day"].max()} <= set(fewer.sample["day"])
    assert set(fewer.sample["k"]) == {7, 8}
    assert len(fewer.sample) <= 30 + 2 * 20 + 3


def test_covering_rows_read_every_pair_of_levels() -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": rng.poisson(1.0, 400), "g": rng.integers(0, 12, 400), "h": rng.integers(0, 5, 400)})
    problem = bg.Model("y ~ 1 + (1 | g) + (1 | h)", data, "poisson").problem
    few = covering(problem, 100, seed=1)
    assert len(few.observations.response) <= data.groupby(["g", "h"]).ngroups + 17
    whole, part = (len(field_of(each).layout.pair_begin) for each in (problem, few))
    assert whole == part


def test_long_tails_have_the_mean_the_sd_and_the_density_of_their_draws() -> None:
    rng = np.random.default_rng(3)
    mean, log_sd, none = np.array([1.0, -2.0, 0.5]), np.log([0.5, 2.0, 1.0]), np.zeros(0, np.int64)
    tailed, plain = Tailed(mean, log_sd, none, np.zeros(0), 2), Normal(mean, log_sd, none, np.zeros(0))
    q = tailed.at(rng.standard_normal((200_000, 3)))
    npt.assert_allclose(q.mean(axis=0), mean, atol=0.02)
    npt.assert_allclose(q.std(axis=0), np.exp(log_sd), rtol=0.02)
    weight = np.exp(plain.log_density(q) - tailed.log_density(q))
    assert weight.mean() == pytest.approx(1.0, abs=4 * weight.std() / np.sqrt(len(q)))
    assert weight.max() < 3.0  # of two coordinates; those of the normal distribution for the other have no bound
    kurtosis = (((q - mean) / np.exp(log_sd)) ** 4).mean(axis=0)
    assert (kurtosis[:2] > 3.5).all()
    assert kurtosis[2] == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(("setting", "value"), [
    ("batch", 10), ("points", 10), ("passes", 0), ("rate", 0.0), ("rate", 1.5), ("proposals", 10), ("batch", 2.5)])
def test_settings_that_make_no_sense_are_refused(setting: str, value: float) -> None:
    with pytest.raises(EngineError) as caught:
        MinibatchADVI(**{setting: value})
    assert (caught.value.column, caught.value.value) == (setting, value)


@pytest.mark.slow
def test_a_million_rows_in_constant_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peak memory of the process stays below 2 GB, and the estimates are those of the full batch within 0.3 sd."""
    monkeypatch.setattr(pieces_benchmark, "BUILD", tmp_path)
    found = pieces_benchmark.compare(1_000_000, "poisson", budget=3_000, with_whole=True)
    assert found["pieces"]["converged"], found
    assert found["pieces"]["peak_mib"] < 2_048, found
    assert found["shift"] < 0.3, found
