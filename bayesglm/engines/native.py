"""Native: a compiled log density that a sampler calls without Python, so that chains on several threads share nothing.

A density is a numba function ``kernel(q, gradient, *data) -> value`` of arrays and records of arrays. The sampler wants one
address of fixed form and one pointer of its own: the wrapper here reads the kernel's address and where its data lie from a table
behind that pointer, and calls it. The wrapper knows the types of the data only, so that a kernel from the disk cache is not
compiled again.
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

from bayesglm.latent.kernel import entry_point
from bayesglm.latent.record import table as record_table
from bayesglm.latent.record import words

Table = NDArray[np.int64]
RAISED, NOT_FINITE = 1, 4  # each ends the trajectory, as a divergence
# The log density of a run that was stopped, and its slope in every direction: so low that trajectories end, and not flat, which
# is an error where a chain begins.
BOTTOM, SLOPE = -1e290, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Native:
    """A log density as an address.

    Attributes
    ----------
    address : int
        A C function ``(size, q*, gradient*, value*, table*) -> code``; 0 where all went well.
    table : array
        What the function reads: whether to stop, the kernel's address, then the fields of every array and where each record lies.
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


def native(kernel: Callable[..., float], data: Sequence[Any]) -> Native:
    """Bind a compiled kernel to its data.

    Parameters
    ----------
    kernel : callable
        ``numba.njit`` function of the flat vector ``q`` (float64, contiguous), an array of the same size that it fills with the
        gradient, and ``data``; returns the log density. Compiled for these types if it is not yet.
    data : sequence of arrays and of records (`bayesglm.latent.record`)
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
    return _bind(kernel, data, leading=2)


def native_pair(kernel: Callable[..., tuple[Any, Any]], data: Sequence[Any]) -> Native:
    """Bind a compiled kernel that returns its gradient, as PyTensor's functions do.

    Parameters
    ----------
    kernel : callable
        ``numba.njit`` function of the flat vector ``q`` and ``data``; returns (log density, gradient).
    data : sequence of arrays and of records (`bayesglm.latent.record`)
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
    return _bind(kernel, data, leading=1)


def _bind(kernel: Callable[..., Any], data: Sequence[Any], *, leading: int) -> Native:
    """Compile a kernel of so many vectors and then its data, and fill the table that the wrapper reads."""
    from numba import float64, typeof

    entry, signature, returned = entry_point(kernel, (*[float64[::1]] * leading, *map(typeof, data)))
    wrapper = _wrapper(signature, returned, leading)
    tables = [record_table(each) if isinstance(each, tuple) else None for each in data]
    fields = [word for each, behind in zip(data, tables, strict=True)
              for word in (words(each) if behind is None else (behind.ctypes.data,))]
    return Native(wrapper.address, np.array([0, entry, *fields], dtype=np.int64), (wrapper, kernel, *data, *tables))


@cache
def _wrapper(signature: tuple[Any, ...], returned: Any, leading: int) -> Any:
    """Compile the C function for kernels of a signature: so many vectors, and then arrays and records, or one tuple of them."""
    import numba
    from numba import float64, int64, uint64
    from numba.core.types import CPointer

    call = _call(signature, returned, leading)

    @numba.cfunc(int64(uint64, CPointer(float64), CPointer(float64), CPointer(float64), CPointer(int64)))
    def log_density(size: Any, q: Any, gradient: Any, value_at: Any, table: Any) -> int:
        if table[0] != 0:
            value_at[0] = BOTTOM
            for i in range(size):
                gradient[i] = SLOPE
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


def _call(signature: tuple[Any, ...], returned: Any, leading: int) -> Any:
    """Return the intrinsic that calls the kernel whose address stands in the table: (whether it raised, log density).

    numba passes an array as its fields, one after the other, and the table holds them in that order: nothing is packed.
    """
    from llvmlite import ir
    from numba.core import cgutils
    from numba.core import types as nb
    from numba.extending import intrinsic
    from numba.np.arrayobj import make_array

    def generate(context: Any, builder: Any, outcome: Any, values: Any) -> Any:
        size, q, gradient, table = values
        form = context.call_conv.get_function_type(returned, signature)
        returned_at, exception_at = (cgutils.alloca_once(builder, each.pointee, zfill=True) for each in form.args[:2])
        vectors = [field for at in (q, gradient)[:leading] for field in (0, 0, size, 8, at, size, 8)]
        rest = [builder.load(cgutils.gep_inbounds(builder, table, 2 + i)) for i in range(len(form.args) - 2 - len(vectors))]
        fields = [as_type(builder, kind, each) for kind, each in zip(form.args[2:], [*vectors, *rest], strict=True)]
        entry = builder.inttoptr(builder.load(cgutils.gep_inbounds(builder, table, 1)), ir.PointerType(form))
        raised = builder.icmp_signed("!=", builder.call(entry, [returned_at, exception_at, *fields]), ir.IntType(32)(0))
        value = cgutils.alloca_once_value(builder, context.get_constant(nb.float64, np.nan))
        with builder.if_then(builder.not_(raised)):
            result = context.get_returned_value(builder, returned, builder.load(returned_at))
            builder.store(result if leading == 2 else unpacked(context, builder, result, gradient, size), value)
        return context.make_tuple(builder, outcome.return_type, (raised, builder.load(value)))

    def as_type(builder: Any, kind: Any, value: Any) -> Any:
        if isinstance(value, int):
            return kind(value or None) if isinstance(kind, ir.PointerType) else kind(value)
        return builder.inttoptr(value, kind) if isinstance(kind, ir.PointerType) and value.type != kind else value

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
