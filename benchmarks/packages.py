"""Packages with formulas of their own: Bambi, and through Rscript rstanarm, brms and glmmTMB, all with their defaults.

Their default priors are not ours, so their posteriors differ a little; what is measured is what a user of them gets.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Array, Outcome
from benchmarks.task import Task
from benchmarks.workloads import WORKLOADS

BAMBI_FAMILIES = {"negative_binomial": "negativebinomial", "poisson": "poisson", "bernoulli": "bernoulli",
                  "zero_inflated_negative_binomial": "zero_inflated_negativebinomial"}
R_SCRIPT = Path(__file__).with_name("packages.R")


def bambi(task: Task, done: Callable[[], None]) -> Outcome:
    """Fit by ``bambi.Model(...).fit()``."""
    import arviz as az
    import bambi as bmb
    import pandas as pd

    workload, table = WORKLOADS[task.workload], pd.read_parquet(task.folder / "table.parquet")
    begin = time.perf_counter()
    formula = bmb.Formula(workload.elsewhere, *([f"psi {workload.elsewhere_zero}"] if workload.elsewhere_zero else []))
    settings = task.lengths()
    trace = bmb.Model(formula, table, family=BAMBI_FAMILIES[workload.family]).fit(
        random_seed=task.seed, progressbar=False, **settings)
    whole = time.perf_counter() - begin
    posterior = trace["posterior"].to_dataset()
    small = [str(name) for name in posterior if "|" not in str(name) or str(name).endswith("_sigma")]
    az.summary(posterior[small])
    done()
    sampling = float(trace["posterior"].attrs.get("sampling_time", whole))
    draws = {name: posterior[name].transpose("chain", "draw", ...).to_numpy() for name in small}
    lengths = {"chains": posterior.sizes["chain"], "draws": posterior.sizes["draw"]}
    return Outcome(draws, max(0.0, whole - sampling), min(whole, sampling), settings={**settings, **lengths},
                   gradients=np.asarray(trace["sample_stats"]["n_steps"]), notes="its own default priors")


def in_r(task: Task, done: Callable[[], None], *, package: str) -> Outcome:
    """Fit by one of R's packages in a process of its own."""
    workload = WORKLOADS[task.workload]
    table, answer = task.folder / "table.csv", task.folder / f"{package}-{task.seed}.json"
    if not table.exists():
        import pandas as pd

        pd.read_parquet(task.folder / "table.parquet").to_csv(table, index=False)
    words = [package, str(table), workload.elsewhere, workload.elsewhere_zero, workload.family, str(task.seed),
             str(task.draws or 0), str(answer)]
    said = subprocess.run(["Rscript", "--vanilla", str(R_SCRIPT), *words], check=False, capture_output=True, text=True)
    if said.returncode:
        raise RuntimeError(" ".join(said.stderr.split())[-300:])
    found = json.loads(answer.read_text(encoding="utf-8"))
    done()
    return Outcome(_by_variable(found), float(found["compile"]), float(found["sample"]), notes=found["notes"],
                   settings=dict(found["settings"] or {}))


def _by_variable(found: dict[str, Any]) -> dict[str, Array]:
    """Return draws, which R writes as (draw, chain), with chains in front."""
    return {name: np.asarray(values, dtype=np.float64).T[..., None] for name, values in dict(found["draws"] or {}).items()}


def r_has(package: str) -> bool:
    """Whether Rscript is there and finds a package."""
    try:
        found = subprocess.run(["Rscript", "-e", f'cat(requireNamespace("{package}", quietly = TRUE))'], capture_output=True,
                               text=True, timeout=120)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return "TRUE" in found.stdout
