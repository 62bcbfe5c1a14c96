"""Versions of what a fit was made with."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("bayesglm", "pymc", "pytensor", "nutpie", "numpy", "scipy", "numba", "arviz", "xarray", "pandas")


def installed_versions() -> dict[str, str]:
    """Return the version of Python and of every library that bears on the draws.

    Examples
    --------
    >>> "pymc" in installed_versions()
    True
    """
    return {"python": sys.version.split()[0], **{name: _version(name) for name in LIBRARIES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
