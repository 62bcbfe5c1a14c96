"""Studies of mixtures over many simulated tables: how often the number of components is found, and intervals cover.

Every fit appends one line to a file, and a table whose line is there is not fitted again, so that a study may be stopped at any
time and gone on with. Run by ``python -m benchmarks.mixtures components coverage``.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LINES = Path(__file__).parents[1] / "docs" / "benchmarks" / "mixtures.jsonl"
LIMIT = 40
_LEVEL = 0.9
Line = dict[str, Any]


def simulate(count: int, size: int, rows: int, seed: int, distance: float = 5.0):
    """Return rows of Gaussian components at least ``distance`` apart by the wider of each pair, and the truth.

    Weights are at least 0.02; covariances are full, with standard deviations from 0.3 to 1 along their axes.
    """
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(count, 3.0)) * (1 - 0.02 * count) + 0.02
    roots = np.array([np.linalg.qr(rng.normal(size=(size, size)))[0] * rng.uniform(0.3, 1, size) for _ in range(count)])
    side, means = distance * count ** (1 / size) * 1.3, []
    while len(means) < count:
        mean = rng.uniform(0, side, size)
        if all(np.linalg.norm(mean - other) >= distance for other in means):
            means.append(mean)
        side *= 1.002
    labels = rng.choice(count, rows, p=weights)
    data = np.array(means)[labels] + np.einsum("nij,nj->ni", roots[labels], rng.normal(size=(rows, size)))
    return data, weights, np.array(means)


def columns(data: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of an array by name."""
    return {f"x{j}": data[:, j] for j in range(data.shape[1])}


@dataclass(frozen=True, slots=True)
class Study:
    """Fits of many simulated tables.

    Attributes
    ----------
    name : str
        What is asked.
    plan : list of dict
        The tables, as arguments of ``fit``, in their order; seeds vary last, so that a part of the plan is as wide as the whole.
    fit : callable
        ``fit(**table)`` gives what was found, as plain values.
    summary : callable
        ``summary(lines)`` yields lines of text.
    """

    name: str
    plan: list[Line]
    fit: Callable[..., Line]
    summary: Callable[[list[Line]], Iterator[str]]

    def lines(self, path: Path = LINES) -> list[Line]:
        """Return the lines of the plan's tables that are in the file."""
        held = [json.loads(each) for each in path.read_text().splitlines()] if path.exists() else []
        return [each for each in held if each["study"] == self.name and self._table(each) in self.plan]

    def run(self, until: float = np.inf, path: Path = LINES) -> Iterator[str]:
        """Fit the tables that have no line until ``time.monotonic()`` is past a time, then yield the summary of all lines."""
        done = [self._table(each) for each in self.lines(path)]
        for table in (each for each in self.plan if each not in done):
            begin = time.monotonic()
            if begin > until:
                break
            line = {"study": self.name, **table, **self.fit(**table), "seconds": round(time.monotonic() - begin, 2)}
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        lines = self.lines(path)
        yield f"{len(lines)} of {len(self.plan)} fits"
        yield from self.summary(lines)

    def _table(self, line: Line) -> Line:
        return {name: line.get(name) for name in self.plan[0]}


def components(counts: list[int], seeds: int, rows: int) -> Study:
    """How often exactly the true number of components is found; components at least 4 apart, weights of at least 0.02."""
    plan = [{"components": count, "columns": size, "rows": rows, "seed": seed}
            for seed in range(seeds) for count in counts for size in (2, 8)]
    return Study("components", plan, _count, _counted)


def _count(components: int, columns: int, rows: int, seed: int) -> Line:
    from bayesglm.mixtures import Mixture

    data, _, _ = simulate(components, columns, rows, 1000 * components + seed, 4.0)
    names = [f"x{j}" for j in range(columns)]
    fit = Mixture(names, dict(zip(names, data.T, strict=True)), max_components=LIMIT).fit(seed=seed)
    return {"found": fit.posterior.size, "bound": fit.bound, "converged": fit.found.climb.converged}


def _counted(lines: list[Line]) -> Iterator[str]:
    yield "components  columns  exact  needed  found otherwise (how often)"
    for components, size in sorted({(each["components"], each["columns"]) for each in lines}):
        found = Counter(each["found"] for each in lines if (each["components"], each["columns"]) == (components, size))
        exact, total = found.pop(components, 0), found.total()
        need = 95 if components == 1 else 90
        yield f"{components:10} {size:8} {exact:6} of {exact + total} (at least {need} of 100)  {dict(found) or ''}"


def coverage(distances: tuple[float, ...], seeds: int, rows: int) -> Study:
    """How often 90% intervals of weights and means hold the truth, for four components in two columns."""
    plan = [{"distance": distance, "rows": rows, "seed": seed} for seed in range(seeds) for distance in distances]
    return Study("coverage", plan, _cover, _covered)


def _cover(distance: float, rows: int, seed: int) -> Line:
    """Return how many intervals hold the truth, of how many; none where the number of components is another."""
    from bayesglm.mixtures import Mixture

    data, weights, means = simulate(4, 2, rows, 500 + seed, distance)
    fit = Mixture(["x0", "x1"], columns(data)).fit(seed=seed)
    if fit.posterior.size != 4:
        return {"found": fit.posterior.size}
    drawn = fit.draws(seed=seed, size=1000)["posterior"]
    middle = drawn["mean"].mean(["chain", "draw"]).values
    place = np.linalg.norm(means[:, None] - middle[None], axis=2).argmin(axis=1)
    held: Line = {"found": 4}
    for name, truth in (("weight", weights), ("mean", means)):
        low, high = np.quantile(drawn[name].values[0][:, place], [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
        inside = (low <= truth) & (truth <= high)
        held |= {name: int(inside.sum()), f"{name}s": inside.size}
    return held


def _covered(lines: list[Line]) -> Iterator[str]:
    for distance in sorted({each["distance"] for each in lines}, reverse=True):
        told = [each for each in lines if each["distance"] == distance]
        right = [each for each in told if each["found"] == 4]
        for name in ("weight", "mean"):
            inside, total = sum(each[name] for each in right), sum(each[f"{name}s"] for each in right)
            yield (f"90% intervals of {name}s, components {distance:g} apart, {len(right)} of {len(told)} fits with four: "
                   f"{100 * inside / max(total, 1):.1f} of 100 ({total} intervals; 84 to 96 where they are well apart)")
