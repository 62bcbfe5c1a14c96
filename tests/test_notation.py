"""The table of names speaks of every parameter that a family has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bayesglm.families.family import Family
from bayesglm.registry import discover

TEXT = (Path(__file__).parents[1] / "docs" / "notation.md").read_text(encoding="utf-8")
FAMILIES = discover("bayesglm.families", Family)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_every_parameter_is_in_the_table(family):
    names = {re.sub(r"\[.*\]", "[<level>]", each.name) for each in family.parameters}
    assert {name for name in names if f"| `{name}` |" not in TEXT} == set()
