"""Grouped: many rows that are few cells, from a Parquet file made beforehand.

40 services, 24 hours, 7 days, 2 deploy states, 4 regions: 53,760 distinct covariate rows, however many rows there are. Our fit of
the file is held against our fit of the table already grouped, plus Polars' own group-by of the same file, timed beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import cpu_seconds, load, peak_mib
from benchmarks.parquet import write_blocks

ROOT = Path(__file__).parents[1]
ROWS = (1_000_000, 10_000_000)
BLOCK = 1_000_000
KEYS = ("service", "hour", "day", "deploy", "region")
FORMULA = "errors ~ deploy + sin + cos + C(day) + region + (1 + deploy || service)"
PARTS = ("group-by", "cells", "rows")


def write_rows(rows: int, path: Path, seed: int = 1) -> None:
    """Write telemetry with discrete covariates, a million rows at a time.

    Parameters
    ----------
    rows : int
        How many.
    path : Path
        The Parquet file; it is left alone if it is there.
    seed : int
        Of the table.
    """
    rng = np.random.default_rng(seed)
    level, slope = rng.normal(0, 0.7, 40), rng.normal(0.4, 0.2, 40)
    weekday, place = np.array([0, 0, 0.1, 0.1, 0, -0.4, -0.5]), np.array([0.0, 0.2, -0.3, 0.1])
    service_names, region_names = np.array([f"s{i:02d}" for i in range(40)]), np.array([f"r{i}" for i in range(4)])

    def simulate(_start: int, n: int) -> dict[str, np.ndarray]:
        service, hour, day = rng.integers(0, 40, n), rng.integers(0, 24, n), rng.integers(0, 7, n)
        deploy, region = rng.integers(0, 2, n), rng.integers(0, 4, n)
        exposure, phase = 10.0 * rng.integers(1, 20, n), 2 * np.pi * hour / 24
        eta = -4 + level[service] + slope[service] * deploy + 0.5 * np.sin(phase) + weekday[day] + place[region]
        return {"errors": rng.poisson(exposure * np.exp(eta)), "requests": exposure, "hour": hour, "day": day, "deploy": deploy,
                "service": service_names[service], "region": region_names[region], "sin": np.sin(phase).round(12),
                "cos": np.cos(phase).round(12)}

    write_blocks(path, rows, BLOCK, simulate)


def grouped_frame(path: Path) -> Any:
    """Return sums of errors and requests by covariates, by Polars."""
    import polars as pl

    sums = [pl.col("errors").sum(), pl.col("requests").sum()]
    return pl.scan_parquet(path).group_by(*KEYS, "sin", "cos").agg(sums).sort(*KEYS).collect()


def fit(path: Path, engine: str) -> dict[str, float]:
    """Fit our model of a Parquet file and say what each part took."""
    import polars as pl

    import bayesglm as bg

    begin = time.perf_counter()
    table = pl.read_parquet(path)
    loaded = time.perf_counter()
    model = bg.Model(FORMULA, table, "poisson", exposure="requests")
    formulated = time.perf_counter()
    result = model.fit(engine, seed=1, progress=False)
    result.summary()
    end = time.perf_counter()
    parts = {f"fit: {name}": seconds for name, seconds in result.seconds.items()}
    return {"total": end - begin, "read": loaded - begin, "model": formulated - loaded, "fit": end - formulated, **parts,
            "cells": float(model.problem.patterns.table.rows), "rows": float(len(table))}


def part(which: str, path: Path, engine: str) -> dict[str, float]:
    """Do one part of the comparison in this process."""
    if which == "group-by":
        begin = time.perf_counter()
        frame = grouped_frame(path)
        seconds = time.perf_counter() - begin
        frame.write_parquet(_cells_path(path))
        return {"total": seconds, "cells": float(len(frame))}
    return fit(path if which == "rows" else _cells_path(path), engine)


def _cells_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-cells.parquet")


def compare(rows: int, directory: Path, *, budget: float, engine: str = "nuts") -> dict[str, Any]:
    """Time the fit of all rows, the group-by, and the fit of the cells, each in a process of its own.

    Returns
    -------
    dict
        The parts' seconds and peak memory, and ``ratio``: total over (fit of the cells + group-by).
    """
    path = directory / "grouped" / f"telemetry-{rows}.parquet"
    write_rows(rows, path)
    found: dict[str, Any] = {"workload": f"grouped-poisson-{rows}", "contender": f"bayesglm:{engine}", "load_before": load()}
    failed: dict[str, Any] = {}
    for which in PARTS:
        if not failed:
            _child(which, path, engine, budget)  # fills the compile cache, and the file system's
        found[which] = failed or _child(which, path, engine, budget)
        failed = found[which] if "error" in found[which] else {}
        print(f"{rows:>12,} rows  {which:<10}" + json.dumps(found[which]), flush=True)
    if all("total" in found[which] for which in PARTS):
        found["ratio"] = found["rows"]["total"] / (found["cells"]["total"] + found["group-by"]["total"])
    return found


def _child(which: str, path: Path, engine: str, budget: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.grouped", which, str(path), engine]
    try:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                              timeout=budget, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {budget:.0f} s"}
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1][:300]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Do one part, as the command line says, and print it."""
    which, path, engine = sys.argv[1:]
    found = part(which, Path(path), engine)
    print(json.dumps({**found, "peak_mib": peak_mib(), "cpu": cpu_seconds()}))


if __name__ == "__main__":
    main()
