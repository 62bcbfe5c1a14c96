"""Kernel: a function compiled without the interpreter's lock, and kept on disk where numba finds a place to write.

Numba keeps a compiled function, and in it all that it calls, until the file it stands in changes. Whoever edits a kernel that
another file calls deletes ``__pycache__/*.nb*``; an installed release replaces all files at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba


def kernel[Function: Callable[..., Any]](function: Function) -> Function:
    """Compile a function of arrays, numbers and named tuples of them, at its first call or from disk.

    Parameters
    ----------
    function : callable
        Its annotations are for the reader and the type checker; numba goes by the types it is called with.

    Examples
    --------
    >>> @kernel
    ... def twice(x: float) -> float:
    ...     return 2.0 * x
    >>> twice(1.5)
    3.0
    """
    compiler: Any = numba.njit
    try:
        return cast(Function, compiler(cache=True, nogil=True)(function))
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cast(Function, compiler(nogil=True)(function))
