"""Members of an extension point, found by being there.

Each extension folder holds one module a member; the module's ``MEMBER`` is the record (a tuple of records is fine too).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Protocol


class Named(Protocol):
    """Anything with a name to be found by."""

    @property
    def name(self) -> str:
        """The name users write."""
        ...


@cache
def discover[T: Named](package: str, contract: type[T]) -> Mapping[str, T]:
    """Return the members of an extension folder by name.

    Parameters
    ----------
    package : str
        Full name of the folder, for example ``"bayesglm.families"``.
    contract : type
        The record every member is an instance of.

    Returns
    -------
    Mapping
        Read-only, from name to member, in alphabetical order of the names.

    Examples
    --------
    >>> from bayesglm.families.family import Family
    >>> "poisson" in discover("bayesglm.families", Family)
    True
    """
    home = importlib.import_module(package)
    found: dict[str, T] = {}
    for module in pkgutil.iter_modules(home.__path__, f"{package}."):
        member = getattr(importlib.import_module(module.name), "MEMBER", None)
        members = member if isinstance(member, tuple) else (member,)
        for each in members:
            if isinstance(each, contract):
                if each.name in found:
                    raise TypeError(f"two members of {package} are called {each.name!r}")
                found[each.name] = each
    return MappingProxyType(dict(sorted(found.items())))
