"""Lock-free: PyTensor's numba mode with code that releases Python's lock, so that chains in threads share cores.

What is compiled is a numba dispatcher, ``function.vm.jit_fn``, and the disk cache keeps it apart from the usual kind.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pytensor.compile.mode import Mode
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.link.numba.linker import NumbaLinker

from bayesglm.latent.elementary import write_out


class LockFreeLinker(NumbaLinker):  # type: ignore[misc]  # PyTensor gives no types
    """PyTensor's numba linker, whose function runs without Python's lock."""

    def jit_compile(self, fn_and_cache: tuple[Any, str | None]) -> Any:
        """Compile the function of a graph; see `NumbaLinker`."""
        function, key = fn_and_cache
        if key is not None:
            CACHED_SRC_FUNCTIONS[function.py_func] = sha256(f"{key} nogil".encode()).hexdigest()
        return numba_njit(function.py_func, final_function=True, nogil=True, cache=key is not None)


# Left out are rewrites that would give each of several terms an exponential of its own where they share one.
_PLAIN = Mode(LockFreeLinker(), RewriteDatabaseQuery(
    include=["fast_run", "numba"], exclude=[
        "local_log1p_plusminus_exp", "local_reciprocal_1_plus_exp", "local_exp_over_1_plus_exp", "local_sigm_times_exp",
        "local_greedy_distributor",
    ],
))
# Elementary functions are written out just before loops are fused.
LOCK_FREE = _PLAIN.register((write_out, 48.9))
