"""Runs: children started one after the other, lengthened until they converge, kept as lines of JSON."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any

import psutil

from benchmarks.child import DONE, RESULT
from benchmarks.contenders import Contender
from benchmarks.prepared import prepare
from benchmarks.task import Task
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parents[1]
FIRST_DRAWS, MOST_DRAWS, WARM_UP = 500, 16_000, 20
OUR_FIRST_DRAWS = 250  # where only the wall counts, of a summary at the effective size that a run must have
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PACKAGES = ("bayesglm", "pymc", "pytensor", "nutpie", "numpyro", "jax", "bambi", "numpy")
Record = dict[str, Any]


def run(task: Task, *, threads: int | None) -> Record:
    """Run one task in a process of its own.

    Parameters
    ----------
    task : Task
        What to run; after its budget the process and its children are ended.
    threads : int, optional
        Threads of the linear algebra; None leaves the libraries their defaults, one for each core.

    Returns
    -------
    dict
        What the child measured, with ``wall`` from the start of the process to the summary, or ``error``.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={os.cpu_count()}"  # else JAX runs chains in turn
    environment |= {name: str(threads) for name in THREADS if threads is not None}
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", task.to_text()], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )
    stop = _Stop(process, task.budget)
    wall, found = None, None
    assert process.stdout is not None
    assert process.stderr is not None
    errors = _Drain(process.stderr)
    for line in process.stdout:
        if line.startswith(DONE):
            wall = time.perf_counter() - begin
        elif line.startswith(RESULT):
            found = json.loads(line.removeprefix(RESULT))
    process.wait()
    stop.cancel()
    if found is None:
        reason = f"not done after {task.budget:.0f} s" if stop.fired else errors.last()
        found = {"error": reason, "converged": False, "load": [os.getloadavg()[0]] * 2}
    return {"workload": task.workload, "contender": task.contender, "seed": task.seed, "draws": task.draws, "threads": threads,
            "rows": WORKLOADS[task.workload].rows, "wall": wall, "budget": task.budget, **found}


class _Stop:
    """Ends a process and its children after some seconds."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        self.process, self.fired = process, False
        self.timer = threading.Timer(seconds, self._fire)
        self.timer.start()

    def _fire(self) -> None:
        if self.process.poll() is None:
            self.fired = True
            os.killpg(self.process.pid, signal.SIGKILL)

    def cancel(self) -> None:
        """Let the process be."""
        self.timer.cancel()


class _Drain:
    """Reads a stream to its end beside the main thread and keeps the last lines."""

    def __init__(self, stream: Any) -> None:
        self.lines: deque[str] = deque(maxlen=20)
        self.thread = threading.Thread(target=lambda: self.lines.extend(stream), daemon=True)
        self.thread.start()

    def last(self) -> str:
        """Return the last line that says something."""
        self.thread.join(5)
        said = [line.strip() for line in self.lines if line.strip()]
        return said[-1][:300] if said else "ended without a word"


def attempts(
    contender: Contender, workload: str, directory: Path, *, repeats: int, budget: float, threads: Sequence[int | None],
    draws: int = FIRST_DRAWS,
) -> Iterator[Record]:
    """Yield the runs of one contender on one workload.

    ``draws`` are those of each chain that peers at their best begin with. Our samplers run until they meet their own goals, and
    once more from few draws on: the cold wall is that of a summary at the effective size that any run must have. A few draws fill
    the compile cache and are not counted. Then the draws are doubled until the first seed converges, and again until most seeds
    do, as long as another doubling fits into the budget.
    """
    task = Task(workload, contender.name, prepare(workload, directory), budget=budget)
    if contender.compiles:
        run(replace(task, draws=WARM_UP, tune=WARM_UP), threads=1)
    ours = (None, OUR_FIRST_DRAWS) if contender.lengthens else (None,)
    begins = {"best": (draws,), "ours": ours}.get(contender.capacity, (None,))
    for thread, first in product(threads, begins):
        current: Task | None = replace(task, draws=first)
        while current is not None:
            found = [run(current, threads=thread)]
            yield found[0]
            longer = next_draws(found[0], contender, budget)
            if longer is None and not found[0].get("error"):
                for seed in range(2, repeats + 1):
                    found.append(run(replace(current, seed=seed), threads=thread))
                    yield found[-1]
            if longer is None and not most_converged(found):
                longer = min((more for each in found if (more := next_draws(each, contender, budget))), default=None)
            current = None if longer is None else replace(current, draws=longer)


def most_converged(found: Sequence[Mapping[str, Any]]) -> bool:
    """Whether more than half of the seeds of a setting converged."""
    return 2 * sum(bool(each["converged"]) for each in found) > len(found)


def next_draws(found: Mapping[str, Any], contender: Contender, budget: float) -> int | None:
    """Return twice the draws of a run that has not converged, if that is asked for and fits.

    Parameters
    ----------
    found : mapping
        The run.
    contender : Contender
        Who ran.
    budget : float
        Seconds of one process.
    """
    if found["converged"] or found.get("error") or not contender.lengthens:
        return None
    settings = found["settings"]
    draws = 2 * int(settings.get("draws") or found["draws_kept"] // settings.get("chains", 4))
    fits = found["wall"] + found["sample"] * 1.2 < budget
    return draws if fits and draws <= MOST_DRAWS else None


def machine() -> Record:
    """Return where and when, in words that identify nobody."""
    model = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor())
    return {
        "cpu": model, "cores": psutil.cpu_count(), "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(), "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def append(path: Path, found: Record) -> None:
    """Add one line to the runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({**found, "machine": machine()})
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def read(path: Path) -> list[Record]:
    """Return the runs of a file, none if there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
