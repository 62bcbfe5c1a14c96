"""No-U-Turn sampling by nutpie, on the model's log density over cells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.density import LOCK_FREE_NUMBERS, Density, compile_density, without_lock
from bayesglm.engines.engine import Engine, Run
from bayesglm.errors import EngineError, suggestion
from bayesglm.model import build
from bayesglm.specification import Problem, starting_values

Array = NDArray[np.float64]
ADAPTATIONS = ("auto", "diag", "low_rank")
LOW_RANK_DIMENSIONS = 100


@dataclass(frozen=True, slots=True)
class Nuts(Engine):
    """The No-U-Turn sampler.

    Parameters
    ----------
    draws, tune : int
        Kept and warm-up draws of each chain.
    chains : int
        Number of chains.
    cores : int, optional
        Threads; by default as many as there are cores, or one where an evaluation is too short to share.
    target_accept : float
        Mean acceptance the step size aims at; raise it towards 1 when there are divergences.
    adaptation : {"auto", "diag", "low_rank"}
        Form of the mass matrix. Low rank follows the ridge between an intercept and its group effects, at a cost that grows with
        the cube of the dimension; "auto" takes it up to 100 dimensions.
    max_treedepth : int
        Most doublings of a trajectory.

    Examples
    --------
    >>> Nuts(draws=2000).settings()["draws"]
    2000
    """

    draws: int = 1000
    tune: int = 800
    chains: int = 4
    cores: int | None = None
    target_accept: float = 0.9
    adaptation: Literal["auto", "diag", "low_rank"] = "auto"
    max_treedepth: int = 10
    name: ClassVar[str] = "nuts"
    source: ClassVar[str] = "Hoffman and Gelman (2014), Journal of Machine Learning Research 15, 1593"

    def __post_init__(self) -> None:
        """Hold the settings to their rules."""
        Engine.__post_init__(self)
        if self.adaptation not in ADAPTATIONS:
            raise EngineError(f"adaptation={self.adaptation!r}", column="adaptation", value=self.adaptation,
                              rule=f"adaptation is one of {', '.join(ADAPTATIONS)}", fix=suggestion(self.adaptation, ADAPTATIONS))

    def mass_matrix(self, dimensions: int) -> str:
        """Return the form of the mass matrix for a density of so many dimensions."""
        if self.adaptation != "auto":
            return self.adaptation
        return "low_rank" if dimensions <= LOW_RANK_DIMENSIONS else "diag"

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the posterior; see `Engine.run`."""
        begin = time.perf_counter()
        density = compile_density(build(problem, over="cell"))
        start = flat_start(density, starting_values(problem))
        threads = self.cores
        if density.numbers > LOCK_FREE_NUMBERS:
            density = without_lock(density)
            density(start)
        else:
            threads = threads or 1  # threads that wait for Python's lock are slower than one
        compiled = time.perf_counter()
        flat, stats = replace(self, cores=threads).sample(density, start, seed=seed, progress=progress)
        sampled = time.perf_counter()
        flat, stats = finished(flat, stats)
        complete = flat.shape[:2] == (self.chains, self.draws)
        notes = () if complete else (
            f"stopped early: {flat.shape[0]} of {self.chains} chains with {flat.shape[1]} of {self.draws} draws are kept",)
        draws = to_datatree(density, flat, stats)
        seconds = {"compile": compiled - begin, "sample": sampled - compiled, "expand": time.perf_counter() - sampled}
        return Run(draws, seconds, complete, notes)

    def sample(
        self, density: Density, start: Array, *, seed: int, progress: bool,
    ) -> tuple[Array, dict[str, Array]]:
        """Run nutpie on a compiled density.

        Returns
        -------
        flat : array, shape (chain, draw, size)
            Unconstrained draws.
        stats : mapping
            Sampler statistics of shape (chain, draw).
        """
        import nutpie
        from nutpie.compiled_pyfunc import from_pyfunc

        target = from_pyfunc(
            density.size, lambda: density, _keep_flat, [np.dtype("float64")], [(density.size,)], ["flat"],
            make_initial_point_fn=lambda chain_seed: start + np.random.default_rng(chain_seed).uniform(-1, 1, start.size),
        )
        trace = nutpie.sample(
            target, draws=self.draws, tune=self.tune, chains=self.chains, cores=self.cores, seed=seed, progress_bar=progress,
            target_accept=self.target_accept, adaptation=self.mass_matrix(density.size), maxdepth=self.max_treedepth,
            save_warmup=False,
        )
        names = {"diverging": "diverging", "energy": "energy", "depth": "tree_depth", "n_steps": "n_steps",
                 "logp": "lp", "step_size": "step_size", "mean_tree_accept": "acceptance_rate"}
        found = trace["sample_stats"]
        stats = {new: np.asarray(found[old]) for old, new in names.items() if old in found}
        stats["reached_max_treedepth"] = np.asarray(found["depth"]) >= self.max_treedepth
        return np.asarray(trace["posterior"]["flat"]), stats


def _keep_flat(*_: Any) -> Callable[[Array], dict[str, Array]]:
    return lambda q: {"flat": np.array(q)}


def finished(flat: Array, stats: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    """Return the draws that a stopped run has in all its chains, without the chains that had hardly begun.

    Parameters
    ----------
    flat : array, shape (chain, draw, size)
        Draws; NaN where a chain did not get to.
    stats : mapping
        Sampler statistics of shape (chain, draw).

    Raises
    ------
    EngineError
        No chain has a draw.
    """
    lengths = np.isfinite(flat).all(axis=2).sum(axis=1)
    if not lengths.any():
        raise EngineError("stopped before the first draw", value="nuts", rule="a fit needs draws",
                          fix="Let it run, or take fewer tune and draws.")
    chains = np.flatnonzero(2 * lengths >= lengths.max())
    kept = int(lengths[chains].min())
    return flat[chains, :kept], {name: values[chains, :kept] for name, values in stats.items()}


def flat_start(density: Density, start: dict[str, float]) -> Array:
    """Return the flat vector where sampling starts: 0 for every coordinate, except those named."""
    parts = [np.full(shape, start.get(name, 0.0)) for name, shape in density.shapes.items()]
    return np.concatenate([part.ravel() for part in parts])


def to_datatree(density: Density, flat: Array, stats: dict[str, Array]) -> xr.DataTree:
    """Return draws in the model's own parameters as a DataTree.

    Parameters
    ----------
    density : Density
        The compiled density, which knows the way back.
    flat : array, shape (chain, draw, size)
        Unconstrained draws.
    stats : mapping
        Sampler statistics of shape (chain, draw).
    """
    chains, draws = flat.shape[:2]
    expanded = density.expand(flat.reshape(chains * draws, -1))
    variables: dict[str, Any] = {}
    used: set[str] = set()
    for name, values in expanded.items():
        dims = density.dims[name] or tuple(f"{name}_dim_{i}" for i in range(values.ndim - 1))
        used.update(dims)
        variables[name] = (("chain", "draw", *dims), values.reshape(chains, draws, *values.shape[1:]))
    coords = {"chain": np.arange(chains), "draw": np.arange(draws),
              **{dim: list(density.coords[dim]) for dim in used if dim in density.coords}}
    posterior = xr.Dataset(variables, coords)
    sample_stats = xr.Dataset({name: (("chain", "draw"), values) for name, values in stats.items()},
                              {"chain": np.arange(chains), "draw": np.arange(draws)})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": sample_stats})


MEMBER = Nuts()
