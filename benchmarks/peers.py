"""Peers on PyMC: nutpie, `pm.sample`, NumPyro and PyMC's ADVI, on models written by hand. This package is not imported here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.handwritten import Form, write
from benchmarks.measure import Array, Outcome
from benchmarks.prepared import Ingredients
from benchmarks.task import Task

TUNE = 500
DRAWS = 500
POSTERIOR_DRAWS = 1000
MOST_STEPS = 200_000


def nutpie(task: Task, done: Callable[[], None], *, adaptation: str, form: Form) -> Outcome:
    """Sample a handwritten model with nutpie, one chain on each core."""
    import nutpie as package

    parts = Ingredients.load(task.folder / "ingredients.npz")
    begin = time.perf_counter()
    target = package.compile_pymc_model(write(parts, form))
    compiled, used = time.perf_counter(), time.process_time()
    settings = {"draws": task.draws or DRAWS, "tune": task.tune or TUNE, "chains": chains()}
    trace = package.sample(target, **settings, seed=task.seed, progress_bar=False, adaptation=adaptation, save_warmup=False)
    sampled = time.perf_counter()
    used = time.process_time() - used
    return finish(trace, parts, done, compiled - begin, sampled - compiled, settings, dimension=target.n_dim, sample_cpu=used)


def pm_sample(task: Task, done: Callable[[], None], *, sampler: str | None, form: Form) -> Outcome:
    """Run ``pm.sample`` with its defaults; without a sampler it chooses its own. What it does not call sampling is compiling."""
    import pymc as pm

    parts = Ingredients.load(task.folder / "ingredients.npz")
    settings = task.lengths()
    begin = time.perf_counter()
    with write(parts, form):
        trace = pm.sample(**settings, random_seed=task.seed, progressbar=False, nuts_sampler=sampler)
    whole = time.perf_counter() - begin
    compiling = max(0.0, whole - float(trace["posterior"].attrs.get("sampling_time", whole)))
    return finish(trace, parts, done, compiling, whole - compiling, settings)


def advi(task: Task, done: Callable[[], None], *, optimizer: Mapping[str, Any] | None, form: Form) -> Outcome:
    """Run PyMC's mean-field ADVI and look at it at doubled times, whose cost is taken out of the clock.

    Parameters
    ----------
    task, done : Task, callable
        As everywhere.
    optimizer : mapping, optional
        Arguments of ``pm.adam``; without, PyMC's default.
    form : str
        Parametrisation.
    """
    import pymc as pm

    parts = Ingredients.load(task.folder / "ingredients.npz")
    begin = time.perf_counter()
    with write(parts, form):
        inference = pm.ADVI(random_seed=task.seed)
        words = {} if optimizer is None else {"obj_optimizer": pm.adam(**optimizer)}
        inference.fit(1, progressbar=False, **words)
        inference.approx.sample(2, random_seed=1)
        compiled = time.perf_counter()
        clock, look, batch, steps, course = 0.0, 0.5, 100, 0, []
        while clock < 0.8 * task.budget and steps < min(task.draws or MOST_STEPS, MOST_STEPS):
            started = time.perf_counter()
            inference.refine(batch, progressbar=False)
            clock, steps = clock + time.perf_counter() - started, steps + batch
            if clock >= look:
                course.append({"seconds": clock, "steps": steps, **moments(inference, parts, task.seed)})
                look *= 1.5
    done()
    trace = inference.approx.sample(POSTERIOR_DRAWS, random_seed=task.seed)
    return Outcome(reported(trace, parts), compiled - begin, clock, settings={"steps": steps, "chains": 1}, course=tuple(course))


def moments(inference: Any, parts: Ingredients, seed: int) -> dict[str, Any]:
    """Return means and sds of the counted variables under an approximation."""
    found = reported(inference.approx.sample(POSTERIOR_DRAWS, random_seed=seed), parts)
    flat = {f"{name}[{j}]": values.reshape(POSTERIOR_DRAWS, -1)[:, j] for name, values in found.items()
            for j in range(values[0, 0].size)}
    return {"means": {name: float(each.mean()) for name, each in flat.items()},
            "sds": {name: float(each.std()) for name, each in flat.items()}}


def finish(
    trace: Any, parts: Ingredients, done: Callable[[], None], compiling: float, sampling: float, settings: Mapping[str, Any],
    dimension: int | None = None, sample_cpu: float | None = None,
) -> Outcome:
    """Summarise as a user would, then hand the draws back."""
    import arviz as az

    az.summary(trace["posterior"].to_dataset()[list(parts.counted)])
    done()
    stats, sizes = trace["sample_stats"], trace["posterior"].sizes
    lengths = {"chains": sizes["chain"], "draws": sizes["draw"]}
    return Outcome(reported(trace, parts), compiling, sampling, sample_cpu, dimension, settings={**settings, **lengths},
                   gradients=np.asarray(stats["n_steps"]) if "n_steps" in stats else None)


def reported(trace: Any, parts: Ingredients) -> dict[str, Array]:
    """Return the draws of the variables that count."""
    return {name: trace["posterior"][name].transpose("chain", "draw", ...).to_numpy() for name in parts.counted}


def chains() -> int:
    """Return one chain for each core, at least 2 and at most 4: tuning is paid by each."""
    import os

    return min(4, max(2, os.cpu_count() or 1))
