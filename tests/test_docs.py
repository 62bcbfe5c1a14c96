"""What the documentation shows as a session gives what it shows, and what it counts is as many."""

from __future__ import annotations

import doctest
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.workloads import WORKLOADS

DOCS = Path(__file__).parents[1] / "docs"
SESSION = re.compile(r"```pycon\n(.*?)```", flags=re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SLOW = {"predictions.md"}
PAGES = sorted(page.name for page in DOCS.glob("*.md") if SESSION.search(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", [pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else []) for page in PAGES])
def test_the_sessions_of_a_page_give_what_it_shows(name):
    text = "\n".join(SESSION.findall((DOCS / name).read_text(encoding="utf-8")))
    session = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(session, out=said.append)
    assert result.attempted > 1
    assert not result.failed, "".join(said)


def test_the_counts_of_the_page_on_cells_are_those_of_its_table():
    poisson, nb = (WORKLOADS[f"telemetry-{each}-20000"] for each in ("poisson", "nb"))
    table, page = nb.table(), (DOCS / "cells.md").read_text(encoding="utf-8")
    spread = replace(nb, options={**nb.options, "dispersion": "~ deploy"})
    for name, workload in {"Poisson": poisson, "negative binomial, one concentration": nb,
                           "negative binomial, a formula on the concentration": spread}.items():
        assert f"| {name} | {workload.model(table).audit.cells:,} |" in page
    assert f"20,000 rows of simulated telemetry, {table['exposure'].nunique()} distinct exposures" in page
