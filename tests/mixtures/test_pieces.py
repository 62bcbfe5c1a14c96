"""Tables in pieces: the same fit as from one table, a bound of all rows that never falls, samples, and bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

from bayesglm.data.batches import batches_of, survey
from bayesglm.errors import BayesGLMError
from bayesglm.mixtures import Mixture
from bayesglm.mixtures.ascent import ascend, from_responsibilities
from bayesglm.mixtures.learning import empty_problem, source_of
from bayesglm.mixtures.memoised import ascend_in_pieces
from tests.mixtures.test_ascent import CASES, problem_of
from tests.mixtures.worlds import mixed, separated


def pieces_of(problem, count):
    places = np.array_split(np.arange(problem.rows), count)

    def pieces():
        for place in places:
            yield problem.held.take(place), problem.base * len(place) / problem.rows

    return pieces


@pytest.mark.parametrize("name", ["gaussian dirichlet_process", "diagonal_gaussian dirichlet", "mixed dirichlet_process"])
def test_the_bound_of_all_rows_never_falls_and_is_exact(name):
    problem = problem_of(CASES[name])
    start = np.random.default_rng(1).dirichlet(np.full(3, 0.3), problem.rows).T.copy()
    posterior, _ = from_responsibilities(problem, start)
    first = ascend_in_pieces(empty_problem(problem), pieces_of(problem, 7), posterior, 0, -1.0)
    assert first.bound == pytest.approx(ascend(problem, posterior, 1, -1.0).bound, rel=1e-12)
    found = ascend_in_pieces(empty_problem(problem), pieces_of(problem, 7), posterior, 300, 1e-9)
    bounds = np.array(found.bounds)
    assert found.converged
    assert len(bounds) % 7 == 1
    assert np.diff(bounds).min() > -1e-9 * np.abs(bounds).max()
    assert bounds[-1] > bounds[0] + 1
    assert np.allclose(found.posterior.counts.sum(), problem.rows)
    at_the_end = ascend(problem, found.posterior, 1, -1.0)
    assert at_the_end.bound == pytest.approx(bounds[-1], abs=1e-4)


def test_one_piece_is_plain_ascent():
    problem = problem_of(CASES["gaussian dirichlet_process"])
    start = np.random.default_rng(2).dirichlet(np.full(4, 0.3), problem.rows).T.copy()
    posterior, _ = from_responsibilities(problem, start)
    found = ascend_in_pieces(problem, pieces_of(problem, 1), posterior, 9, -1.0)
    plain = ascend(problem, posterior, 10, -1.0)
    assert np.allclose(found.bounds, plain.bounds[1::2], rtol=1e-12)


@pytest.fixture(scope="module")
def table():
    return pd.DataFrame(separated(3, 2, 3000, 1)[0])


@pytest.fixture(scope="module")
def whole(table):
    return Mixture(["x0", "x1"], table, max_components=6).fit(seed=1)


@pytest.mark.parametrize("kind", ["file", "folder", "dataset", "lazy", "frames", "csv"])
def test_every_way_to_hand_in_pieces_gives_the_same_fit(kind, table, whole, tmp_path):
    arrow = pa.Table.from_pandas(table.assign(other="not read"))
    if kind == "folder":
        for number, start in enumerate(range(0, 3000, 1300)):
            pa.parquet.write_table(arrow.slice(start, 1300), tmp_path / f"part{number}.parquet")
        data = tmp_path
    elif kind == "csv":
        data = tmp_path / "rows.csv"
        table.to_csv(data, index=False)
    else:
        pa.parquet.write_table(arrow, tmp_path / "rows.parquet", row_group_size=1000)
        data = {"file": tmp_path / "rows.parquet", "dataset": pa.dataset.dataset(tmp_path / "rows.parquet"),
                "lazy": pl.scan_parquet(tmp_path / "rows.parquet"),
                "frames": [table.iloc[:100], table.iloc[100:2000], table.iloc[2000:]]}[kind]
    mixture = Mixture(["x0", "x1"], data, max_components=6)
    found = mixture.fit(seed=1)
    assert found.posterior.size == 3
    assert "3000 rows" in repr(mixture)
    assert found.schema.rows == 3000
    assert found.schema.columns["x0"].upper == table["x0"].max()
    assert found.bound == pytest.approx(whole.bound, abs=0.01)
    assert np.allclose(found.score(table), whole.score(table), atol=1e-3)


def test_a_large_table_in_memory_is_taken_in_pieces(table, whole):
    mixture = Mixture(["x0", "x1"], table, max_components=6)
    object.__setattr__(mixture, "source", replace(source_of(mixture.table, 10**9, 700), table=mixture.table))
    found = mixture.fit(seed=1)
    assert len(found.found.climb.bounds) % 5 == 1
    assert found.bound == pytest.approx(whole.bound, abs=0.01)


def test_the_sample_is_fair_and_knows_every_level():
    pieces = [pd.DataFrame({"x": np.arange(start, start + 500.0), "zone": "a"}) for start in range(0, 20000, 500)]
    pieces[-1].loc[499, "zone"] = "rare"
    found = survey(batches_of(pieces, ["x", "zone"]), ["x", "zone"], 1000, seed=3)
    assert found.rows == 20000
    assert found.ranges == {"x": (0.0, 19999.0)}
    assert found.random.sum() == 1000
    assert 1000 <= len(found.sample) <= 1002
    assert found.sample["x"].is_monotonic_increasing
    assert set(found.sample["zone"]) == {"a", "rare"}
    assert abs(found.sample["x"].mean() - 9999.5) < 4 * 20000 / np.sqrt(12 * 1000)
    counts = np.histogram(found.sample["x"], 10, (0, 20000))[0]
    assert ((counts - 100) ** 2 / 100).sum() < 30  # chi-square with 9 degrees of freedom


def test_mixed_columns_in_pieces():
    data, _ = mixed(900, 1)
    frame = pd.DataFrame(data)
    options = {"columns": ["latency_ms", "restarts", "cold", "zone"], "transform": {"latency_ms": "log"},
               "component": {"restarts": "poisson"}, "max_components": 5}
    found = Mixture(data=[frame.iloc[:200], frame.iloc[200:]], **options).fit(seed=1)
    plain = Mixture(data=frame, **options).fit(seed=1)
    assert found.bound == pytest.approx(plain.bound, abs=0.01)


def test_faults_in_any_piece_are_named(tmp_path):
    good = pd.DataFrame({"x": np.arange(40.0)})
    with pytest.raises(BayesGLMError, match="missing"):
        Mixture(["x"], [good, pd.DataFrame({"x": [1.0, np.nan]})]).fit(seed=1)
    with pytest.raises(BayesGLMError, match="no such column"):
        Mixture(["y"], [good, good])
    pa.parquet.write_table(pa.Table.from_pandas(good), tmp_path / "x.parquet")
    with pytest.raises(BayesGLMError, match="no such column"):
        Mixture(["y"], tmp_path / "x.parquet")
    with pytest.raises(BayesGLMError, match="cannot be read"):
        Mixture(["x"], tmp_path / "nothing.parquet")
    with pytest.raises(BayesGLMError, match="do not fit together"):
        Mixture(["x"], [good, pl.DataFrame({"x": ["a"]})])
    with pytest.raises(BayesGLMError, match="no rows"):
        Mixture(["x"], [good.iloc[:0]])
