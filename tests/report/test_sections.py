"""Laws of sections: every member gives records on every fixture, never HTML; the page's tests render them, twice the same."""

from __future__ import annotations

import numpy as np
import pytest

from bayesglm.report.page import sections
from bayesglm.report.section import Facts, Figure, Heading, Paragraph, Statement, TableBlock
from bayesglm.report.sections.groups import MOST, departures, ends

KINDS = (Paragraph, Heading, Facts, Statement, TableBlock, Figure)


@pytest.mark.parametrize("section", sections(), ids=lambda each: each.name)
def test_sections_give_records(section, name, content_of):
    assert all(isinstance(each, KINDS) for each in content_of(name, section))


@pytest.mark.parametrize("section", sections(), ids=lambda each: each.name)
def test_names_and_places_are_distinct(section):
    assert section.name.isidentifier()
    assert section.title
    others = [each for each in sections() if each is not section]
    assert section.place not in [each.place for each in others]


@pytest.mark.parametrize("section", sections(), ids=lambda each: each.name)
def test_figures_and_tables_say_what_they_show(section, name, content_of):
    for each in content_of(name, section):
        if isinstance(each, Figure):
            assert len(each.alternative) > 20
            assert len(each.caption) > 20
        if isinstance(each, TableBlock):
            assert each.caption
            assert len(each.frame)


def test_groups_are_sorted_by_their_mean(fit_of):
    draws = fit_of("grouped").stacked("effect_zone")[:, :, 0]
    table = departures(("a", "b", "c"), draws, "log")
    assert table[("log scale", "mean")].is_monotonic_decreasing
    assert set(table[("", "level")]) == {"a", "b", "c"}
    assert table.loc[0, ("log scale", "mean")] == draws.mean(axis=0).max()


def test_many_levels_are_cut_and_the_cut_is_told():

    draws = np.random.default_rng(0).normal(size=(20, 100))
    table = departures([f"g{i}" for i in range(100)], draws, "identity")
    shown = ends(table)
    assert len(shown) == MOST
    assert shown.iloc[0].equals(table.iloc[0])
    assert shown.iloc[-1].equals(table.iloc[-1])


def test_a_fit_without_data_has_no_figures_of_them(content_of):
    with_data, without = ({each.caption.split(":")[0] for section in sections() for each in content_of(name, section)
                           if isinstance(each, Figure)} for name in ("grouped", "without_data"))
    assert "Rootogram" in with_data
    assert "Rootogram" not in without
