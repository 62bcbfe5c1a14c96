"""Elementary: exponentials and logarithms without branches or calls, so that loops over cells run several cells at a time.

A call of the C library's exp for each cell keeps a loop from using the processor's vector instructions. The operations here are
written out, x = k log 2 + r and polynomials, with errors below 1.5 units in the last place; a rewrite puts them in the place of
PyTensor's own in the likelihoods of this package, and nowhere else.

Source: Cody and Waite (1980), Software Manual for the Elementary Functions; the polynomial of the logarithm is that of Sun's
fdlibm.
"""

# mypy: disallow-untyped-calls=False
# (numba's own functions that build code carry no types)
from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import sha256
from typing import Any, cast

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from pytensor.graph.rewriting.basic import in2out, node_rewriter
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.scalar import basic as scalar
from pytensor.scalar import math as scalar_math
from pytensor.tensor.elemwise import Elemwise

# A change of a kernel needs a new version, or the disk cache goes on with the old one.
VERSION = 4
MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which then stands in the low bits
LOG2_HIGH, LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
OVERFLOW, UNDERFLOW = 709.782712893384, -708.0
TINY, TWO_54 = 2.2250738585072014e-308, 18014398509481984.0


def _bits(typing: Any, x: Any) -> Any:
    """Return the bits of a float as an integer."""
    del typing, x
    return types.int64(types.float64), lambda context, builder, signature, values: builder.bitcast(values[0], ir.IntType(64))


def _number(typing: Any, x: Any) -> Any:
    """Return the float with these bits."""
    del typing, x
    return types.float64(types.int64), lambda context, builder, signature, values: builder.bitcast(values[0], ir.DoubleType())


bits: Callable[[float], int] = cast(Any, intrinsic(_bits))
number: Callable[[int], float] = cast(Any, intrinsic(_number))


def written_out[Kernel: Callable[..., Any]](kernel: Kernel) -> Kernel:
    """Compile a kernel as it is written: its roundings must not be reordered, and it is part of the loop that uses it."""
    compiler: Any = numba.njit
    options = {"error_model": "numpy", "forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Kernel, compiler(fastmath=False, **options)(kernel))


@written_out
def _split_exp(x: float) -> tuple[float, float]:
    """Return (exp(r) - 1, 2^(k - 1)) with x = k log 2 + r, for x within the range of floats: 2^1024 is beyond it."""
    shifted = x * 1.4426950408889634 + MAGIC
    k = shifted - MAGIC
    r = (x - k * LOG2_HIGH) - k * LOG2_LOW
    p = 1.6059043836821613e-10
    for coefficient in (2.08767569878681e-09, 2.505210838544172e-08, 2.755731922398589e-07, 2.7557319223985893e-06,
                        2.48015873015873e-05, 1.984126984126984e-04, 1.388888888888889e-03, 8.333333333333333e-03,
                        4.1666666666666664e-02, 1.6666666666666666e-01, 0.5, 1.0):
        p = p * r + coefficient
    return p * r, number((bits(shifted) << 52) + (1022 << 52))


@written_out
def exp(x: float) -> float:
    """Return e^x; infinite above 709.78, 0 below -708."""
    part, power = _split_exp(min(max(x, UNDERFLOW), OVERFLOW))
    value = math.inf if x > OVERFLOW else (part + 1.0) * power * 2.0
    value = 0.0 if x < UNDERFLOW else value
    return x if x != x else value


@written_out
def expm1(x: float) -> float:
    """Return e^x - 1 without cancellation near 0."""
    part, power = _split_exp(min(max(x, UNDERFLOW), OVERFLOW))
    value = math.inf if x > OVERFLOW else (power * part + (power - 0.5)) * 2.0
    return x if x != x else value


@written_out
def log(x: float) -> float:
    """Return the natural logarithm; minus infinity at 0, not a number below."""
    small = x < TINY
    scaled = x * TWO_54 if small else x
    whole = bits(scaled)
    exponent = (whole - 0x3FE6A09E667F3BCD) >> 52
    f = number(whole - (exponent << 52)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    rest = z * (6.666666666666735130e-01 + z * (3.999999999940941908e-01 + z * (2.857142874366239149e-01 + z * (
        2.222219843214978396e-01 + z * (
            1.818357216161805012e-01 + z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01))))))
    half = 0.5 * f * f
    k = number(exponent + 0x4338000000000000) - MAGIC
    k = k - 54.0 if small else k
    value = k * LOG2_HIGH - ((half - (s * (half + rest) + k * LOG2_LOW)) - f)
    value = -math.inf if x == 0.0 else value
    value = math.inf if x == math.inf else value
    return math.nan if (x < 0.0) | (x != x) else value


@written_out
def log1p(x: float) -> float:
    """Return log(1 + x) without losing x near 0."""
    u = 1.0 + x
    whole = log(u)
    lost = ((u - 1.0) - x) / u
    return whole - lost if (u > 0.0) & (u < math.inf) else whole


@written_out
def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x)."""
    small = exp(-abs(x))
    return (1.0 if x >= 0.0 else small) / (1.0 + small)


@written_out
def softplus(x: float) -> float:
    """Return log(1 + e^x)."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


class Vectorised(scalar.UnaryScalarOp):  # type: ignore[misc]  # PyTensor gives no types
    """An elementary function, computed here in compiled code.

    It has no C code, which keeps PyTensor from fusing it with what stands around it: a loop of its own is vectorised, one over
    a whole density with its sums is not, and takes seven times as long.
    """

    def __init__(self, plain: Any, kernel: Any) -> None:
        self.plain, self.kernel = plain, kernel
        super().__init__(scalar.upgrade_to_float, name=f"vectorised_{plain.name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vectorised) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def impl(self, x: float) -> float:
        """Compute in Python, as the plain operation does."""
        return float(self.plain.impl(x))

    def grad(self, inputs: Any, outputs: Any) -> Any:
        """Differentiate as the plain operation does; rewrites come after derivatives."""
        return self.plain.grad(inputs, outputs)


@numba_basic.register_funcify_and_cache_key(Vectorised)  # type: ignore[untyped-decorator]  # PyTensor gives no types
def _funcify(op: Vectorised, **_: Any) -> tuple[Any, str]:
    return op.kernel, sha256(f"bayesglm {op.name} {VERSION}".encode()).hexdigest()


OPERATIONS = {type(plain): Vectorised(plain, kernel) for plain, kernel in (
    (scalar.exp, exp), (scalar.expm1, expm1), (scalar.log, log), (scalar.log1p, log1p),
    (scalar_math.sigmoid, sigmoid), (scalar_math.softplus, softplus),
)}


@node_rewriter([Elemwise])  # type: ignore[untyped-decorator]
def _write_out(fgraph: Any, node: Any) -> Any:
    """Put the operation that is written out in the place of PyTensor's own."""
    del fgraph
    chosen = OPERATIONS.get(type(node.op.scalar_op))
    if chosen is None or node.outputs[0].type.dtype != "float64" or node.inputs[0].type.dtype != "float64":
        return None
    return [Elemwise(chosen)(*node.inputs)]


write_out = in2out(_write_out, name="write_out_elementary_functions")
