"""Call: a compiled likelihood called by its address, so that code around it is compiled once for all families.

Numba builds every function that a compiled function calls into it. Here the family's likelihood is known by its types and its
address only, and what calls it comes from the disk cache whatever the family.
"""

# mypy: disallow-untyped-calls=False
# (numba's own functions that build code carry no types)
from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import float64, int64, typeof
from numba.core import types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import intrinsic
from numpy.typing import NDArray

from bayesglm.latent.kernel import entry_point

Array = NDArray[np.float64]
# Arrays of any layout have the same form in memory, and "A" is read by its strides: PyTensor's last output may be either.
RESULT = types.Tuple((types.Array(float64, 0, "C"), types.Array(float64, 2, "C"), types.Array(float64, 1, "A")))


def address_of(kernel: Callable[..., Any], eta: Array, constants: Array, data: tuple[Array, ...]) -> NDArray[np.int64]:
    """Return the address of a numba function of (eta, constants, *data) that gives (value, d_eta, d_constants), shape (1,).

    Parameters
    ----------
    kernel : callable
        ``numba.njit`` function; compiled for these types if it is not yet. It must stay alive as long as the address is used.
    eta, constants, data : array
        Arguments of the types it will be called with.
    """
    given = tuple(typeof(each) for each in (eta, constants, *data))
    address, taken, returned = entry_point(kernel, given)
    if taken != (types.BaseTuple.from_types(given),):
        raise TypeError(f"a likelihood takes its arguments as one tuple, not {taken}")
    value, d_eta, d_constants = returned
    if (value, d_eta, d_constants.copy(layout="A")) != tuple(RESULT):
        raise TypeError(f"a likelihood returns {returned}, not {RESULT}")
    return np.array([address], np.int64)


def _call(typing: Any, address: Any, eta: Any, constants: Any, data: Any) -> Any:
    """Return (whether it failed, (value, d_eta, d_constants)) of the likelihood at an address."""
    del typing, address
    arguments = (types.BaseTuple.from_types((eta, constants, *data.types)),)
    returned = types.Tuple((types.boolean, RESULT))

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        parts = [values[1], values[2], *(builder.extract_value(values[3], i) for i in range(len(data.types)))]
        given = [context.make_tuple(builder, arguments[0], parts)]
        form = context.call_conv.get_function_type(RESULT, arguments)
        entry = builder.inttoptr(values[0], ir.PointerType(form))
        status, result = context.call_conv.call_function(builder, entry, RESULT, arguments, given)
        made = context.make_tuple(builder, returned, (status.is_error, result))
        return impl_ret_new_ref(context, builder, signature.return_type, made)

    return returned(int64, eta, constants, data), generate


# In compiled code: address, eta, constants and a tuple of data to whether it failed, and what the likelihood returns.
call: Callable[[Any, Array, Array, tuple[Array, ...]], tuple[bool, tuple[Array, Array, Array]]] = cast(Any, intrinsic(_call))

