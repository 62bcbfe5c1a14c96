"""Families: what the response is, given its parameters.

``families.named("truncated_poisson")`` is a member of the folder by its name.
"""

from __future__ import annotations

from collections.abc import Mapping

from bayesglm.errors import unknown
from bayesglm.families.family import Family
from bayesglm.registry import discover


def named(name: str) -> Family:
    """Return a family by its name.

    Raises
    ------
    UnknownNameError
        There is no such family.

    Examples
    --------
    >>> named("truncated_poisson").with_options(lower=2).support.rule
    'a truncated_poisson response needs counts >= 2'
    """
    known: Mapping[str, Family] = discover(__name__, Family)
    if name not in known:
        raise unknown("family", name, known)
    return known[name]
