"""What a fresh clone relies on: pins that are complete and name no place, and scripts that can be run."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = sorted({*PROJECT["dependencies"], *(each for group in EXTRAS.values() for each in group)})
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = [line for line in LINES if not line.startswith("#")]


def distribution(requirement: str) -> str:
    """Return the normalised name in a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def test_pins_are_names_and_versions():
    assert [line for line in PINS if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_dependency_is_pinned(requirement):
    assert distribution(requirement) in {"bayesglm", *map(distribution, PINS)}


@pytest.mark.parametrize("script", [".ci/run", "scripts/find-python.sh"])
def test_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)
