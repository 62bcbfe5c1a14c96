"""The sampling loop: several chains of nutpie's No-U-Turn sampler on any log density, in blocks of fixed size.

Whoever has a density makes a `Target`; `sample` draws from it. Chains run on threads of their own. After every block that all
chains have, the draws (in the model's own parameters) are held against the target's goals, and the run stops at the first block
that meets them. This is decided from the draws alone: the same seed gives the same draws whatever the clock or the number of
threads, and a run that is cut short returns the first draws of the whole one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.chains import Chains, PythonDensity
from bayesglm.engines.goals import HIGHEST_R_HAT, Suspects, met, worst
from bayesglm.engines.native import Native
from bayesglm.errors import EngineError

Array = NDArray[np.float64]
Expanded = Mapping[str, NDArray[Any]]
CHUNK_BYTES = 2**26  # of unconstrained draws held before they are expanded
STATS = {"diverging": "diverging", "energy": "energy", "depth": "tree_depth", "n_steps": "n_steps", "logp": "lp",
         "step_size": "step_size", "mean_tree_accept": "acceptance_rate", "maxdepth_reached": "reached_max_treedepth"}


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A log density and what its draws mean.

    Attributes
    ----------
    size : int
        Number of unconstrained coordinates.
    density : Native or callable
        The log density, up to a constant: compiled (see `bayesglm.engines.native.native`), or a function that makes one
        ``q -> (value, gradient)`` for each chain.
    starts : array, shape (chain, size)
        Where each chain begins; the gradient there must not be 0.
    expand : callable
        Flat draws, shape (n, size), to variables of the model, shape (n, ...).
    dims : mapping
        Variable to its dims.
    coords : mapping
        Dim to its labels.
    goals : mapping
        Variable to the bulk and tail effective draws each of its elements should have.
    single : frozenset of str
        Variables whose draws are kept in float32.
    """

    size: int
    density: Native | PythonDensity
    starts: Array
    expand: Callable[[Array], Expanded]
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    coords: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    single: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How a chain finds its step size and mass matrix in the warm-up.

    Attributes
    ----------
    tune : int
        Warm-up draws.
    form : {"diag", "low_rank"}
        Form of the mass matrix.
    target_accept : float
        Mean acceptance the step size aims at.
    initial_step : float
        First step size.
    max_treedepth : int
        Most doublings of a trajectory.
    options : mapping
        Further settings of nutpie by name, such as ``early_window``.
    """

    tune: int = 300
    form: Literal["diag", "low_rank"] = "diag"
    target_accept: float = 0.8
    initial_step: float = 0.1
    max_treedepth: int = 10
    options: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, *, seed: int, draws: int) -> Any:
        """Return nutpie's settings of one chain."""
        from nutpie import _lib

        make = {"diag": _lib.PyNutsSettings.Diag, "low_rank": _lib.PyNutsSettings.LowRank}[self.form]
        found = make(seed)
        found.update({"num_tune": self.tune, "num_draws": draws, "num_chains": 1, "target_accept": self.target_accept,
                      "initial_step": self.initial_step, "maxdepth": self.max_treedepth, **self.options})
        return found


class Store(Protocol):
    """Where draws are written as they come."""

    def append(self, start: int, draws: Expanded, stats: Expanded, last: Array) -> None:
        """Write draws, shape (draw, chain, ...), statistics, shape (draw, chain), from a position on, and the last flat draws."""

    def finish(self, *, complete: bool, notes: tuple[str, ...]) -> None:
        """Say that the run has ended."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """What a run gave.

    Attributes
    ----------
    draws : mapping
        Variable to draws of shape (chain, draw, ...), in the model's own parameters.
    stats : mapping
        Statistic of the sampler to values of shape (chain, draw).
    last : array, shape (chain, size)
        Unconstrained last draws, to go on from.
    step_size : array, shape (chain,)
        Step sizes after the warm-up.
    gradients : mapping
        Evaluations of the density, all chains together: ``tune`` and ``draws``.
    seconds : float
        Wall time.
    complete : bool
        False if the run was cut short by the clock or by hand.
    notes : tuple of str
        What the user should know of the run.
    """

    draws: Expanded
    stats: Expanded
    last: Array
    step_size: Array
    gradients: Mapping[str, int]
    seconds: float
    complete: bool
    notes: tuple[str, ...]

    def tree(self, target: Target) -> xr.DataTree:
        """Return the draws with dims and coordinates, as groups ``posterior`` and ``sample_stats``."""
        n_chain, n_draw = next(iter(self.stats.values())).shape
        index = {"chain": np.arange(n_chain), "draw": np.arange(n_draw)}
        dims = {name: target.dims.get(name) or tuple(f"{name}_dim_{i}" for i in range(values.ndim - 2))
                for name, values in self.draws.items()}
        used = {dim for each in dims.values() for dim in each}
        coords = {dim: list(labels) for dim, labels in target.coords.items() if dim in used}
        posterior = xr.Dataset({name: (("chain", "draw", *dims[name]), values) for name, values in self.draws.items()},
                               {**index, **coords})
        stats = xr.Dataset({name: (("chain", "draw"), values) for name, values in self.stats.items()}, index)
        return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


class Growing:
    """Arrays by name that grow along their first axis, in place where the system can, so that draws are not twice in memory."""

    def __init__(self, single: frozenset[str] = frozenset()) -> None:
        self.single = single
        self.arrays: dict[str, NDArray[Any]] = {}

    def put(self, start: int, chunk: Expanded) -> None:
        """Write values of shape (draw, chain, ...) from a position on."""
        for name, values in chunk.items():
            dtype = np.float32 if name in self.single else values.dtype
            array = self.arrays.setdefault(name, np.empty((0, *values.shape[1:]), dtype))
            end = start + len(values)
            if len(array) < end:
                array.resize((end, *values.shape[1:]), refcheck=False)
            array[start:end] = values

    def between(self, start: int, end: int) -> dict[str, NDArray[Any]]:
        """Return views of a range of draws, shape (draw, chain, ...)."""
        return {name: values[start:end] for name, values in self.arrays.items()}


class Collected:
    """What all chains have handed over: expanded draws, statistics, the last flat draws, evaluations in the warm-up."""

    def __init__(self, target: Target, chains: Chains, store: Store | None) -> None:
        self.target, self.chains, self.store = target, chains, store
        self.draws, self.stats = Growing(target.single), Growing()
        self.last = np.array(target.starts, dtype=np.float64)
        self.warm_up: list[int] = []
        self.suspects = Suspects()
        self.length = [0]

    def absorb(self, end: int) -> int:
        """Expand the draws that are new, up to a position; return how many there are then."""
        start = self.length[0]
        if end <= start:
            return start
        flat = self.chains.flat(start, end)
        expanded = self.target.expand(flat.reshape(-1, flat.shape[2]))
        found = self.chains.stats(STATS, self.chains.tune + start, self.chains.tune + end)
        self.draws.put(start, {name: np.reshape(values, (*flat.shape[:2], *np.shape(values)[1:]))
                               for name, values in expanded.items()})
        self.stats.put(start, {new: found[old] for old, new in STATS.items()})
        self.last[:] = flat[-1]
        if start == 0:
            self.warm_up.append(int(self.chains.stats(["n_steps"], 0, self.chains.tune)["n_steps"].sum()))
        if self.store is not None:
            self.store.append(start, self.draws.between(start, end), self.stats.between(start, end), self.last)
        self.chains.drop(end)
        self.length[0] = end
        return end

    def sampled(self, *, complete: bool, notes: tuple[str, ...], seconds: float) -> Sampled:
        """Return the result, chains first."""
        length = self.length[0]
        draws, stats = ({name: values.swapaxes(0, 1) for name, values in each.between(0, length).items()}
                        for each in (self.draws, self.stats))
        gradients = {"tune": sum(self.warm_up), "draws": int(stats["n_steps"].sum())}
        return Sampled(draws, stats, self.last, stats["step_size"][:, -1].copy(), gradients, seconds, complete, notes)


def sample(
    target: Target, *, seed: int, adaptation: Adaptation | None = None, draws: int | None = None, block: int = 250,
    most_draws: int = 5_000, cores: int | None = None, max_seconds: float | None = None, progress: bool = False,
    store: Store | None = None,
) -> Sampled:
    """Draw from a target, one chain from each of its starts.

    Parameters
    ----------
    target : Target
        The density, where to start, and the goals.
    seed : int
        The same seed gives the same draws.
    adaptation : Adaptation, optional
        Warm-up and step size.
    draws : int, optional
        Kept draws of each chain. By default as many blocks as the goals take.
    block : int
        Draws of each chain between two looks at the goals.
    most_draws : int
        Where to stop if the goals are not met.
    cores : int, optional
        How many chains run at the same time; by default as many as there are cores.
    max_seconds : float, optional
        When to stop with what all chains have; so does a keyboard interrupt. The result is marked incomplete.
    progress : bool
        Whether to print a line after every block.
    store : Store, optional
        Where draws are written as they come.

    Raises
    ------
    EngineError
        The density cannot be evaluated at a start, or the time was up before all chains had a draw.

    Examples
    --------
    >>> normal = Target(size=2, density=lambda: lambda q: (-0.5 * q @ q, -q), starts=np.ones((2, 2)),
    ...                 expand=lambda flat: {"x": flat}, goals={"x": 100})
    >>> sample(normal, seed=1).draws["x"].shape
    (2, 250, 2)
    """
    begin = time.perf_counter()
    adaptation = adaptation or Adaptation()
    n_chain = len(target.starts)
    most = draws if draws is not None else most_draws
    goals = target.goals if draws is None else None
    seeds = [int(each.generate_state(1, np.uint64)[0]) for each in np.random.SeedSequence(seed).spawn(n_chain)]
    settings = [adaptation.settings(seed=each, draws=most + 1) for each in seeds]
    chains = Chains(target.density, target.starts, settings, cores=cores, tune=adaptation.tune)
    collected = Collected(target, chains, store)
    try:
        reason = ""
        for length in _lengths(collected, block, most, deadline=None if max_seconds is None else begin + max_seconds):
            if progress:
                print(f"nuts: {n_chain} x {length} draws, {time.perf_counter() - begin:.1f} s", file=sys.stderr, flush=True)
            if goals is not None and met(collected.draws.between(0, length), goals, collected.suspects):
                break
        else:
            if collected.length[0] < most:
                reason = f"max_seconds={max_seconds:g} were over"
    except KeyboardInterrupt:
        reason = "it was interrupted"
        collected.absorb(min(chains.finished(), most))
    finally:
        chains.stop()
    length = collected.length[0]
    if length == 0:
        raise EngineError(f"{reason} before all chains had a draw", value=max_seconds, rule="a fit needs draws of every chain",
                          fix="Give it more time, or take fewer chains.")
    notes = _stopped(n_chain, length, most, reason) if reason else _fell_short(collected, goals or {}, most)
    if store is not None:
        store.finish(complete=not reason, notes=notes)
    return collected.sampled(complete=not reason, notes=notes, seconds=time.perf_counter() - begin)


def _lengths(collected: Collected, block: int, most: int, deadline: float | None) -> Iterator[int]:
    """Collect draws; yield how many there are after each block, until there are enough or the time is up."""
    chains, length = collected.chains, 0
    chunk = _chunk(block, collected.last.nbytes)
    while length < most:
        wanted = min(length + chunk, most)
        chains.allow(min(wanted + chunk, most))  # a chunk ahead, while others are behind or the goals are looked at
        length = collected.absorb(chains.wait(wanted, deadline))
        if length < wanted:
            return
        if length % block == 0 or length == most:
            yield length


def _chunk(block: int, draw_bytes: int) -> int:
    """Return how many draws of a chain are expanded at once: a whole part of a block."""
    largest = max(1, CHUNK_BYTES // draw_bytes)
    return max(each for each in range(1, block + 1) if block % each == 0 and each <= largest)


def _stopped(n_chain: int, length: int, most: int, reason: str) -> tuple[str, ...]:
    return (f"stopped early, because {reason}: {n_chain} chains with {length} of {most} draws are kept",)


def _fell_short(collected: Collected, goals: Mapping[str, float], most: int) -> tuple[str, ...]:
    length = collected.length[0]
    if length < most or not goals:
        return ()
    short = [f"{name} has {min(bulk, tail):.0f} of {goals[name]:.0f} effective draws (R-hat {r_hat:.3f})"
             for name, (bulk, tail, r_hat) in worst(collected.draws.between(0, length), goals).items()
             if min(bulk, tail) < goals[name] or r_hat > HIGHEST_R_HAT]
    return (f"stopped at {most} draws a chain before the goals were met: {'; '.join(short)}",) if short else ()
