"""Child: one run in a process of its own, which ends with one line of JSON.

    python -m benchmarks.child '{"workload": ...}'

When the summary stands it prints `DONE`, and the parent reads the clock: that is the cold wall. What is measured after that costs
nobody anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.contenders import contender
from benchmarks.measure import Outcome, converged, cpu_seconds, gradients_on_standard_normal, load, peak_mib, quality
from benchmarks.task import Task

DONE, RESULT = "benchmark: summary stands", "benchmark: result "


def record(task: Task, outcome: Outcome, cost: Mapping[str, float], before: float) -> dict[str, Any]:
    """Return everything that is kept of a run."""
    found = quality(outcome.draws) if outcome.draws else {}
    return {
        "compile": outcome.compile, "sample": outcome.sample, "sample_cpu": outcome.sample_cpu,
        "dimension": outcome.dimension, "notes": outcome.notes,
        "settings": dict(outcome.settings), "course": list(outcome.course), **cost, "load": [before, load()],
        "converged": converged(found), **found, **gradients(task, outcome),
    }


def gradients(task: Task, outcome: Outcome) -> dict[str, float]:
    """Return gradients a draw, and for ours what nutpie needs on a standard normal of the same dimension."""
    if outcome.gradients is None:
        return {}
    found = {"gradients_per_draw": float(outcome.gradients.mean())}
    if contender(task.contender).capacity == "ours" and outcome.dimension and outcome.gradients.shape[0] > 1:
        found["gradients_on_standard_normal"] = gradients_on_standard_normal(outcome.dimension, outcome.settings)
    return found


def plain(value: object) -> object:
    """Turn NumPy's scalars and other mappings into what JSON can hold."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value)} has no place in a record")


def main() -> None:
    """Run the task on the command line."""
    task, before = Task.from_text(sys.argv[1]), load()
    costs: list[dict[str, float]] = []

    def done() -> None:
        print(DONE, flush=True)
        costs.append({"peak_mib": peak_mib(), "cpu": cpu_seconds()})

    outcome = contender(task.contender).run(task, done)
    print(RESULT + json.dumps(record(task, outcome, costs[0], before), default=plain), flush=True)


if __name__ == "__main__":
    main()
