"""Effective draws a second, the structured engine against plain `pm.sample`, on the same model in one process.

    python benchmarks/run.py            # ship incidents and simulated telemetry of 40 services
    python benchmarks/run.py --short    # ship incidents only

Seconds are wall-clock and include compiling, because a user waits for it; "sampling" is what an engine calls so, and
`pm.sample` compiles within it. ESS is the smallest over the coefficients and hyperparameters, bulk and tail; group
effects are left out because they are many and mix best. ESS/s is of all seconds.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import arviz as az
import numpy as np
import pandas as pd
import psutil

import bayesglm as bg

ENGINES = ("nuts", "pymc")


@dataclass(frozen=True, slots=True)
class Workload:
    """One model to fit: negative binomial counts of a table, over an exposure."""

    name: str
    formula: str
    exposure: str
    table: pd.DataFrame

    def model(self) -> bg.Model:
        """Return the model."""
        return bg.Model(self.formula, self.table, family="negative_binomial", exposure=self.exposure)


@dataclass(frozen=True, slots=True)
class Result:
    """What one fit cost and gave."""

    workload: str
    engine: str
    rows: int
    seconds: float
    sampling: float
    bulk: float
    tail: float


def ships() -> Workload:
    """Return the incidents of cargo ships: one grouping factor, the type of ship."""
    formula = "incidents ~ construction + period + (1 | ship_type)"
    return Workload("ships", formula, "service_months", bg.load_dataset("ship_incidents"))


def telemetry(rows: int = 2000, services: int = 40, seed: int = 1) -> Workload:
    """Return errors of simulated services: intercepts and deploy effects differ by service, with exposure."""
    rng = np.random.default_rng(seed)
    service = rng.integers(0, services, rows)
    deploy = rng.integers(0, 2, rows)
    requests = np.exp(rng.normal(6.0, 0.7, rows))
    level = rng.normal(-4.0, 0.7, services)
    slope = rng.normal(0.4, 0.3, services)
    mu = requests * np.exp(level[service] + slope[service] * deploy)
    table = pd.DataFrame(
        {
            "errors": rng.negative_binomial(2.0, 2.0 / (2.0 + mu)),
            "deploy": deploy,
            "service": [f"service-{each:02d}" for each in service],
            "requests": requests,
        }
    )
    return Workload("telemetry", "errors ~ deploy + (1 + deploy | service)", "requests", table)


def smallest_ess(fit: bg.Fit, method: str) -> float:
    """Return the smallest ESS over everything that is no group effect and no value for each row."""
    posterior = fit.draws["posterior"].to_dataset()
    small = [str(name) for name in posterior if not re.search(r"(^|_)(effect|z|partial)_", str(name))]
    ess = az.ess(posterior[small], method=method)
    return float(min(np.nanmin(ess[name].values) for name in small))


def measure(workload: Workload, engine: str) -> Result:
    """Fit once and count."""
    started = time.perf_counter()
    fit = workload.model().fit(seed=1, engine=engine)
    seconds = time.perf_counter() - started
    bulk, tail = smallest_ess(fit, "bulk"), smallest_ess(fit, "tail")
    return Result(workload.name, engine, len(workload.table), seconds, fit.seconds["sample"], bulk, tail)


def lines(results: list[Result]) -> Iterator[str]:
    """Yield the table; the ratio is to plain `pm.sample` on the same workload."""
    plain = {each.workload: min(each.bulk, each.tail) / each.seconds for each in results if each.engine == "pymc"}
    heads = ("seconds", "sampling", "ESS bulk", "ESS tail", "ESS/s", "ratio")
    yield f"{'workload':<12}{'rows':>7}  {'engine':<8}" + "".join(f"{each:>10}" for each in heads)
    for each in results:
        rate = min(each.bulk, each.tail) / each.seconds
        yield (
            f"{each.workload:<12}{each.rows:>7}  {each.engine:<8}{each.seconds:>10.1f}{each.sampling:>10.1f}"
            f"{each.bulk:>10.0f}{each.tail:>10.0f}{rate:>10.1f}{rate / plain[each.workload]:>10.1f}"
        )


def main() -> None:
    """Run the workloads and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="ship incidents only")
    workloads = (ships,) if parser.parse_args().short else (ships, telemetry)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"{psutil.cpu_count()} cores, load {load:.1f}, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"Python {platform.python_version()}"
    )
    results = [measure(make(), engine) for make in workloads for engine in ENGINES]
    print("\n".join(lines(results)))


if __name__ == "__main__":
    main()
