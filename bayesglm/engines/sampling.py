"""The sampling loop: several chains of nutpie's No-U-Turn sampler on any log density, in blocks of fixed size.

Whoever has a density makes a `Target`; `sample` draws from it. Chains run on threads of their own. After every block that all
chains have, the draws (in the model's own parameters) are held against the target's goals, and the run stops at the first block
that meets them. This is decided from the draws alone: the same seed gives the same draws whatever the clock or the number of
threads, and a run that is cut short returns the first draws of the whole one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
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


class Kept:
    """The draws so far, variable by variable, in arrays that grow in place."""

    def __init__(self, single: frozenset[str]) -> None:
        self.single = single
        self.arrays: dict[str, NDArray[Any]] = {}
        self.lengths = [0]

    def put(self, start: int, chunk: Expanded) -> None:
        """Write draws of shape (draw, chain, ...) from a position on."""
        for name, values in chunk.items():
            dtype = np.float32 if name in self.single else values.dtype
            array = self.arrays.setdefault(name, np.empty((0, *values.shape[1:]), dtype))
            end = start + len(values)
            if len(array) < end:
                array.resize((end, *values.shape[1:]), refcheck=False)  # in place where the system can, so not twice in memory
            array[start:end] = values

    def first(self, n: int) -> dict[str, NDArray[Any]]:
        """Return the first draws of all chains, shape (draw, chain, ...)."""
        return {name: values[:n] for name, values in self.arrays.items()}


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
    deadline = None if max_seconds is None else begin + max_seconds
    chunk = _chunk(block, n_chain * target.size * 8)
    kept, stats, suspects = Kept(target.single), Kept(frozenset()), Suspects()
    last = np.array(target.starts, dtype=np.float64)
    reason, length = "", 0
    seeds = [int(each.generate_state(1, np.uint64)[0]) for each in np.random.SeedSequence(seed).spawn(n_chain)]
    settings = [adaptation.settings(seed=each, draws=most + 1) for each in seeds]
    chains = Chains(target.density, last, settings, cores=cores, tune=adaptation.tune)
    warm_up = 0
    try:
        while length < most:
            wanted = min(length + chunk, block * (length // block + 1), most)
            chains.allow(min(wanted + chunk, most))  # a chunk ahead, while others are behind or the goals are looked at
            got = chains.wait(wanted, deadline)
            length = _absorb(target, chains, kept, stats, last, length, got, store)
            if length > 0 and warm_up == 0:
                warm_up = int(chains.stats(["n_steps"], 0, adaptation.tune)["n_steps"].sum())
            if got < wanted:
                reason = f"max_seconds={max_seconds:g} were over"
                break
            if length % block == 0 or length == most:
                _tell(progress, length, n_chain, begin)
                if draws is None and met(kept.first(length), target.goals, suspects):
                    break
    except KeyboardInterrupt:
        reason = "it was interrupted"
        length = _absorb(target, chains, kept, stats, last, length, min(chains.finished(), most), store)
    finally:
        chains.stop()
    if length == 0:
        raise EngineError(f"{reason} before all chains had a draw", value=max_seconds, rule="a fit needs draws of every chain",
                          fix="Give it more time, or take fewer chains.")
    notes = _notes(target, kept.first(length), reason, length=length, wanted=draws, most=most)
    if store is not None:
        store.finish(complete=not reason, notes=notes)
    found = {name: values.swapaxes(0, 1) for name, values in stats.first(length).items()}
    return Sampled(
        draws={name: values.swapaxes(0, 1) for name, values in kept.first(length).items()}, stats=found, last=last,
        step_size=found["step_size"][:, -1],
        gradients={"tune": warm_up, "draws": int(found["n_steps"].sum())},
        seconds=time.perf_counter() - begin, complete=not reason, notes=notes,
    )


def _chunk(block: int, draw_bytes: int) -> int:
    """Return how many draws of a chain are expanded at once: a whole part of a block."""
    largest = max(1, CHUNK_BYTES // draw_bytes)
    return max(each for each in range(1, block + 1) if block % each == 0 and each <= largest)


def _absorb(
    target: Target, chains: Chains, kept: Kept, stats: Kept, last: Array, start: int, end: int, store: Store | None,
) -> int:
    """Move the draws from start to end from the chains to what is kept; return how many are kept."""
    if end <= start:
        return start
    flat = chains.flat(start, end)
    expanded = target.expand(flat.reshape(-1, flat.shape[2]))
    chunk = {name: np.asarray(values).reshape(*flat.shape[:2], *np.shape(values)[1:]) for name, values in expanded.items()}
    found = chains.stats(STATS, chains.tune + start, chains.tune + end)
    statistics = {new: found[old] for old, new in STATS.items()}
    kept.put(start, chunk)
    stats.put(start, statistics)
    last[:] = flat[-1]
    if store is not None:
        store.append(start, {name: values[start:end] for name, values in kept.first(end).items()}, statistics, last)
    chains.drop(end)
    return end


def _notes(
    target: Target, draws: Expanded, reason: str, *, length: int, wanted: int | None, most: int,
) -> tuple[str, ...]:
    n_chain = len(target.starts)
    if reason:
        return (f"stopped early, because {reason}: {n_chain} chains with {length} of {'at most ' if wanted is None else ''}{most}"
                " draws are kept",)
    if wanted is not None or length < most:
        return ()
    goals = target.goals
    short = [f"{name} has {min(bulk, tail):.0f} of {goals[name]:.0f} effective draws (R-hat {r_hat:.3f})"
             for name, (bulk, tail, r_hat) in worst(draws, goals).items()
             if min(bulk, tail) < goals[name] or r_hat > HIGHEST_R_HAT]
    return (f"stopped at {n_chain} x {most} draws before the goals were met: {'; '.join(short)}",) if short else ()


def _tell(progress: bool, length: int, n_chain: int, begin: float) -> None:  # noqa: FBT001
    if progress:
        print(f"nuts: {n_chain} chains, {length} draws each, {time.perf_counter() - begin:.1f} s", file=sys.stderr, flush=True)
