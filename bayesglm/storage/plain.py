"""Plain: values as JSON text and back, every number exactly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesglm.errors import StorageError

NUMBER = "$number"


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: tuples and arrays as lists, NaN and infinity by name.

    Raises
    ------
    StorageError
        Something that is no number, text, list or mapping.

    Examples
    --------
    >>> plain({"limits": (np.int64(1), np.inf)})
    {'limits': [1, {'$number': 'inf'}]}
    """
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {NUMBER: str(float(value))}
    if value is None or isinstance(value, str | bool | int):
        return value
    raise StorageError(f"{value!r} of type {type(value).__name__}", value=value,
                       rule="a saved fit holds numbers, texts, lists and mappings", fix="Leave it out of the fit.")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise StorageError(f"the key {key!r}", value=key, rule="the keys of a saved mapping are texts",
                           fix="Use a text.")
    return key


def dumps(value: Any) -> str:
    """Return the JSON text of a value, ASCII only; equal values in equal order give equal texts."""
    return json.dumps(plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def loads(text: str) -> Any:
    """Return what `dumps` wrote; tuples come back as lists.

    Examples
    --------
    >>> loads(dumps({"upper": float("inf"), "x": (0.1 + 0.2, None)}))
    {'upper': inf, 'x': [0.30000000000000004, None]}
    """
    return json.loads(text, object_hook=_number)


def _number(found: dict[str, Any]) -> Any:
    named = found.get(NUMBER) if len(found) == 1 else None
    return float(named) if isinstance(named, str) else found
