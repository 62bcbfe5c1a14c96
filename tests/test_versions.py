"""Versions: every library that bears on the draws, as far as it is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

from bayesglm.versions import LIBRARIES, installed_versions


def test_every_library_is_told_with_its_version() -> None:
    found = installed_versions()
    assert {"jax", "jaxlib", "arviz_stats", "pymc", "nutpie"} <= set(LIBRARIES)
    assert found["arviz_stats"] == version("arviz-stats")
    assert found["nutpie"] == version("nutpie")


def test_a_library_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_numpy(name: str) -> str:
        if name != "numpy":
            raise PackageNotFoundError(name)
        return "2.0"

    monkeypatch.setattr("bayesglm.versions.version", only_numpy)
    found = installed_versions()
    assert sorted(found) == ["bayesglm", "numpy", "python"]
    assert (found["numpy"], found["bayesglm"]) == ("2.0", "not installed")
