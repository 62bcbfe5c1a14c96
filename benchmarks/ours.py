"""Ours: one fit by `bayesglm.Model.fit`, from the table to the summary."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Outcome
from benchmarks.task import Task


def fit(task: Task, done: Callable[[], None], *, engine: str) -> Outcome:
    """Fit with an engine and its own defaults, lengthened where the task says so.

    Parameters
    ----------
    task : Task
        The workload, seed and draws.
    done : callable
        Called when the summary stands.
    engine : str
        Name of the engine.
    """
    import pandas as pd

    from bayesglm.checks.check import Check
    from bayesglm.engines import Engine
    from bayesglm.registry import discover
    from benchmarks.prepared import counted
    from benchmarks.workloads import WORKLOADS

    member = discover("bayesglm.engines", Engine)[engine]
    begin = time.perf_counter()
    model = WORKLOADS[task.workload].model(pd.read_parquet(task.folder / "table.parquet"))
    formulated = time.perf_counter() - begin
    settings: dict[str, Any] = {name: value for name, value in task.lengths().items() if name in member.settings()}
    result = model.fit(engine, seed=task.seed, progress=False, **settings)
    result.summary()
    done()
    posterior, stats = result.draws["posterior"], result.draws.get("sample_stats", {})
    draws = {name: posterior[name].transpose("chain", "draw", ...).to_numpy() for name in counted(model.problem.specification)}
    seconds = {name: value for name, value in result.seconds.items() if name != "total"}
    compiling = seconds.pop("compile", 0.0)
    check = discover("bayesglm.checks", Check)["convergence"]
    chains, kept = next(iter(draws.values())).shape[:2]
    chosen = {name: value for name, value in result.settings.items() if isinstance(value, int | float | str)}
    return Outcome(
        draws, compiling, sum(seconds.values()), dimension=sum(value.size for value in model.pymc.initial_point().values()),
        gradients=np.asarray(stats["n_steps"]) if "n_steps" in stats else None, notes="; ".join(result.notes),
        settings={**chosen, "chains": chains, "draws": kept, "verdict": check.run(result, 0).verdict, "formulate": formulated,
                  **{f"{name} s": value for name, value in result.seconds.items()}},
    )
