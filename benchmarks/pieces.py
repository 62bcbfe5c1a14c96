"""Pieces: a Parquet file of rows that are no cells, fitted in pieces, beside the full batch of the same rows.

    python -m benchmarks.pieces                                # a million rows: peak memory, and how far the estimates are apart
    python -m benchmarks.pieces --rows 1000000 10000000 --without-whole

Latencies and loads are continuous, so that no two rows are alike, and the rows come sorted by time. The file is fitted by
``minibatch_advi`` in one process; in another, all rows are in memory and the same approximation is found by full batches. Each
estimate is held against the other's in its sds. A line for each number of rows is added to build/benchmarks/pieces.jsonl.
"""

from __future__ import annotations

import argparse
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
BUILD = ROOT / "build" / "benchmarks"
BLOCK = 250_000
SERVICES = 40
FORMULA = "errors ~ deploy + log(latency) + load + (1 + deploy | service)"
COUNTED = ("Intercept", "beta", "sd_service", "concentration", "effect_service")
POINTS = 40


def write_rows(rows: int, path: Path, seed: int = 2) -> None:
    """Write telemetry with continuous covariates, sorted by time, a block at a time.

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
    level, slope = rng.normal(0, 0.5, SERVICES), rng.normal(0, 0.2, SERVICES)
    names = np.array([f"s{i:02d}" for i in range(SERVICES)])

    def simulate(start: int, n: int) -> dict[str, np.ndarray]:
        time_of = np.sort(rng.uniform(start, start + n, n)) / rows
        service, deploy = rng.integers(0, SERVICES, n), rng.random(n) < 0.2 + 0.2 * time_of
        latency, requests = rng.gamma(4, 0.25, n), rng.integers(50, 2_000, n).astype(np.float64)
        place = 0.5 * latency + rng.normal(size=n)
        eta = -5 + level[service] + (0.3 + slope[service]) * deploy + 0.25 * np.log(latency) + 0.1 * place
        errors = rng.poisson(requests * np.exp(eta) * rng.gamma(2, 0.5, n))
        return {"errors": errors, "requests": requests, "latency": latency, "load": place, "deploy": deploy.astype(np.int64),
                "service": names[service]}

    write_blocks(path, rows, BLOCK, simulate)


def in_pieces(path: Path, family: str, seed: int) -> dict[str, Any]:
    """Fit the file in pieces."""
    import bayesglm as bg

    begin = time.perf_counter()
    model = bg.Model(FORMULA, path, family, exposure="requests")
    made = time.perf_counter()
    fit = model.fit("minibatch_advi", seed=seed, progress=False)
    assert fit.verdict is not None
    return {"model": made - begin, "fit": time.perf_counter() - made, **{f"fit: {k}": v for k, v in fit.seconds.items()},
            "converged": bool(fit.draws["elbo"]["converged"].to_numpy()[-1]), "verdict": fit.verdict.summary,
            "notes": list(fit.notes), "estimates": _estimates({name: fit.stacked(name) for name in _counted(fit.specification)})}


def whole(path: Path, family: str, seed: int) -> dict[str, Any]:
    """Find the same approximation with all rows in memory: the full batch, without importance weights."""
    import polars as pl

    import bayesglm as bg
    from bayesglm.engines.approximation import Plan, compiled, nearest
    from bayesglm.engines.structured import prepare

    begin = time.perf_counter()
    priors = {line.name: line.prior for line in
              bg.Model(FORMULA, path, family, exposure="requests").problem.specification.priors.lines}
    model = bg.Model(FORMULA, pl.read_parquet(path), family, exposure="requests", priors=priors)
    made = time.perf_counter()
    prepared = prepare(model.problem, seed=seed)
    nothing = np.zeros(0, np.int64)
    found = nearest(prepared, compiled(prepared), Plan(nothing, nothing, POINTS, 50, 1), seed=seed, cores=None)
    eps = np.random.default_rng(seed).standard_normal((4_000, prepared.transported.size))
    variables = prepared.expand(found.best.normal.at(eps))
    return {"model": made - begin, "fit": time.perf_counter() - made, "converged": found.best.converged,
            "estimates": _estimates({name: variables[name] for name in _counted(model.problem.specification)})}


def _counted(specification: Any) -> list[str]:
    return [name for name in COUNTED if name in specification.reported()]


def _estimates(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: {"mean": np.ravel(each.mean(axis=0)).tolist(), "sd": np.ravel(each.std(axis=0)).tolist()}
            for name, each in variables.items()}


def shift(one: dict[str, Any], other: dict[str, Any]) -> tuple[float, str]:
    """Return the largest difference of two estimates in the sds of the second, and of which variable."""
    found = {name: float(np.max(np.abs(np.subtract(each["mean"], other[name]["mean"])) / other[name]["sd"]))
             for name, each in one.items()}
    worst = max(found, key=lambda name: found[name])
    return found[worst], worst


def compare(rows: int, family: str, *, budget: float, with_whole: bool, seed: int = 1) -> dict[str, Any]:
    """Fit the file in pieces and as a whole, each in a process of its own.

    Returns
    -------
    dict
        Seconds and peak memory of both, and ``shift``, the largest difference of their estimates in sds.
    """
    path = BUILD / "pieces" / f"telemetry-{rows}.parquet"
    write_rows(rows, path)
    found: dict[str, Any] = {"rows": rows, "family": family, "load_before": load()}
    for which in ("pieces", "whole") if with_whole else ("pieces",):
        found[which] = _child(which, path, family, seed, budget)
    estimates = [found.get(which, {}).pop("estimates", None) for which in ("pieces", "whole")]
    if None not in estimates:
        found["shift"], found["shift_of"] = shift(*estimates)
    return found


def _child(which: str, path: Path, family: str, seed: int, budget: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.pieces", "--part", which, str(path), family, str(seed)]
    try:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                              timeout=budget, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {budget:.0f} s"}
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1][:300]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main(words: list[str]) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pieces", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--family", default="negative_binomial", help="poisson or negative_binomial")
    parser.add_argument("--without-whole", action="store_true", help="leave the full batch out")
    parser.add_argument("--budget", type=float, default=3_600.0, metavar="SECONDS", help="of one process")
    parser.add_argument("--part", nargs=4, metavar=("WHICH", "PATH", "FAMILY", "SEED"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(words)
    if chosen.part:
        which, path, family, seed = chosen.part
        part = {"pieces": in_pieces, "whole": whole}[which](Path(path), family, int(seed))
        print(json.dumps({**part, "peak_mib": peak_mib(), "cpu": cpu_seconds()}))
        return
    for rows in chosen.rows:
        line = json.dumps(compare(rows, chosen.family, budget=chosen.budget, with_whole=not chosen.without_whole))
        print(line, flush=True)
        with (BUILD / "pieces.jsonl").open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
