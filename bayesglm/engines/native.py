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
    from numba import float64, typeof

    types = tuple(typeof(array) for array in arrays)
    vector = float64[::1]
    _, signature = kernel.fold_argument_types((vector, vector, *types), {})  # type: ignore[attr-defined]
    kernel.compile(signature)  # type: ignore[attr-defined]
    compiled = kernel.overloads[signature]  # type: ignore[attr-defined]
    entry = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    wrapper = _wrapper(types, signature)
    places = [number for array in arrays for number in (array.ctypes.data, *array.shape, *array.strides)]
    return Native(wrapper.address, np.array([0, entry, *places], dtype=np.int64), (wrapper, kernel, *arrays))


@cache
def _wrapper(types: tuple[Any, ...], signature: tuple[Any, ...]) -> Any:
    """Compile the C function for kernels with arrays of these types, and the signature they make (``*arrays`` is one tuple)."""
    import numba
    from numba import float64, int64, uint64
    from numba.core.types import CPointer
    from numba.np.numpy_support import carray

    call = _call(types, signature)

    @numba.cfunc(int64(uint64, CPointer(float64), CPointer(float64), CPointer(float64), CPointer(int64)))
    def log_density(size: Any, q_at: Any, gradient_at: Any, value_at: Any, table: Any) -> int:
        q, gradient = carray(q_at, (size,)), carray(gradient_at, (size,))
        if table[0] != 0:
            value_at[0], gradient[:] = BOTTOM, 0.0
            return 0
        failed, value = call(q, gradient, table)
        if failed:
            return RAISED
        value_at[0] = value
        size_of_all = abs(value)
        for i in range(gradient.size):
            size_of_all += abs(gradient[i])
        return 0 if np.isfinite(size_of_all) else NOT_FINITE

    return log_density


def _call(types: tuple[Any, ...], kernel_signature: tuple[Any, ...]) -> Any:
    """Return the intrinsic that calls the kernel whose address stands in the table, with arrays of these types."""
    from llvmlite import ir
    from numba.core import cgutils
    from numba.core import types as nb
    from numba.extending import intrinsic
    from numba.np.arrayobj import make_array, populate_array
    from numba.np.numpy_support import as_dtype

    @intrinsic
    def call(typing: Any, q: Any, gradient: Any, table: Any) -> Any:
        del typing

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            del signature
            word = context.get_value_type(nb.intp)

            def number(place: int) -> Any:
                return builder.load(cgutils.gep_inbounds(builder, values[2], place))

            arrays, place = [], 2
            for kind in types:
                data = context.get_data_type(kind.dtype).as_pointer()
                shape = [number(place + 1 + axis) for axis in range(kind.ndim)]
                strides = [number(place + 1 + kind.ndim + axis) for axis in range(kind.ndim)]
                array = make_array(kind)(context, builder)
                populate_array(array, data=builder.inttoptr(number(place), data), shape=shape, strides=strides,
                               itemsize=word(as_dtype(kind.dtype).itemsize), meminfo=None)
                arrays.append(array._getvalue())
                place += 1 + 2 * kind.ndim
            given = [values[0], values[1], *arrays]
            if len(kernel_signature) != len(given) or isinstance(kernel_signature[-1], nb.BaseTuple):
                plain = len(kernel_signature) - 1
                given[plain:] = [context.make_tuple(builder, kernel_signature[-1], given[plain:])]
            form = context.call_conv.get_function_type(nb.float64, kernel_signature)
            entry = builder.inttoptr(number(1), ir.PointerType(form))
            status, value = context.call_conv.call_function(builder, entry, nb.float64, kernel_signature, given)
            return context.make_tuple(builder, nb.Tuple((nb.boolean, nb.float64)), (status.is_error, value))

        return nb.Tuple((nb.boolean, nb.float64))(q, gradient, table), generate

    return call
