"""Workloads: the tables and models that speed is measured on, each simulated from a known truth.

Made once for a run by `benchmarks.prepared`; nothing here is timed. To add a workload: write a function from a random generator
to a table, and a `Workload` in `WORKLOADS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import bayesglm as bg

SEED = 1


@dataclass(frozen=True, slots=True)
class Workload:
    """One table and the model of it.

    Attributes
    ----------
    name : str
        What the command line calls it.
    rows : int
        Rows of the table.
    simulate : callable
        ``simulate(rows, rng)``: the table.
    formula, family : str
        The model, in our words.
    options : mapping
        Further arguments of `bayesglm.Model`.
    elsewhere : str
        The formula in the grammar that lme4, its descendants and Bambi share; empty where they cannot say it.
    elsewhere_zero : str
        The same of the zero probability, one-sided.
    shrunk : bool
        Whether the coefficients have the regularised horseshoe as their prior.
    """

    name: str
    rows: int
    simulate: Callable[[int, np.random.Generator], pd.DataFrame]
    formula: str
    family: str
    options: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: str = ""
    elsewhere_zero: str = ""
    shrunk: bool = False

    def table(self, seed: int = SEED) -> pd.DataFrame:
        """Return the table, the same for the same seed."""
        return self.simulate(self.rows, np.random.default_rng(seed))

    def model(self, table: pd.DataFrame) -> bg.Model:
        """Return our model of the table."""
        import bayesglm as bg

        priors = {"common": bg.priors.Horseshoe()} if self.shrunk else {}
        return bg.Model(self.formula, table, self.family, priors=priors, **self.options)


def labels(prefix: str, codes: np.ndarray[Any, Any]) -> list[str]:
    """Name levels so that their names sort as their numbers do."""
    width = len(str(int(codes.max())))
    return [f"{prefix}{code:0{width}d}" for code in codes.tolist()]


def telemetry(rows: int, rng: np.random.Generator, services: int = 40, concentration: float = 2.0) -> pd.DataFrame:
    """Simulate errors of services that differ in level and in what a deploy does, by hour and region, over requests in tens.

    eta = -4 + level_s + slope_s deploy + 0.5 sin(2 pi hour / 24) + region;  level_s ~ N(0, 0.7^2), slope_s ~ N(0.4, 0.2^2)
    """
    service, hour = rng.integers(0, services, rows), rng.integers(0, 24, rows)
    deploy, region = rng.integers(0, 2, rows), rng.integers(0, 4, rows)
    level, slope = rng.normal(0, 0.7, services), rng.normal(0.4, 0.2, services)
    exposure = 10.0 * rng.integers(1, 20, rows)
    phase = 2 * np.pi * hour / 24
    eta = -4 + level[service] + slope[service] * deploy + 0.5 * np.sin(phase) + np.array([0.0, 0.2, -0.3, 0.1])[region]
    mu = exposure * np.exp(eta)
    return pd.DataFrame({
        "y": rng.poisson(mu * rng.gamma(concentration, 1 / concentration, rows)), "y_poisson": rng.poisson(mu),
        "service": labels("s", service), "region": labels("r", region), "hour": hour, "sin": np.sin(phase), "cos": np.cos(phase),
        "deploy": deploy, "exposure": exposure,
    })


def inflated(rows: int, rng: np.random.Generator, services: int = 40) -> pd.DataFrame:
    """Simulate counts whose mean and whose share of structural zeros both differ by service; well identified."""
    service, x = rng.integers(0, services, rows), rng.normal(size=rows)
    level, zero_level = rng.normal(0, 0.5, services), rng.normal(0, 0.7, services)
    mu = np.exp(1.6 + 0.4 * x + level[service])
    zero = 1 / (1 + np.exp(1.0 - 0.5 * x - zero_level[service]))
    y = rng.poisson(mu * rng.gamma(3.0, 1 / 3.0, rows)) * (rng.random(rows) >= zero)
    return pd.DataFrame({"y": y, "x": x, "service": labels("s", service)})


def crossed(rows: int, rng: np.random.Generator, persons: int = 316, items: int = 24) -> pd.DataFrame:
    """Simulate answers of persons to items: each pair at most once, so two crossed factors."""
    pair = rng.permutation(persons * items)[:rows]
    person, item = pair // items, pair % items
    x = rng.normal(size=rows)
    eta = -0.5 + 0.5 * x + rng.normal(0, 1.2, persons)[person] + rng.normal(0, 0.8, items)[item]
    return pd.DataFrame({
        "y": (rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(int), "x": x,
        "person": labels("p", person), "item": labels("i", item),
    })


def many_groups(rows: int, rng: np.random.Generator, size: int = 20) -> pd.DataFrame:
    """Simulate groups of 20 rows each: a rare event (logit) and a count (log) with the same linear predictor."""
    group, x = np.repeat(np.arange(rows // size), size), rng.normal(size=rows)
    eta = -2.0 + 0.4 * x + rng.normal(0, 0.7, rows // size)[group]
    return pd.DataFrame({
        "event": (rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(int), "y": rng.poisson(np.exp(eta)), "x": x,
        "group": labels("g", group),
    })


def drifting(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate a count in each window, with a mean of about a half whose log takes a random walk."""
    path = np.cumsum(rng.normal(0, 0.05, rows))
    mu = np.exp(np.log(0.55) + path - path.mean())
    return pd.DataFrame({"y": rng.poisson(mu), "window": np.arange(rows)})


def sparse_signals(rows: int, rng: np.random.Generator, predictors: int = 200) -> pd.DataFrame:
    """Simulate counts with 200 candidate predictors, 5 of which do anything."""
    columns = rng.normal(size=(rows, predictors))
    mu = np.exp(1.0 + columns[:, :5] @ np.array([0.5, -0.4, 0.4, -0.3, 0.3]))
    return pd.DataFrame({"y": rng.poisson(mu), **{f"x{j:03d}": columns[:, j] for j in range(predictors)}})


def small(rows: int, rng: np.random.Generator, groups: int = 8) -> pd.DataFrame:
    """Simulate a table of the size people start with."""
    group, x = np.arange(rows) % groups, rng.normal(size=rows)
    mu = np.exp(1.0 + 0.5 * x + rng.normal(0, 0.5, groups)[group])
    return pd.DataFrame({"y": rng.poisson(mu * rng.gamma(4.0, 1 / 4.0, rows)), "x": x, "group": labels("g", group)})


def _telemetry(rows: int, family: str) -> Workload:
    response = {"negative_binomial": "y", "poisson": "y_poisson"}[family]
    common = f"{response} ~ deploy + sin + cos + region"
    short = {"negative_binomial": "nb", "poisson": "poisson"}[family]
    return Workload(
        f"telemetry-{short}-{rows}", rows, telemetry, f"{common} + (1 + deploy || service)", family, {"exposure": "exposure"},
        elsewhere=f"{common} + offset(log(exposure)) + (1 | service) + (0 + deploy | service)",
    )


WORKLOADS: Mapping[str, Workload] = {each.name: each for each in (
    *(_telemetry(rows, family) for family in ("negative_binomial", "poisson") for rows in (2_000, 20_000, 200_000)),
    Workload("zero-inflated-nb", 4_000, inflated, "y ~ x + (1 | service)", "zero_inflated_negative_binomial",
             {"zero": "~ x + (1 | service)"}, elsewhere="y ~ x + (1 | service)", elsewhere_zero="~ x + (1 | service)"),
    Workload("crossed-logistic", 7_500, crossed, "y ~ x + (1 | person) + (1 | item)", "bernoulli",
             elsewhere="y ~ x + (1 | person) + (1 | item)"),
    Workload("groups-logit-5000", 100_000, many_groups, "event ~ x + (1 | group)", "bernoulli",
             elsewhere="event ~ x + (1 | group)"),
    Workload("groups-poisson-5000", 100_000, many_groups, "y ~ x + (1 | group)", "poisson", elsewhere="y ~ x + (1 | group)"),
    Workload("random-walk-1000", 1_000, drifting, "y ~ rw(window)", "poisson"),
    Workload("horseshoe-200", 400, sparse_signals, "y ~ " + " + ".join(f"x{j:03d}" for j in range(200)), "poisson", shrunk=True),
    Workload("small", 40, small, "y ~ x + (1 | group)", "negative_binomial", elsewhere="y ~ x + (1 | group)"),
)}
SHORT = ("small",)
