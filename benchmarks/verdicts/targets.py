"""Targets: tables and models whose posteriors are hard to reach, for reasons that users' data have too.

To add a target: write a function from a random generator to a table, a `Hard` in `HARD`, and run
``python -m benchmarks.verdicts --oracles --targets its-name``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesglm.priors import Beta, Exponential, Gamma, HalfNormal, HalfStudentT, Normal, StudentT
from benchmarks.workloads import WORKLOADS, Workload, labels

if TYPE_CHECKING:
    import bayesglm as bg

SEED = 1


@dataclass(frozen=True, slots=True)
class Hard:
    """One table and the model of it.

    Attributes
    ----------
    name : str
        What the command line calls it.
    difficulty : str
        What makes its posterior hard.
    simulate : callable
        ``simulate(rng)``: the table.
    formula, family : str
        The model, in our words.
    options : mapping
        Further arguments of `bayesglm.Model`.
    """

    name: str
    difficulty: str
    simulate: Callable[[np.random.Generator], pd.DataFrame]
    formula: str
    family: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def table(self, seed: int = SEED) -> pd.DataFrame:
        """Return the table, the same for the same seed."""
        return self.simulate(np.random.default_rng(seed))

    def model(self, table: pd.DataFrame) -> bg.Model:
        """Return our model of the table."""
        import bayesglm as bg

        return bg.Model(self.formula, table, self.family, **self.options)


def without_data(rng: np.random.Generator) -> pd.DataFrame:
    """Make groups so little exposed that their zeros say nothing: the posterior is the prior, a funnel."""
    del rng
    return pd.DataFrame({"y": 0, "g": labels("g", np.arange(8)), "e": 1e-9})


def separated(rng: np.random.Generator) -> pd.DataFrame:
    """Make events above a threshold of x and nowhere else."""
    x = np.sort(rng.uniform(-1, 1, 20))
    return pd.DataFrame({"y": (x > 0).astype(int), "x": x})


def half_separated(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate two arms of four groups each, one without any event."""
    group = np.repeat(np.arange(8), 6)
    arm = group % 2
    y = (rng.random(48) < np.where(arm == 1, 0.5, 0.0)).astype(int)
    return pd.DataFrame({"y": y, "arm": arm, "g": labels("g", group)})


def conflicting(rng: np.random.Generator) -> pd.DataFrame:
    """Make two counts that speak against a sharp prior with heavy tails as loudly as it speaks against them."""
    del rng
    return pd.DataFrame({"y": [4, 5]})


def clusters(centre: float) -> Callable[[np.random.Generator], pd.DataFrame]:
    """Simulate two clusters that mirror each other at a centre; to each, the other's values are outliers."""
    def simulate(rng: np.random.Generator) -> pd.DataFrame:
        side = 5.0 + rng.normal(0, 0.2, 5)
        return pd.DataFrame({"y": centre + np.concatenate([side, -side])})
    return simulate


def few_levels(levels: int, rows: int) -> Callable[[np.random.Generator], pd.DataFrame]:
    """Simulate counts of few groups."""
    def simulate(rng: np.random.Generator) -> pd.DataFrame:
        group, x = np.arange(rows) % levels, rng.normal(size=rows)
        mu = np.exp(1.0 + 0.3 * x + rng.normal(0, 0.6, levels)[group])
        return pd.DataFrame({"y": rng.poisson(mu), "x": x, "g": labels("g", group)})
    return simulate


def near_singular(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate two columns whose correlation is 0.999."""
    x = rng.normal(size=40)
    twin = x + rng.normal(0, np.sqrt(1 / 0.999**2 - 1), 40)
    return pd.DataFrame({"y": 1.0 + x - twin + rng.normal(0, 1.0, 40), "x": x, "twin": twin})


def heavy_tailed(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate errors from a Cauchy distribution."""
    x = rng.normal(size=60)
    return pd.DataFrame({"y": 2.0 + 0.5 * x + rng.standard_cauchy(60), "x": x})


def weakly_inflated(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate eight counts of each of 30 groups: structural zeros and small means look alike."""
    group = np.repeat(np.arange(30), 8)
    x = rng.normal(size=240)
    mu = np.exp(0.3 + 0.3 * x + rng.normal(0, 0.5, 30)[group])
    zero = 1 / (1 + np.exp(1.0 - rng.normal(0, 0.7, 30)[group]))
    y = rng.poisson(mu * rng.gamma(1.5, 1 / 1.5, 240)) * (rng.random(240) >= zero)
    return pd.DataFrame({"y": y, "x": x, "g": labels("g", group)})


def plain_zeros(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate zeros that dispersion alone explains, under a model that also inflates them."""
    return pd.DataFrame({"y": rng.poisson(1.5 * rng.gamma(0.5, 2.0, 60))})


def equidispersed(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate Poisson counts, for a negative binomial: the concentration has no upper bound."""
    return pd.DataFrame({"y": rng.poisson(6.0, 60)})


def one_outlier(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate counts of groups, one of which is a hundred times the others."""
    group = np.repeat(np.arange(6), 8)
    y = rng.poisson(np.exp(1.0 + rng.normal(0, 0.3, 6)[group]))
    y[17] = 400
    return pd.DataFrame({"y": y, "g": labels("g", group)})


def persistent(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate counts in windows whose log mean forgets one part in a hundred a step."""
    path = np.zeros(60)
    for t in range(1, 60):
        path[t] = 0.99 * path[t - 1] + 0.15 * rng.normal()
    return pd.DataFrame({"y": rng.poisson(np.exp(1.5 + path)), "t": np.arange(60)})


def scattered(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate eight counts over 120 windows of a random walk."""
    t = np.array([0, 3, 20, 45, 46, 80, 110, 119])
    return pd.DataFrame({"y": rng.poisson(np.exp(1.0 + 0.1 * np.cumsum(rng.normal(size=120)))[t]), "t": t})


def nearly_aliased(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate hosts of racks coded as crossed, all but one in one rack: both say nearly the same."""
    host = np.repeat(np.arange(12), 5)
    rack = host // 2
    rack[0] = 5
    mu = np.exp(1.0 + rng.normal(0, 0.5, 6)[rack] + rng.normal(0, 0.5, 12)[host])
    return pd.DataFrame({"y": rng.poisson(mu), "rack": labels("r", rack), "host": labels("h", host)})


def tiny(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate eight rows, with a predictor, groups and a dispersion."""
    x, group = rng.normal(size=8), np.arange(8) % 4
    return pd.DataFrame({"y": rng.poisson(np.exp(1.0 + 0.5 * x) * rng.gamma(2.0, 0.5, 8)), "x": x, "g": labels("g", group)})


def large_counts(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate eight groups of 200 rows with counts of about 300: group effects known to a thousandth, their sd hardly."""
    group, x = np.arange(1_600) % 8, rng.integers(0, 2, 1_600)
    mu = np.exp(5.7 + 0.1 * x + rng.normal(0, 0.5, 8)[group])
    return pd.DataFrame({"y": rng.poisson(mu), "x": x, "g": labels("g", group)})


def apart(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate groups far apart, for a prior that says that they are alike."""
    group = np.repeat(np.arange(10), 3)
    return pd.DataFrame({"y": rng.poisson(np.exp(1.0 + rng.normal(0, 1.2, 10)[group])), "g": labels("g", group)})


def tied_slopes(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate intercepts and slopes of 12 groups that are nearly one thing."""
    group, x = np.repeat(np.arange(12), 10), rng.normal(size=120)
    level = rng.normal(0, 0.6, 12)
    slope = 0.5 * level + rng.normal(0, 0.01, 12)
    mu = np.exp(1.0 + level[group] + (0.2 + slope[group]) * x)
    return pd.DataFrame({"y": rng.poisson(mu), "x": x, "g": labels("g", group)})


def empty_cell(rng: np.random.Generator) -> pd.DataFrame:
    """Simulate three kinds of outcome, one of which never occurs on one side."""
    side = np.repeat(["a", "b"], 20)
    kind = np.where(side == "a", rng.choice(["calm", "slow", "down"], 40), rng.choice(["calm", "slow"], 40))
    return pd.DataFrame({"y": kind, "side": side})


_CLUSTERS = {"Intercept": Normal(0.0, 10.0), "sigma": HalfNormal(0.5), "nu": Gamma(2.0, 2.0)}
_STRONG = {"Intercept": Normal(0.0, 10.0), "x": Normal(0.0, 10.0)}
HARD: Mapping[str, Hard] = {each.name: each for each in (
    Hard("no-data", "groups without data: a funnel", without_data, "y ~ 1 + (1 | g)", "poisson",
         {"exposure": "e", "priors": {"Intercept": Normal(0.0, 1.0), "sd": HalfNormal(1.0)}}),
    Hard("separation", "complete separation", separated, "y ~ x", "bernoulli", {"priors": _STRONG}),
    Hard("separation-group", "an arm of groups without any event", half_separated, "y ~ arm + (1 | g)", "bernoulli"),
    Hard("prior-conflict", "two modes: a prior with heavy tails against the data", conflicting, "y ~ 1", "poisson",
         {"priors": {"Intercept": StudentT(1.0, 0.0, 0.01)}}),
    Hard("mirrored", "two modes that mirror each other", clusters(0.0), "y ~ 1", "student_t", {"priors": _CLUSTERS}),
    Hard("two-clusters", "two modes, one of them near the prior mean", clusters(3.0), "y ~ 1", "student_t",
         {"priors": _CLUSTERS}),
    Hard("three-levels", "sd of a group with 3 levels", few_levels(3, 30), "y ~ x + (1 | g)", "poisson"),
    Hard("two-levels", "sd of a group with 2 levels, prior with heavy tails", few_levels(2, 20), "y ~ x + (1 | g)", "poisson",
         {"priors": {"sd": HalfStudentT(3.0, 2.5)}}),
    Hard("near-singular", "two columns with correlation 0.999", near_singular, "y ~ x + twin", "gaussian"),
    Hard("heavy-tails", "errors from a Cauchy distribution", heavy_tailed, "y ~ x", "student_t"),
    Hard("zero-weak", "zero inflation that groups of 8 rows hardly show", weakly_inflated, "y ~ x + (1 | g)",
         "zero_inflated_negative_binomial", {"zero": "~ 1 + (1 | g)"}),
    Hard("zero-none", "zero inflation where dispersion explains all zeros", plain_zeros, "y ~ 1",
         "zero_inflated_negative_binomial", {"priors": {"Intercept": Normal(0.0, 2.0), "concentration": Exponential(0.5),
                                                          "zero_probability": Beta(1.0, 1.0)}}),
    Hard("concentration", "a concentration without upper bound", equidispersed, "y ~ 1", "negative_binomial",
         {"priors": {"Intercept": Normal(0.0, 2.5), "concentration": HalfStudentT(3.0, 10.0)}}),
    Hard("outlier", "one count a hundred times the others", one_outlier, "y ~ 1 + (1 | g)", "negative_binomial"),
    Hard("persistent", "autocorrelation near 1", persistent, "y ~ ar(t)", "poisson"),
    Hard("scattered-walk", "a random walk with data at 8 of 120 nodes", scattered, "y ~ rw(t)", "poisson"),
    Hard("aliased", "two groups that are nearly one", nearly_aliased, "y ~ 1 + (1 | rack) + (1 | host)", "poisson"),
    Hard("tiny", "8 rows", tiny, "y ~ x + (1 | g)", "negative_binomial"),
    Hard("large-counts", "group effects known exactly, their sd hardly", large_counts, "y ~ x + (1 | g)", "poisson"),
    Hard("narrow-prior", "a prior on an sd in conflict with the groups", apart, "y ~ 1 + (1 | g)", "poisson",
         {"priors": {"sd": HalfNormal(0.05)}}),
    Hard("tied-slopes", "a correlation near 1", tied_slopes, "y ~ x + (1 + x | g)", "poisson"),
    Hard("empty-cell", "a category that never occurs on one side", empty_cell, "y ~ side", "categorical"),
)}

CHEAP = ("telemetry-nb-2000", "telemetry-poisson-2000", "zero-inflated-nb", "crossed-logistic", "random-walk-1000", "small")


def easy(workload: Workload) -> Hard:
    """Return a workload as a target, whose posterior can be kept like any other."""
    return Hard(f"workload-{workload.name}", "nothing", lambda rng: workload.simulate(workload.rows, rng), workload.formula,
                workload.family, workload.options)


EASY: Mapping[str, Hard] = {f"workload:{name}": easy(WORKLOADS[name]) for name in CHEAP}
