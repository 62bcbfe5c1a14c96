"""What the documentation shows as a session gives what it shows."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

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
