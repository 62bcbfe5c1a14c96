"""Native: a compiled log density that a sampler calls without Python, so that chains on several threads share nothing.

A density is a numba function ``kernel(q, gradient, *arrays) -> value``. The sampler wants one address of fixed form and one
pointer of its own: the wrapper here reads the kernel's address and where its arrays lie from a table behind that pointer, and
calls it. The wrapper knows the types of the arrays only, so that a kernel from the disk cache is not compiled again.
"""

# mypy: disallow-untyped-calls=False
# (numba's own functions that build code carry no types)
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]
RAISED, NOT_FINITE = 1, 4  # each ends the trajectory, as a divergence
BOTTOM = -1e290  # the log density of a run that was stopped: flat and low, so that trajectories end and nothing is an error


@dataclass(frozen=True, slots=True, eq=False)
class Native:
    """A log density as an address.

    Attributes
    ----------
    address : int
        A C function ``(size, q*, gradient*, value*, table*) -> code``; 0 where all went well.
    table : array
        What the function reads: whether to stop, the kernel's address, then data pointer, shape and strides of every array.
    alive : tuple
        What must not be collected while the address is in use.
    """

    address: int
    table: Table
    alive: tuple[Any, ...]

    def fresh(self) -> Native:
        """Return the same density with a table of its own, for a run that can be stopped without the others."""
        table = self.table.copy()
        table[0] = 0
        return replace(self, table=table)

    def stop(self) -> None:
        """Let every further evaluation return `BOTTOM`, which soon ends the trajectories that use it."""
        self.table[0] = 1


def native(kernel: Callable[..., float], arrays: Sequence[NDArray[Any]]) -> Native:
    """Bind a compiled kernel to its data.

    Parameters
    ----------
    kernel : callable
        ``numba.njit`` function of the flat vector ``q`` (float64, contiguous), an array of the same size that it fills with the
        gradient, and ``arrays``; returns the log density. Compiled for these types if it is not yet.
    arrays : sequence of array
        Its other arguments. They are not copied and must not change while the density is in use.

    Examples
    --------
    >>> import numba
    >>> @numba.njit
    ... def normal(q, gradient, precision):
    ...     gradient[:] = -precision * q
    ...     return 0.5 * np.dot(q, gradient)
    >>> native(normal, [np.ones(3)]).address > 0
    True
    """
    return _bind(kernel, arrays, leading=2)


def native_pair(kernel: Callable[..., tuple[Any, Any]], arrays: Sequence[NDArray[Any]]) -> Native:
    """Bind a compiled kernel that returns its gradient, as PyTensor's functions do.

    Parameters
    ----------
    kernel : callable
        ``numba.njit`` function of the flat vector ``q`` and ``arrays``; returns (log density, gradient).
    arrays : sequence of array
        Its other arguments. They are not copied and must not change while the density is in use.

    Examples
    --------
    >>> import numba
    >>> @numba.njit
    ... def normal(q, precision):
    ...     return -0.5 * (precision * q * q).sum(), -precision * q
    >>> native_pair(normal, [np.ones(3)]).address > 0
    True
    """
    return _bind(kernel, arrays, leading=1)


def _bind(kernel: Callable[..., Any], arrays: Sequence[NDArray[Any]], *, leading: int) -> Native:
    """Compile a kernel of so many vectors and then its arrays, and fill the table that the wrapper reads."""
    from numba import float64, typeof

    types = tuple(typeof(array) for array in arrays)
    _, signature = kernel.fold_argument_types((*[float64[::1]] * leading, *types), {})  # type: ignore[attr-defined]
    kernel.compile(signature)  # type: ignore[attr-defined]
    compiled = kernel.overloads[signature]  # type: ignore[attr-defined]
    entry = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    wrapper = _wrapper(types, signature, compiled.signature.return_type, leading)
    places = [number for array in arrays for number in (array.ctypes.data, *array.shape, *array.strides)]
    return Native(wrapper.address, np.array([0, entry, *places], dtype=np.int64), (wrapper, kernel, *arrays))


@cache
def _wrapper(types: tuple[Any, ...], signature: tuple[Any, ...], returned: Any, leading: int) -> Any:
    """Compile the C function for kernels with arrays of these types, and the signature they make (``*arrays`` is one tuple)."""
    import numba
    from numba import float64, int64, uint64
    from numba.core.types import CPointer

    call = _call(types, signature, returned, leading)

    @numba.cfunc(int64(uint64, CPointer(float64), CPointer(float64), CPointer(float64), CPointer(int64)))
    def log_density(size: Any, q: Any, gradient: Any, value_at: Any, table: Any) -> int:
        if table[0] != 0:
            value_at[0] = BOTTOM
            for i in range(size):
                gradient[i] = 0.0
            return 0
        failed, value = call(size, q, gradient, table)
        if failed:
            return RAISED
        value_at[0] = value
        size_of_all = abs(value)
        for i in range(size):
            size_of_all += abs(gradient[i])
        return 0 if np.isfinite(size_of_all) else NOT_FINITE

    return log_density


def _call(types: tuple[Any, ...], kernel_signature: tuple[Any, ...], returned: Any, leading: int) -> Any:
    """Return the intrinsic that calls the kernel whose address stands in the table: (whether it raised, log density)."""
    from llvmlite import ir
    from numba.core import cgutils
    from numba.core import types as nb
    from numba.extending import intrinsic
    from numba.np.arrayobj import make_array, populate_array
    from numba.np.numpy_support import as_dtype

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        size, q, gradient, table = values
        word = context.get_value_type(nb.intp)

        def number(place: int) -> Any:
            return builder.load(cgutils.gep_inbounds(builder, table, place))

        def array(kind: Any, data: Any, shape: list[Any], strides: list[Any]) -> Any:
            found = make_array(kind)(context, builder)
            itemsize = word(as_dtype(kind.dtype).itemsize)
            populate_array(found, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
            return found._getvalue()

        def array_at(kind: Any, place: int) -> Any:
            data = builder.inttoptr(number(place), context.get_data_type(kind.dtype).as_pointer())
            ends = [place + 1, place + 1 + kind.ndim, place + 1 + 2 * kind.ndim]
            return array(kind, data, *([number(each) for each in range(*pair)] for pair in pairwise(ends)))

        places = accumulate((1 + 2 * kind.ndim for kind in types), initial=2)
        given = [array(nb.float64[::1], each, [size], [word(8)]) for each in (q, gradient)[:leading]]
        given += [array_at(kind, place) for kind, place in zip(types, places, strict=False)]
        if len(kernel_signature) != len(given) or isinstance(kernel_signature[-1], nb.BaseTuple):  # it takes *arrays
            plain = len(kernel_signature) - 1
            given[plain:] = [context.make_tuple(builder, kernel_signature[-1], given[plain:])]
        entry = builder.inttoptr(number(1), ir.PointerType(context.call_conv.get_function_type(returned, kernel_signature)))
        status, result = context.call_conv.call_function(builder, entry, returned, kernel_signature, given)
        value = cgutils.alloca_once_value(builder, context.get_constant(nb.float64, np.nan))
        with cgutils.if_likely(builder, status.is_ok):
            builder.store(result if leading == 2 else unpacked(context, builder, result, gradient, size), value)
        return context.make_tuple(builder, signature.return_type, (status.is_error, builder.load(value)))

    def unpacked(context: Any, builder: Any, pair: Any, gradient: Any, size: Any) -> Any:
        """Copy the gradient of a pair that a kernel returned, and return its value."""
        value, slope = (builder.extract_value(pair, each) for each in (0, 1))
        cgutils.raw_memcpy(builder, gradient, make_array(returned[1])(context, builder, value=slope).data, size, 8)
        if isinstance(returned[0], nb.Array):
            value = builder.load(make_array(returned[0])(context, builder, value=value).data)
        context.nrt.decref(builder, returned, pair)
        return value

    @intrinsic
    def call(typing: Any, size: Any, q: Any, gradient: Any, table: Any) -> Any:
        del typing
        return nb.Tuple((nb.boolean, nb.float64))(size, q, gradient, table), generate

    return call
