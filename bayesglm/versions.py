"""Versions of what a fit was made with."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("bayesglm", "pymc", "pytensor", "nutpie", "numpy", "scipy", "numba", "arviz", "arviz_stats", "xarray", "pandas",
             "jax", "jaxlib")


def installed_versions() -> dict[str, str]:
    """Return the version of Python and of every library that bears on the draws and what is said of them.

    A library that is not installed is left out; the package itself may be used from its folder without being installed.

    Examples
    --------
    >>> "pymc" in installed_versions()
    True
    """
    found = {"python": sys.version.split()[0], "bayesglm": "not installed"}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
