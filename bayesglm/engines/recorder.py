"""Recorder: the draws of one chain, written down by compiled code and handed over to Python some at a time.

The sampler calls `record` with every draw. It writes the draw into a row of its own and calls Python only when all the rows it
has room for are full: then the chain hands them over, waits for its turn, and is told how many it may write next.
"""

# mypy: disallow-untyped-calls=False
# (numba's own functions that build code carry no types)
from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba import float64, int64, uint64
from numba.core.types import CPointer
from numba.extending import intrinsic
from numpy.typing import NDArray

Array = NDArray[np.float64]
NUMBERS = 500_000  # that the rows hold at most
TURN = ctypes.CFUNCTYPE(None)
FILLED, ROOM, ROWS, CALL = range(4)  # places in the state


class Recorder:
    """Rows for the draws of one chain.

    Parameters
    ----------
    size : int
        Numbers of a draw.
    most : int
        Rows to hold, fewer where draws are large.
    turn : callable
        Called by the thread of the chain when there is no room: takes the draws, waits, and returns how many may come next. A
        fault in it ends the chain.
    faults : list
        Where its faults are kept.

    Examples
    --------
    >>> taken = []
    >>> recorder = Recorder(2, 10, lambda: taken.extend(recorder.take(everything=True)) or 3, [])
    >>> for number in range(5):
    ...     recorder.record(np.full(2, float(number)))
    >>> [row[0].item() for row in taken], recorder.take(everything=False).tolist()
    ([0.0, 1.0, 2.0], [[3.0, 3.0]])
    """

    def __init__(self, size: int, most: int, turn: Callable[[], int], faults: list[BaseException]) -> None:
        self.rows = np.empty((max(1, min(most, NUMBERS // size)), size))
        self.taken = 0
        self._turn, self._faults = turn, faults
        self.called = TURN(self._call)
        self.state = np.array([0, 0, self.rows.ctypes.data, ctypes.cast(self.called, ctypes.c_void_p).value], dtype=np.int64)

    def take(self, *, everything: bool) -> Array:
        """Return the draws that were not taken yet; all but the newest, which may still be on its way, or everything.

        Everything can be taken by the thread of the chain only, and then the rows are free again.
        """
        end = int(self.state[FILLED]) - (0 if everything else 1)
        found = self.rows[self.taken:max(end, self.taken)].copy()
        self.taken = 0 if everything else self.taken + len(found)
        if everything:
            self.state[FILLED] = 0
        return found

    def record(self, draw: Array) -> None:
        """Write a draw down, as `compiled` does."""
        if self.state[FILLED] == self.state[ROOM]:
            self._call()
        self.rows[self.state[FILLED]] = draw
        self.state[FILLED] += 1

    def _call(self) -> None:
        try:
            self.state[ROOM] = min(self._turn(), len(self.rows))
        except BaseException as fault:
            self._faults.append(fault)


def _turn(typing: Any, address: Any) -> Any:
    """Call the function without arguments at an address."""
    del typing, address

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        builder.call(builder.inttoptr(values[0], ir.PointerType(ir.FunctionType(ir.VoidType(), []))), [])
        return ir.Constant(ir.IntType(64), 0)

    return int64(int64), generate


def _at(typing: Any, address: Any) -> Any:
    """Return the numbers at an address."""
    del typing, address

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return CPointer(float64)(int64), generate


# In compiled code: from an address.
turn: Callable[[Any], int] = cast(Any, intrinsic(_turn))
at: Callable[[Any], Any] = cast(Any, intrinsic(_at))


def _record(size: Any, _expanded: Any, draw: Any, out: Any, state: Any) -> int:
    out[0] = 0.0
    if state[FILLED] == state[ROOM]:
        turn(state[CALL])
        if state[FILLED] == state[ROOM]:
            return 1
    row = at(state[ROWS] + 8 * size * state[FILLED])
    for i in range(size):
        row[i] = draw[i]
    state[FILLED] += 1
    return 0


@cache
def compiled() -> Any:
    """Compile the C function ``(size, size of out, draw*, out*, state*) -> code`` that writes a draw down; 1 ends the chain."""
    cfunc: Any = numba.cfunc
    form = int64(uint64, uint64, CPointer(float64), CPointer(float64), CPointer(int64))
    try:
        return cfunc(form, cache=True)(_record)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cfunc(form)(_record)
