"""The data sets agree with what was published, with their records, and the simulated one with its truth."""

from __future__ import annotations

import dataclasses
import re
import socket
from math import log, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesglm import datasets
from bayesglm.datasets import dataset_names, describe_dataset, load_dataset, truth
from bayesglm.datasets.simulate_service_errors import TRAFFIC, simulate, write
from bayesglm.errors import UnknownNameError

FOLDER = Path(datasets.__file__).parent
MOST_BYTES = 250_000


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a data set asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


# Totals: as printed in the source, or from an independent copy (R's MASS, boot, datasets, vcd).
TOTALS = [
    ("coal_disasters", "disasters", 191),
    ("old_faithful", "waiting_min", 19_284),
    ("old_faithful", "eruption_min", 948.677),
    ("orings", "distressed", 9),
    ("orings", "temperature_f", 1_600),
    ("orings", "rings", 6 * 23),
    ("pump_failures", "failures", 75),
    ("pump_failures", "operation_time", 350.032),
    ("request_latency", "latency", 182_068.482),
    ("ship_incidents", "incidents", 356),
    ("ship_incidents", "service_months", 163_574),
    ("surgical_deaths", "deaths", 208),
    ("surgical_deaths", "operations", 2_814),
]


def test_every_file_has_a_record_and_every_record_a_file():
    assert sorted(path.stem for path in FOLDER.glob("*.csv")) == list(dataset_names())


@pytest.mark.parametrize("name", dataset_names())
def test_table_agrees_with_its_record(name):
    record, frame = describe_dataset(name), load_dataset(name)
    assert list(frame.columns) == [column.name for column in record.columns]
    assert len(frame) == record.rows
    assert not frame.isna().any().any()
    for column in record.columns:
        assert str(frame[column.name].dtype) == column.dtype or column.dtype == "str"
        if column.dtype == "str":
            assert pd.api.types.is_string_dtype(frame[column.name])
            assert all(isinstance(value, str) and value == value.strip() != "" for value in frame[column.name])


@pytest.mark.parametrize("name", dataset_names())
def test_record_names_source_units_and_meaning(name):
    record = describe_dataset(name)
    assert record.title
    assert record.notes
    assert record.simulated == ("simulated" in record.source)
    years = re.findall(r"\b(?:1[89]|20)\d\d\b", record.source)
    assert bool(years) != record.simulated
    assert all(year in record.citation for year in years)
    assert all(column.unit and column.meaning for column in record.columns)
    frame = load_dataset(name)
    assert frame.attrs == {"name": name, "source": record.source, "units": record.units}


@pytest.mark.parametrize("name", dataset_names())
def test_counts_are_not_negative_and_files_stay_small(name):
    assert (load_dataset(name).select_dtypes("number") >= 0).all().all()
    assert (FOLDER / f"{name}.csv").stat().st_size < MOST_BYTES


@pytest.mark.parametrize("name", dataset_names())
def test_docstring_and_docs_list_every_data_set(name):
    page = (FOLDER.parents[1] / "docs" / "datasets.md").read_text(encoding="utf-8")
    record = describe_dataset(name)
    assert f'``"{name}"``' in str(load_dataset.__doc__)
    assert f"## `{name}`" in page
    section = page.split(f"## `{name}`")[1].split("\n## ")[0]
    assert " ".join(record.citation.split()) in " ".join(section.split())
    for column in record.columns:
        assert f"| `{column.name}` | {column.unit} | {column.meaning} |" in section


@pytest.mark.parametrize(("name", "column", "total"), TOTALS)
def test_totals_are_the_published_ones(name, column, total):
    assert load_dataset(name)[column].sum() == pytest.approx(total, rel=1e-12)


def test_each_call_returns_a_new_table():
    first = load_dataset("orings")
    first.loc[0, "distressed"] = 6
    first.attrs["units"]["rings"] = "changed"
    assert load_dataset("orings").loc[0, "distressed"] == 0
    assert load_dataset("orings").attrs["units"]["rings"] == "count"


def test_ship_incidents_without_service():
    ships = load_dataset("ship_incidents")
    idle = ships[ships["service_months"] == 0]
    assert (idle["incidents"] == 0).all()
    assert sorted(zip(idle["ship_type"], idle["construction"], idle["period"], strict=True)) == [
        ("A", "1975-79", "1960-74"),
        ("B", "1975-79", "1960-74"),
        ("C", "1975-79", "1960-74"),
        ("D", "1975-79", "1960-74"),
        ("E", "1960-64", "1975-79"),
        ("E", "1975-79", "1960-74"),
    ]
    assert not ships.duplicated(["ship_type", "construction", "period"]).any()


def test_orings_in_distress():
    rings = load_dataset("orings").set_index("flight")
    assert (rings["distressed"] > 0).sum() == 7
    assert rings["temperature_f"].min() == rings.loc["51-C", "temperature_f"] == 53
    assert rings.loc[["51-C", "61-A"], "distressed"].tolist() == [2, 2]
    assert rings["pressure_psi"].value_counts().to_dict() == {50: 6, 100: 2, 200: 15}


def test_pumps_that_run_continuously():
    pumps = load_dataset("pump_failures")
    assert pumps.loc[pumps["mode"] == "continuous", "pump"].tolist() == ["1", "3", "4", "6"]
    assert set(pumps["mode"]) == {"continuous", "intermittent"}


def test_coal_disasters_cover_every_year():
    assert load_dataset("coal_disasters")["year"].tolist() == list(range(1851, 1963))


@pytest.mark.parametrize("ask", [load_dataset, describe_dataset, truth])
def test_an_unknown_name_lists_the_known_ones(ask):
    with pytest.raises(UnknownNameError, match="Did you mean 'ship_incidents'") as caught:
        ask("ship_incident")
    assert all(name in str(caught.value) for name in dataset_names())


def test_observed_data_have_no_truth():
    with pytest.raises(UnknownNameError, match="service_errors"):
        truth("orings")


def test_simulation_reproduces_the_file(tmp_path):
    pd.testing.assert_frame_equal(simulate(), load_dataset("service_errors"), check_dtype=False)
    write(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (FOLDER / "service_errors.csv").read_bytes()
    assert not simulate(seed=1)["errors"].equals(simulate()["errors"])


def test_service_effects_were_drawn_from_their_population():
    known = truth("service_errors")
    drawn = np.random.default_rng(20260301).normal(0.0, known.service_sd, len(known.service_log_rate)).round(3)
    assert list(known.service_log_rate) == sorted(TRAFFIC)
    np.testing.assert_allclose(list(known.service_log_rate.values()), drawn, rtol=0, atol=1e-12)


def test_service_errors_design():
    frame, known = load_dataset("service_errors"), truth("service_errors")
    assert frame.groupby("service")["region"].nunique().eq(1).all()
    assert set(frame["region"]) == {"ap", "eu", "us"}
    assert not frame.duplicated(["timestamp", "service"]).any()
    assert (frame["hour"] == frame["timestamp"].dt.hour).all()
    assert (frame["errors"] <= frame["requests"]).all()
    window = (frame["timestamp"] >= known.incident_start) & (frame["timestamp"] < known.incident_end)
    expected = window & (frame["region"] == known.incident_region)
    assert (frame["incident"] == expected).all()
    assert expected.sum() == 7 * 3
    first = frame[(frame["timestamp"] == known.incident_start) & (frame["service"] == known.incident_trigger)]
    assert first["deploy"].tolist() == [1]
    assert known.season(np.arange(24)).sum() == pytest.approx(0.0, abs=1e-12)


def scores(frame, known):
    """Standardised scores of each parameter of the log rate, and of the dispersion, at the given truth."""
    mu = np.exp(known.log_expected(*(frame[c] for c in ("service", "hour", "deploy", "incident", "requests"))))
    errors, k = frame["errors"].to_numpy(float), known.concentration
    residual = (errors - mu) / (1.0 + mu / k)  # score of a negative binomial in log mu
    information = mu / (1.0 + mu / k)
    parts = {"deploy": frame["deploy"] == 1, "incident": frame["incident"] == 1}
    parts |= {name: frame["service"] == name for name in TRAFFIC}
    parts |= {f"hour {hour}": frame["hour"] == hour for hour in range(24)}
    found = {name: residual[rows].sum() / sqrt(information[rows].sum()) for name, rows in parts.items()}
    # Squared Pearson residuals: mean 1, variance 2 + 6/k + 1/var(y).
    pearson = (errors - mu) ** 2 / (mu + mu**2 / k)
    spread = np.sqrt((2.0 + 6.0 / k + 1.0 / (mu + mu**2 / k)).sum())
    found["concentration"] = (pearson - 1.0).sum() / spread
    return pd.Series(found)


def test_service_errors_agree_with_the_truth():
    worst = scores(load_dataset("service_errors"), truth("service_errors")).abs()
    assert worst.max() < 3.9, worst.idxmax()  # 35 scores: 0.3 % by chance


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"deploy_ratio": 1.3}, "deploy"),
        ({"incident_ratio": 2.0}, "incident"),
        ({"concentration": 6.0}, "concentration"),
        ({"log_rate": log(0.0033)}, "gateway"),
        ({"season_cos": (-0.10, 0.10)}, "hour 0"),
    ],
)
def test_a_wrong_truth_is_seen(change, seen):
    wrong = dataclasses.replace(truth("service_errors"), **change)
    assert abs(scores(load_dataset("service_errors"), wrong)[seen]) > 3.9
