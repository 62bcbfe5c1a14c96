"""The report of a mixture: one self-contained page, the same each time, names escaped, all components on it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from bayesglm.errors import OptionError
from bayesglm.mixtures import Mixture
from bayesglm.mixtures.intervals import center_table
from bayesglm.mixtures.report.page import FOLDER, material_of, render
from bayesglm.report.page import sections
from tests.mixtures.worlds import mixed, separated
from tests.report.test_page import TAGS, Reader

HOSTILE = "<script>alert(1)</script>"
NAMES = {"latency_ms": HOSTILE, "restarts": "a`b$x$", "cold": "c&d\u202e", "zone": "zone"}


@pytest.fixture(scope="module")
def fit():
    data, _ = mixed(400, 1)
    held = {NAMES[name]: values for name, values in data.items()}
    held["zone"] = np.where(held["zone"] == "a", HOSTILE, held["zone"])
    return Mixture(list(held), held, transform={HOSTILE: "log"}, component={NAMES["restarts"]: "poisson"}).fit(seed=1).named(
        {1: HOSTILE, 2: "cold start"}, runbook={2: "https://example.org/cold"})


@pytest.fixture(scope="module")
def page(fit):
    return render(material_of(fit), title=HOSTILE, question=HOSTILE)


def test_known_elements_only_and_all_closed(page):
    reader = Reader(page)
    assert reader.open == []
    assert {tag for tag, _ in reader.elements} <= TAGS
    assert HOSTILE in "".join(reader.words)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_loaded(page):
    assert "<script" not in page
    for tag, attributes in Reader(page).elements:
        assert not any(name.startswith("on") for name in attributes), tag
        assert (attributes.get("href") or "#").startswith("#")


@pytest.mark.slow
def test_the_same_fit_gives_the_same_page(fit, page):
    assert render(material_of(fit), title=HOSTILE, question=HOSTILE) == page


def test_components_stand_on_the_page(fit, page):
    words = " ".join("".join(Reader(page).words).split())
    assert "cold start" in words
    assert "https://example.org/cold" in words
    assert "400 rows of" in words
    shown = [each["id"] for each in Reader(page).named("section")]
    assert shown == [each.name for each in sections(FOLDER) if each.name != "history"]
    assert len(Reader(page).named("svg")) == 2


def test_centers_are_in_original_units_with_their_intervals():
    """Of a log, the exponential of the mean's quantiles; of counts over an exposure, the rate at the mean exposure."""
    data, _ = mixed(300, 1)
    data["hours"] = np.random.default_rng(1).uniform(1, 3, 300)
    fit = Mixture(["latency_ms", "restarts"], data, transform={"latency_ms": "log"}, component={"restarts": "poisson"},
                  exposure={"restarts": "hours"}, max_components=3).fit(seed=1)
    drawn = fit.draws(1, 400)["posterior"].to_dataset()
    found = center_table(drawn, fit.parts, 0.9)
    means = drawn["mean"].sel(feature="latency_ms").values[0]
    rates = drawn["rate"].sel(count_feature="restarts").values[0] * data["hours"].mean()
    levels = [0.5, 0.05, 0.95]
    for k, id in enumerate(fit.ids):
        assert found.loc[(id, "latency_ms")].tolist() == pytest.approx(np.exp(np.quantile(means[:, k], levels)).tolist())
        assert found.loc[(id, "restarts")].tolist() == pytest.approx(np.quantile(rates[:, k], levels).tolist())
        assert found.loc[(id, "restarts"), "center"] == pytest.approx(fit.components["restarts_mean"].iloc[k], rel=0.02)


def test_the_history_and_ellipses_stand_on_the_page(tmp_path):
    table = separated(2, 3, 240, 1)[0]
    first = Mixture(list(table), table, max_components=4).fit(seed=1)
    rng = np.random.default_rng(1)
    later = first.update({name: np.concatenate([values[:80], rng.normal(60, 1, 20)]) for name, values in table.items()})
    path = later.report(tmp_path / "modes.html", title="modes")
    page = path.read_text(encoding="utf-8")
    words = " ".join("".join(Reader(page).words).split())
    assert "Components that came, went" in words
    assert words.count("first seenthe first fit") == 2
    assert words.count("first seenrefresh 1") == 1
    assert len(re.findall("Scatter plot of", page)) == 3
    with pytest.raises(OptionError, match="no folder"):
        later.report(tmp_path / "missing" / "modes.html")


def test_a_fit_without_rows_has_a_report(fit):
    words = "".join(Reader(render(material_of(replace(fit, table=None)))).words)
    assert "One by one" in words
    assert "The most unusual rows" not in words
