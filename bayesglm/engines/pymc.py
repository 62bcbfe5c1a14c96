"""Plain ``pm.sample`` on the model over rows: slow, independent of everything else here, and so the oracle."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import pymc as pm
import xarray as xr

from bayesglm.engines.engine import Engine, Run
from bayesglm.model import build
from bayesglm.specification import Problem


@dataclass(frozen=True, slots=True)
class PyMC(Engine):
    """``pm.sample`` with PyMC's own sampler.

    Parameters
    ----------
    draws, tune, chains : int
        As in ``pm.sample``.
    cores : int
        Processes.
    target_accept : float
        Mean acceptance the step size aims at.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    cores: int = 1
    target_accept: float = 0.9
    name: ClassVar[str] = "pymc"
    source: ClassVar[str] = "Salvatier, Wiecki and Fonnesbeck (2016), PeerJ Computer Science 2, e55"

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the posterior; see `Engine.run`."""
        model = build(problem)
        begin = time.perf_counter()
        tree = pm.sample(
            self.draws, tune=self.tune, chains=self.chains, cores=self.cores, random_seed=seed, progressbar=progress,
            quiet=not progress, nuts_sampler="pymc", target_accept=self.target_accept, model=model,
            compute_convergence_checks=False,
        )
        draws = xr.DataTree.from_dict({name: tree[name].to_dataset() for name in ("posterior", "sample_stats")})
        return Run(draws, {"sample": time.perf_counter() - begin})


MEMBER = PyMC()
