"""Record: a named tuple of arrays that compiled code reads through one pointer.

Numba passes a named tuple as the fields of its arrays, hundreds of numbers for each call, and counts a reference to each array
at each call. Between small functions that costs more than their arithmetic. A record is passed as the address of a table of
these fields, in the order and form in which numba keeps them, and an array is read from it where it is used. The table owns
nothing: whoever calls from Python holds the arrays for as long as the call.
"""

# mypy: disallow-untyped-calls=False
# (numba's own functions that build code carry no types)
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import NativeValue, infer_getattr, lower_getattr_generic, models, register_model, typeof_impl, unbox
from numpy.typing import NDArray


class RecordType(types.Type):
    """The type of a record: its class and the types of its arrays."""

    def __init__(self, kind: type[tuple[Any, ...]], arrays: tuple[Any, ...]) -> None:
        self.kind, self.arrays = kind, arrays
        super().__init__(name=f"{kind.__module__}.{kind.__name__}({', '.join(map(_short, arrays))})")

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self.kind._fields)  # type: ignore[attr-defined]


def _short(array: Any) -> str:
    return f"{array.dtype}{array.ndim}{array.layout}{'' if array.mutable else 'r'}"


register_model(RecordType)(models.OpaqueModel)


def record[Kind: type[tuple[Any, ...]]](kind: Kind) -> Kind:
    """Let compiled code read a class of named tuples, whose fields are all arrays, through one pointer.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> from bayesglm.latent.kernel import kernel
    >>> @record
    ... class Line(NamedTuple):
    ...     slope: NDArray[np.float64]
    ...     level: NDArray[np.float64]
    >>> @kernel
    ... def at(line: Line, x: float) -> float:
    ...     return line.level[0] + line.slope[0] * x
    >>> at(Line(np.array([2.0]), np.array([1.0])), 3.0)
    7.0
    """
    from numba import typeof

    @typeof_impl.register(kind)
    def _typeof(value: Any, context: Any) -> RecordType:
        del context
        strange = [name for name, each in zip(value._fields, value, strict=True) if not isinstance(each, np.ndarray)]
        if strange:
            raise TypeError(f"{kind.__name__}.{strange[0]} is {type(getattr(value, strange[0])).__name__} and not an array")
        return RecordType(kind, tuple(typeof(each) for each in value))

    return kind


def words(array: NDArray[Any]) -> tuple[int, ...]:
    """Return an array as numba keeps it, one word a field; it owns nothing, so the first two are null."""
    return (0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides)


def table(value: tuple[NDArray[Any], ...]) -> NDArray[np.int64]:
    """Return what a pointer to a record points to; the arrays must stay alive as long as it is in use."""
    return np.array([word for each in value for word in words(each)], np.int64)


@infer_getattr
class _Attributes(AttributeTemplate):
    key = RecordType

    def generic_resolve(self, value: Any, attr: str) -> Any:  # type: ignore[override]  # numba's own says it is missing
        """Return the type of an array."""
        return value.arrays[value.fields.index(attr)] if attr in value.fields else None


@lower_getattr_generic(RecordType)  # type: ignore[untyped-decorator]
def _read(context: Any, builder: Any, kind: RecordType, pointer: Any, name: str) -> Any:
    """Read the fields of an array. Nobody writes to the table while compiled code runs, and a loop may read it once."""
    number = kind.fields.index(name)
    begin = sum(5 + 2 * each.ndim for each in kind.arrays[:number])
    array = kind.arrays[number]
    form = context.get_value_type(array)
    at = builder.bitcast(pointer, ir.IntType(64).as_pointer())

    def word(offset: int, of: Any) -> Any:
        place = builder.bitcast(cgutils.gep_inbounds(builder, at, begin + offset), of.as_pointer())
        loaded = builder.load(place)
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded

    # The first two own the memory, which is Python's here.
    value = ir.Constant(form, ir.Undefined)
    for i in range(2):
        value = builder.insert_value(value, ir.Constant(form.elements[i], None), i)
    for i in range(2, 5):
        value = builder.insert_value(value, word(i, form.elements[i]), i)
    for i in (5, 6):
        for axis in range(array.ndim):
            value = builder.insert_value(value, word(5 + (i - 5) * array.ndim + axis, form.elements[i].element), (i, axis))
    return value


@unbox(RecordType)  # type: ignore[untyped-decorator]
def _unbox(kind: RecordType, value: Any, c: Any) -> Any:
    """Lay the fields out where the call from Python stands, and hold the arrays until it returns."""
    forms = [c.context.get_value_type(each) for each in kind.arrays]
    slot = cgutils.alloca_once(c.builder, ir.LiteralStructType(forms))
    failed, held = cgutils.false_bit, []
    for i, each in enumerate(kind.arrays):
        native = c.unbox(each, c.pyapi.tuple_getitem(value, i))
        c.builder.store(native.value, cgutils.gep_inbounds(c.builder, slot, 0, i))
        failed = c.builder.or_(failed, native.is_error)
        held.append((each, native.value))

    def cleanup() -> None:
        for each in held:
            c.context.nrt.decref(c.builder, *each)

    pointer = c.builder.bitcast(slot, c.context.get_value_type(kind))
    return NativeValue(pointer, is_error=failed, cleanup=cleanup)
