"""Mixtures against scikit-learn's BayesianGaussianMixture, and what they promise of memory, scoring, counts and coverage.

    python -m benchmarks.mixtures                 # speed, scoring, memory: a few minutes
    python -m benchmarks.mixtures --short         # the same on smaller tables, about a minute
    python -m benchmarks.mixtures components      # how often the number of components is found: 800 fits, an hour
    python -m benchmarks.mixtures coverage        # how often 90% intervals of weights and means hold the truth
    python -m benchmarks.mixtures components coverage --minutes 9    # as far as that goes; the next call goes on from there

Every comparison is made in one process on one table, and every line says what was measured. Data are simulated with a seed.
The two studies append a line for every fit to docs/benchmarks/mixtures.jsonl, and fit no table whose line is there: delete the
file to begin anew.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import mixture_studies
from benchmarks.mixture_studies import columns, simulate

LIMIT = 15
TRUTH = 10
NEAR = 0.001  # nats a row: as good as the final score


def seconds(task: Callable[[], object], repeat: int = 1) -> float:
    """Return the shortest time of a task."""
    best = np.inf
    for _ in range(repeat):
        begin = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - begin)
    return best


def peer(data: np.ndarray, held: np.ndarray) -> dict[str, float]:
    """Fit scikit-learn's mixture until it has converged, with the faster number of BLAS threads."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture
    from threadpoolctl import threadpool_limits

    def mixture(**options):
        return BayesianGaussianMixture(
            n_components=LIMIT, weight_concentration_prior_type="dirichlet_process", random_state=1, **options)

    warnings.simplefilter("ignore", ConvergenceWarning)
    timed = {}
    for threads in (1, os.cpu_count() or 1):
        with threadpool_limits(threads):
            timed[threads] = seconds(lambda: mixture(max_iter=4).fit(data))
    threads = min(timed, key=lambda each: timed[each])
    with threadpool_limits(threads):
        whole = mixture(max_iter=5000)
        took = seconds(lambda: whole.fit(data))
        final = whole.score(held)
        stepwise, near = mixture(max_iter=5, warm_start=True), 0.0
        for _ in range(1000):
            near += seconds(lambda: stepwise.fit(data))
            if stepwise.score(held) >= final - NEAR:
                break
        step = seconds(lambda: whole._m_step(data, whole._e_step(data)[1]), 3)
    return {"threads": threads, "seconds": took, "sweeps": whole.n_iter_, "converged": whole.converged_, "score": final,
            "near": near, "active": int((whole.weights_ > 1 / len(data)).sum()), "sweep": step}


def speed(rows: int, size: int) -> None:
    """Time to convergence, held-out density and number of components, and one sweep beside plain matrix products."""
    from bayesglm.mixtures import Mixture
    from bayesglm.mixtures.expectation import sweep
    from bayesglm.mixtures.learning import rows_and_bases

    data, _, _ = simulate(TRUTH, size, rows + rows // 5, 1)
    data, held = data[:rows], data[rows:]
    table = columns(data)
    first = seconds(lambda: Mixture(["x0", "x1"], columns(data[:500, :2])).fit(seed=1))
    print(f"first fit of a process (500 rows, compiling or loading kernels included): {first:.2f} s")
    took = seconds(lambda: Mixture(list(table), table, max_components=LIMIT).fit(seed=1), 3)
    fit = Mixture(list(table), table, max_components=LIMIT).fit(seed=1)
    score = float(fit.score(columns(held)).mean())
    print(f"bayesglm      {took:7.2f} s  converged {fit.found.climb.converged}  components {fit.posterior.size} of {TRUTH}  "
          f"held-out {score:.4f}")
    features, _, _ = rows_and_bases(fit.parts, fit.table)
    posterior = fit.posterior
    ours = seconds(lambda: sweep(posterior.natural, posterior.params, features), 15)
    shares = np.ascontiguousarray(fit.responsibilities(table).T)
    turned = np.ascontiguousarray(posterior.natural.T)
    products = seconds(lambda: (features.features @ turned, shares @ features.features), 15)
    print(f"one sweep     {ours:7.4f} s  plain matrix products {products:.4f} s  ratio {ours / products:.2f} (at most 1)")
    other = peer(data, held)
    print(f"scikit-learn  {other['seconds']:7.2f} s  converged {other['converged']} after {other['sweeps']} sweeps of "
          f"{other['sweep']:.3f} s  components {other['active']}  held-out {other['score']:.4f}  BLAS threads {other['threads']}")
    print(f"ratio to convergence {other['seconds'] / took:.1f} (at least 20); to the moment within {NEAR} nat of its final score "
          f"{other['near'] / took:.1f} ({other['near']:.2f} s)")
    print(f"held-out difference {score - other['score']:+.4f} nat a row (at least 0)")
    bulk = seconds(lambda: fit.score(table), 3)
    print(f"fit.score     {rows / bulk:,.0f} rows/s")


MEMORY = """
import sys, time
import narwhals, numpy, pandas, pyarrow.dataset, pyarrow.parquet
from bayesglm.mixtures import Mixture
def now(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1]) / 1024
before, begin = now("VmRSS"), time.perf_counter()
fit = Mixture([f"x{j}" for j in range(10)], sys.argv[1], max_components=12).fit(seed=1)
print(now("VmHWM") - before, time.perf_counter() - begin, fit.posterior.size, fit.schema.rows)
"""


def write_parquet(path: Path, rows: int) -> None:
    """Write rows of 8 components and 10 columns, a piece at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data, _, _ = simulate(8, 10, min(rows, 250_000), 1)
    rng = np.random.default_rng(2)
    schema = pa.schema([(f"x{j}", pa.float64()) for j in range(10)])
    with pq.ParquetWriter(path, schema) as file:
        for start in range(0, rows, len(data)):
            piece = data[rng.permutation(len(data))[:rows - start]] + rng.normal(0, 1e-3, (min(len(data), rows - start), 10))
            file.write_table(pa.table(columns(piece), schema=schema))


def memory(sizes: tuple[int, ...]) -> None:
    """Memory above import of fits from Parquet, each in a process of its own."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            path = Path(folder) / "rows.parquet"
            write_parquet(path, rows)
            done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
            peak, took, found, read = map(float, done.stdout.split())
            peaks.append(peak)
            print(f"Parquet {read:12,.0f} x 10: {peak:6.0f} MB above import (under 1000), {took:6.1f} s, "
                  f"{found:.0f} components of 8")
    print(f"largest over smallest {max(peaks) / min(peaks):.3f} (at most 1.10)")


def scoring(rows: int) -> None:
    """Time the exported scorer, one row at a time and in bulk, at 20 columns and 10 components of each kind."""
    rng = np.random.default_rng(4)
    data, _, _ = simulate(10, 20, rows, 3)
    kind, rates = rng.integers(0, 10, rows), rng.gamma(2.0, 5.0, (10, 20))
    counts = rng.poisson(rates[kind])
    wide = rng.poisson(rates[kind] * rng.gamma(3.0, 1 / 3.0, (rows, 20)))
    zone = {f"zone{j}": np.array(list("abc"))[(kind + j) % 3] for j in range(2)}
    both = columns(data[:, :14]) | {f"n{j}": counts[:, j] for j in range(2)} | {f"m{j}": wide[:, j] for j in range(2)} | zone
    given = {"n0": "poisson", "n1": "poisson", "m0": "negative_binomial", "m1": "negative_binomial"}
    heavy = data + 0.5 * rng.standard_t(4, data.shape)
    for name, table, component in (
            ("gaussian", columns(data), "gaussian"), ("student_t", columns(heavy), "student_t"),
            ("poisson", columns(counts), "poisson"), ("negative_binomial", columns(wide), "negative_binomial"),
            ("14 gaussian, 4 counts, 2 categorical", both, given)):
        exported(name, table, component)
    hours = rng.uniform(0.5, 2, rows)
    over = {kind_of: rng.poisson(rates[kind] * hours[:, None] * spread) for kind_of, spread in (
        ("poisson", 1.0), ("negative_binomial", rng.gamma(3.0, 1 / 3.0, (rows, 20))))}
    for component, found in over.items():
        exported(f"{component}, exposures of their own", columns(found) | {"hours": hours}, component, "hours")


def exported(name: str, table: dict[str, np.ndarray], component: str | dict[str, str], exposure: str | None = None) -> None:
    """Time the exported scorer of one table."""
    from bayesglm.mixtures import Mixture
    from bayesglm.mixtures.scorer import Scorer

    few, first = ({column: values[:end] for column, values in table.items()} for end in (20_000, 1000))
    described = [column for column in table if column != exposure]
    fit = Mixture(described, few, max_components=12, component=component, exposure=exposure).fit(seed=1)
    with tempfile.TemporaryDirectory() as folder:
        fit.export(Path(folder) / "scorer.npz")
        scorer = Scorer.load(Path(folder) / "scorer.npz")
    difference = np.abs(scorer.score(first) - fit.score(first)).max()
    single = [{column: values[n:n + 1] for column, values in table.items()} for n in range(3000)]
    times = np.array([seconds(lambda row=row: scorer.score(row)) for row in single])
    rows = len(next(iter(table.values())))
    bulk = seconds(lambda: scorer.score(table), 3)
    print(f"exported scorer, {len(described)} columns ({name}), {fit.posterior.size} components: one row p95 "
          f"{1e3 * np.quantile(times, 0.95):.3f} ms (below 1), bulk {rows / bulk:,.0f} rows/s (at least 500,000), "
          f"largest difference {difference:.1e} (at most 1e-10)")


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["speed", "scoring", "memory", "components", "coverage"])
    parser.add_argument("--short", action="store_true", help="small tables, about a minute")
    parser.add_argument("--seeds", type=int, default=100, help="of the studies of components and coverage")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 5, 10, 20], help="true numbers of components")
    parser.add_argument("--minutes", type=float, default=np.inf, help="after which no further fit of a study is begun")
    given = parser.parse_args()
    parts = given.parts or ["speed", "scoring", "memory"]
    short, until = given.short, time.monotonic() + 60 * given.minutes

    def told(study: mixture_studies.Study) -> None:
        for line in study.run(until):
            print(line, flush=True)

    tasks = {
        "speed": lambda: speed(*((10_000, 4) if short else (100_000, 8))),
        "scoring": lambda: scoring(30_000 if short else 500_000),
        "memory": lambda: memory((300_000, 600_000) if short else (1_000_000, 10_000_000)),
        "components": lambda: told(mixture_studies.components(given.counts, given.seeds, 8_000 if short else 50_000)),
        "coverage": lambda: told(mixture_studies.coverage((8.0, 3.0), given.seeds, 2000)),
    }
    print(f"{os.cpu_count()} processors, numpy {np.__version__}, pandas {pd.__version__}")
    for part in parts:
        print(f"-- {part}")
        tasks[part]()


if __name__ == "__main__":
    main()
