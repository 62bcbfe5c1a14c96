"""Laps: where the time of a run goes, phase by phase, with compiling apart from all of them.

A kernel is compiled, or loaded from disk, when it is first called, in the middle of whatever needs it. What numba spends on that
is taken out of the phase and counted as ``compile``, so that the other phases say what a fit costs in a process that has had one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from numba.core.event import TimingListener, install_listener


class Laps:
    """Seconds of each phase so far.

    Parameters
    ----------
    compiling : TimingListener
        What numba spends on compiling and loading.
    before : mapping
        Phases that are over.
    """

    def __init__(self, compiling: TimingListener, before: Mapping[str, float]) -> None:
        self._compiling = compiling
        self._last = (time.perf_counter(), 0.0)
        self.seconds = dict(before)

    def end(self, phase: str) -> None:
        """End a phase: the time since the last one ended is its own, but for that of compiling."""
        now, compiled = time.perf_counter(), self._compiling.duration if self._compiling.done else 0.0
        spent, on_compiling = now - self._last[0], compiled - self._last[1]
        self._last = now, compiled
        for name, seconds in ((phase, spent - on_compiling), ("compile", on_compiling)):
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds


@contextmanager
def laps(before: Mapping[str, float] | None = None) -> Iterator[Laps]:
    """Measure phases, added to those that are over.

    Examples
    --------
    >>> with laps({"compile": 1.0}) as clock:
    ...     clock.end("mode")
    >>> sorted(clock.seconds)
    ['compile', 'mode']
    """
    compiling: TimingListener = cast(Any, TimingListener)()
    with install_listener("numba:compiler_lock", compiling):
        yield Laps(compiling, before or {})
