"""Chains: nutpie's sampler, one for each chain, on threads that hand their draws over and wait when they are too far ahead.

At most so many chains run at a time as there are cores, the least advanced first, so that the draws common to all chains are as
many as can be at any moment. Waiting changes no draw: each chain has a seed of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.native import BOTTOM, SLOPE, Native
from bayesglm.engines.recorder import Recorder, compiled
from bayesglm.errors import EngineError

Array = NDArray[np.float64]
PythonDensity = Callable[[], Callable[[Array], tuple[float, Array]]]
QUANTUM = 25  # draws between two hand-overs of a core, so that short densities do not spend their time waiting
POLL_SECONDS = 0.05


class Queue:
    """Which chains may draw, and the draws they handed over.

    Parameters
    ----------
    n_chain, cores : int
        Chains, and how many of them run at the same time.
    tune : int
        Draws at the beginning of each that are not kept.
    """

    def __init__(self, n_chain: int, cores: int, tune: int) -> None:
        self.cores, self.tune = cores, tune
        self.condition = threading.Condition(threading.RLock())
        # From which kept draw on, and what each chain handed over: one object, so that an interrupt cannot separate the two.
        self.held: tuple[int, list[list[Array]]] = (0, [[] for _ in range(n_chain)])
        self.count = [0] * n_chain  # draws of each chain, warm-up included
        self.waiting: set[int] = set()
        self.limit = [0]
        self.stopped = threading.Event()

    def put(self, chain: int, rows: Array) -> None:
        """Take draws of a chain, shape (draw, size); none once it is stopped, when what it draws is of no density."""
        if self.stopped.is_set():
            return
        kept = rows[max(0, self.tune - self.count[chain]):]
        self.count[chain] += len(rows)
        if len(kept):
            self.held[1][chain].append(kept)

    def turn(self, chain: int) -> int:
        """Wait until it is the turn of a chain, and return how many draws it may make before it comes back."""
        if self.count[chain] >= self.limit[0] or self.count[chain] % QUANTUM == 0:
            self.waiting.add(chain)
            self.condition.notify_all()
            while not self._may_draw(chain):
                self.condition.wait()
            self.waiting.discard(chain)
            self.condition.notify_all()
        step = QUANTUM - self.count[chain] % QUANTUM
        return step if self.stopped.is_set() else min(step, self.limit[0] - self.count[chain])

    def _may_draw(self, chain: int) -> bool:
        if self.stopped.is_set():
            return True
        running = len(self.count) - len(self.waiting)
        able = [(self.count[each], each) for each in self.waiting if self.count[each] < self.limit[0]]
        return running < self.cores and (self.count[chain], chain) == min(able, default=(-1, -1))


class Chains:
    """Running chains.

    Parameters
    ----------
    density : Native or callable
        As in `bayesglm.engines.sampling.Target`.
    starts : array, shape (chain, size)
        Where each chain begins.
    settings : sequence
        nutpie's settings of each chain.
    cores : int, optional
        How many run at the same time.
    tune : int
        Warm-up draws of each.
    """

    def __init__(
        self, density: Native | PythonDensity, starts: Array, settings: Sequence[Any], *, cores: int | None, tune: int,
    ) -> None:
        _lib = library()
        self.tune = tune
        self.queue = Queue(len(starts), cores or _cores(), tune)
        self.faults: list[BaseException] = []
        self.recorders = [Recorder(start.size, QUANTUM, partial(self._turn, chain), self.faults)
                          for chain, start in enumerate(starts)]
        self.density = density if callable(density) else density.fresh()
        start_sampler = (partial(_python_sampler, self.density) if callable(self.density)
                         else partial(_native_sampler, self.density))
        pairs = zip(starts, settings, strict=True)
        self.samplers: list[Any] = []
        try:
            for chain, (start, each) in enumerate(pairs):
                self.samplers.append(start_sampler(self, chain, np.array(start), each, _lib))
        except BaseException:
            self.stop()  # else those that have started would wait for ever
            raise

    def allow(self, draws: int) -> None:
        """Let each chain go on until it has so many draws, those of the warm-up included."""
        with self.queue.condition:
            self.queue.limit[0] = draws
            self.queue.condition.notify_all()

    def finished(self) -> int:
        """Return how many draws all chains have, those of the warm-up included."""
        with self.queue.condition:
            for chain, recorder in enumerate(self.recorders):
                self.queue.put(chain, recorder.take(everything=False))
        return min(self.queue.count)

    def _turn(self, chain: int) -> int:
        """Take what a chain has recorded, and let it wait for its turn."""
        with self.queue.condition:
            self.queue.put(chain, self.recorders[chain].take(everything=True))
            return self.queue.turn(chain)

    def wait(self, wanted: int, deadline: float | None) -> int:
        """Return how many of the wanted draws all chains have, when they have them or the time is up."""
        with self.queue.condition:
            while (got := min(self.finished(), wanted)) < wanted:
                if deadline is not None and time.perf_counter() >= deadline:
                    return got
                if not self.queue.condition.wait(POLL_SECONDS):  # a chain that failed says nothing
                    self._raise_faults()
        return got

    def flat(self, start: int, end: int) -> Array:
        """Return kept draws, shape (draw, chain, size)."""
        with self.queue.condition:
            first, held = self.queue.held
            return np.stack([np.concatenate(draws)[start - first:end - first] for draws in held], axis=1)

    def drop(self, end: int) -> None:
        """Forget the draws before a position."""
        with self.queue.condition:
            first, held = self.queue.held
            self.queue.held = (end, [[np.concatenate(draws)[end - first:]] for draws in held])

    def stats(self, names: Iterable[str], start: int, end: int) -> dict[str, NDArray[Any]]:
        """Return statistics of the sampler by its own names, shape (draw, chain), of a range of draws, warm-up included."""
        tables = [self._table(chain, end) for chain in range(len(self.samplers))]
        return {name: np.stack([np.asarray(table.column(name))[start:end] for table in tables], axis=1) for name in names}

    def stop(self) -> None:
        """End all chains."""
        self.queue.stopped.set()
        if not callable(self.density):
            self.density.stop()
        with self.queue.condition:
            self.queue.condition.notify_all()
        for sampler in self.samplers:
            with suppress(RuntimeError):  # of a chain that failed: `wait` has told it, or nothing more is wanted of it
                sampler.abort()

    def _table(self, chain: int, rows: int) -> Any:
        """Return the statistics of a chain; a draw is handed over just before the sampler writes them."""
        while True:
            _, stats = self.samplers[chain].inspect().get_arrow_trace()
            if stats and stats[0].num_rows >= rows:
                return stats[0]
            time.sleep(0.001)

    def _raise_faults(self) -> None:
        for fault in self.faults:
            raise fault
        for chain, sampler in enumerate(self.samplers):
            try:
                sampler.wait(0.001)
            except TimeoutError:
                continue
            except RuntimeError as fault:
                raise EngineError(
                    f"chain {chain} cannot sample: {str(fault).splitlines()[0]}", value=chain,
                    rule="at the start of every chain the log density is finite, and its gradient finite and not 0",
                    fix="Check the model's priors and starting values.") from fault


def library() -> Any:
    """Return nutpie's compiled sampler without its Python package, which imports all of ArviZ and Matplotlib first."""
    if "nutpie._lib" not in sys.modules:
        package = importlib.util.find_spec("nutpie")
        folders = package.submodule_search_locations if package is not None else None
        finder = FileFinder((folders or [""])[0], (ExtensionFileLoader, EXTENSION_SUFFIXES))
        found = finder.find_spec("_lib")
        if found is None or found.origin is None:
            return importlib.import_module("nutpie._lib")
        spec = importlib.util.spec_from_file_location("nutpie._lib", found.origin)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["nutpie._lib"] = module  # where nutpie itself will find it: it can be loaded once
    return sys.modules["nutpie._lib"]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _variables(_lib: Any) -> Any:
    """Return what nutpie itself stores of each draw: one number, for the draws are taken on their way."""
    return _lib.PyVariable.new_variables(["nothing"], ["float64"], [(1,)], {"one": 1}, {"nothing": ["one"]})


def _native_sampler(density: Native, chains: Chains, chain: int, start: Array, settings: Any, _lib: Any) -> Any:
    recorder, record = chains.recorders[chain], compiled()
    model = _lib.PyMcModel(
        _lib.LogpFunc(density.address, density.table.ctypes.data, density),
        _lib.ExpandFunc(start.size, 1, record.address, recorder.state.ctypes.data, (recorder, record)),
        _variables(_lib), start.size, {"one": 1}, {}, lambda seed: start, None,
    )
    return _lib.PySampler.from_pymc(settings, 1, model, _lib.ProgressType.none(), None, 100, _lib.PyStorage.arrow())


def _python_sampler(density: PythonDensity, chains: Chains, chain: int, start: Array, settings: Any, _lib: Any) -> Any:
    def make_density() -> Callable[[Array], tuple[float, Array]]:
        value_and_gradient = density()

        def evaluate(q: Array) -> tuple[float, Array]:
            if chains.queue.stopped.is_set():
                return BOTTOM, np.full(q.size, SLOPE)
            try:
                value, gradient = value_and_gradient(q)
            except Exception as fault:
                chains.faults.append(fault)
                chains.queue.stopped.set()
                return BOTTOM, np.full(q.size, SLOPE)
            return float(value), np.ascontiguousarray(gradient)

        return evaluate

    def make_expand(_seed: int, _other: int, _chain: int) -> Callable[[Array], dict[str, Array]]:
        def expand(q: Array) -> dict[str, Array]:
            chains.recorders[chain].record(q)
            return {"nothing": np.zeros(1)}

        return expand

    model = _lib.PyModel(make_density, make_expand, _variables(_lib), start.size, dim_sizes={"one": 1}, coords={},
                         init_point_func=lambda seed: start, transform_adapter=None)
    return _lib.PySampler.from_pyfunc(settings, 1, model, _lib.ProgressType.none(), None, 100, _lib.PyStorage.arrow())
