"""Collected: what running chains have handed over so far, expanded into the variables of the model, and the result of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.chains import Chains
from bayesglm.engines.goals import Suspects
from bayesglm.engines.target import Adaptation, Array, Expanded, Target

STATS = {"diverging": "diverging", "energy": "energy", "depth": "tree_depth", "n_steps": "n_steps", "logp": "lp",
         "step_size": "step_size", "mean_tree_accept": "acceptance_rate", "maxdepth_reached": "reached_max_treedepth"}


class Store(Protocol):
    """Where draws are written as they come."""

    def adapted(self, adaptation: Adaptation) -> None:
        """Say which of several adaptations is kept."""

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
    form : str
        Form of the mass matrix.
    """

    draws: Expanded
    stats: Expanded
    last: Array
    step_size: Array
    gradients: Mapping[str, int]
    seconds: float
    complete: bool
    notes: tuple[str, ...]
    form: str

    def tree(self, target: Target) -> xr.DataTree:
        """Return the draws with dims and coordinates, as groups ``posterior`` and ``sample_stats``."""
        n_chain, n_draw = next(iter(self.stats.values())).shape
        index = {"chain": np.arange(n_chain), "draw": np.arange(n_draw)}
        dims = {name: target.dims_of(name, values.ndim - 2) for name, values in self.draws.items()}
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

    def __init__(self, target: Target, chains: Chains, adaptation: Adaptation) -> None:
        self.target, self.chains, self.adaptation = target, chains, adaptation
        self.draws, self.stats = Growing(target.single), Growing()
        self.last = np.array(target.starts, dtype=np.float64)
        self.warm_up = [0]
        self.suspects = Suspects()
        self.length, self.stored = [0], [0]

    def absorb(self, wanted: int, *, deadline: float | None = None, store: Store | None = None) -> int:
        """Wait until all chains have so many kept draws, or the time is up, and expand what is new; return how many there are."""
        return self._take(self.chains.wait(self.chains.tune + wanted, deadline) - self.chains.tune, store)

    def absorb_common(self, most: int, store: Store | None) -> int:
        """Expand what all chains have at this moment; return how many there are."""
        return self._take(min(self.chains.finished() - self.chains.tune, most), store)

    def _take(self, end: int, store: Store | None) -> int:
        if end > self.length[0]:
            self._expand(self.length[0], end)
            self.length[0] = end
            self.chains.drop(end)  # last: whatever an interrupt leaves undone, what is not counted yet is still there
        if store is not None:
            self.write(store)
        return self.length[0]

    def write(self, store: Store) -> None:
        """Write what is not in the store yet."""
        start, end = self.stored[0], self.length[0]
        if start == 0:
            store.adapted(self.adaptation)
        if end > start:
            store.append(start, self.draws.between(start, end), self.stats.between(start, end), self.last)
            self.stored[0] = end

    def _expand(self, start: int, end: int) -> None:
        flat = self.chains.flat(start, end)
        expanded = self.target.expand(flat.reshape(-1, flat.shape[2]))
        found = self.chains.stats(STATS, self.chains.tune + start, self.chains.tune + end)
        self.draws.put(start, {name: np.reshape(values, (*flat.shape[:2], *np.shape(values)[1:]))
                               for name, values in expanded.items()})
        self.stats.put(start, {new: found[old] for old, new in STATS.items()})
        self.last[:] = flat[-1]
        if start == 0:
            self.warm_up[0] = int(self.chains.stats(["n_steps"], 0, self.chains.tune)["n_steps"].sum())

    def sampled(self, *, complete: bool, notes: tuple[str, ...], seconds: float) -> Sampled:
        """Return the result, chains first."""
        length = self.length[0]
        draws, stats = ({name: values.swapaxes(0, 1) for name, values in each.between(0, length).items()}
                        for each in (self.draws, self.stats))
        gradients = {"tune": self.warm_up[0], "draws": int(stats["n_steps"].sum())}
        return Sampled(draws, stats, self.last, stats["step_size"][:, -1].copy(), gradients, seconds, complete, notes,
                       self.adaptation.form)
