"""Kernel: a function compiled without the interpreter's lock, and kept on disk where numba finds a place to write.

Numba keeps a compiled function, and in it all that it calls, until the file it stands in changes. Whoever edits a kernel that
another file calls deletes ``__pycache__/*.nb*``; an installed release replaces all files at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, cast

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PIECE = 8_192  # a linear algebra library starts threads of its own at 10,000


def kernel[Function: Callable[..., Any]](function: Function) -> Function:
    """Compile a function of arrays, numbers and named tuples of them, at its first call or from disk; x / 0 is infinite.

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
        return cast(Function, compiler(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cast(Function, compiler(nogil=True, error_model="numpy")(function))


def entry_point(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[int, tuple[Any, ...], Any]:
    """Return the address of a numba function for arguments of some types, the types as it takes them, and what it returns.

    Parameters
    ----------
    function : callable
        ``numba.njit`` function; compiled for these types if it is not yet. It must stay alive as long as the address is used.
    arguments : sequence of numba types
        One for each argument of a call from Python. ``*arrays`` come back as one tuple, as such a call has them, so that a
        function that was called is not compiled again.

    Examples
    --------
    >>> address, taken, returned = entry_point(numba.njit(lambda x: 2.0 * x), (numba.float64,))
    >>> address > 0, taken, returned
    (True, (float64,), float64)
    """
    from numba.core.types import BaseTuple

    dispatcher: Any = function
    tuple_of: Any = BaseTuple.from_types
    _, folded = dispatcher.fold_argument_types(tuple(arguments), {})
    taken = tuple(tuple_of(cast(Any, each).types) if isinstance(each, BaseTuple) else each for each in folded)
    dispatcher.compile(taken)
    overload = dispatcher.overloads[taken]
    code, described = attrgetter("library", "fndesc")(overload)
    return code.get_pointer_to_function(described.llvm_func_name), taken, overload.signature.return_type


@kernel
def inner(x: Array, y: Array) -> float:
    """Return the inner product, in pieces that are too short for a library to share among threads.

    Its threads wait for each other, and where chains run side by side that takes a hundred times as long as the product.

    Examples
    --------
    >>> inner(np.ones(20_000), np.full(20_000, 0.5))
    10000.0
    """
    total = 0.0
    for begin in range(0, len(x), PIECE):
        total += np.dot(x[begin:begin + PIECE], y[begin:begin + PIECE])
    return total
