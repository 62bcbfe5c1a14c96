"""Groups with much data, with few, with none and without differences: the funnel does not hurt, and memory is linear in levels.

A sampler in the model's own coordinates meets a funnel where groups know little, a ridge where they know much. In transported
coordinates both are nearly a standard normal, and that is what the sampler is held to.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numba import njit

import bayesglm as bg
from bayesglm.checks.check import Check
from bayesglm.engines.native import native
from bayesglm.engines.sampling import Adaptation, sample
from bayesglm.engines.target import Target
from bayesglm.registry import discover

MOST_GRADIENTS = 1.3  # times those of a standard normal of the same dimension
# The sd of few groups with much data has a long tail above and a steep wall below, which a trajectory that comes back from the
# tail may run into.
MOST_DIVERGENT = {"strong": 0.002}


def rows(levels: int, each: int, *, sd: float, mean: float, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), each)
    x = rng.normal(size=len(g)).round(1)
    rate = np.exp(mean + 0.2 * x + sd * rng.normal(size=levels)[g])
    return pd.DataFrame({"y": rng.poisson(rate), "x": x, "g": np.char.add("g", g.astype(str)), "seen": 1.0})


def weak_with_empty_groups() -> bg.Model:
    frame = rows(8, 6, sd=0.5, mean=-1.0)
    frame.loc[frame["g"].isin(["g1", "g4", "g6"]), "seen"] = 0.0
    return bg.Model("y ~ x + (1 | g)", frame, "poisson", weights="seen")


def strong() -> bg.Model:
    return bg.Model("y ~ x + (1 | g)", rows(8, 60, sd=1.0, mean=4.0), "poisson")


def no_differences() -> bg.Model:
    return bg.Model("y ~ x + (1 | g)", rows(40, 10, sd=0.0, mean=1.0), "poisson")


def slopes_of_zeros() -> bg.Model:
    frame = rows(20, 10, sd=0.5, mean=1.0)
    frame.loc[frame["g"].isin([f"g{i}" for i in range(8)]), "x"] = 0.0
    return bg.Model("y ~ x + (1 + x | g)", frame, "poisson")


def many_groups() -> bg.Model:
    return bg.Model("y ~ x + (1 | g)", rows(500, 4, sd=0.5, mean=0.5), "poisson")


@njit
def normal(q, gradient, precision):
    gradient[:] = -precision * q
    return 0.5 * np.dot(q, gradient)


def gradients_of_a_standard_normal(size: int) -> float:
    """Return nutpie's gradients per draw, with the same settings."""
    starts = np.random.default_rng(0).normal(size=(4, size))
    target = Target(size, native(normal, [np.ones(size)]), starts, lambda q: {"q": q}, {"q": ("i",)},
                    {"i": tuple(range(size))}, {}, frozenset())
    found = sample(target, seed=1, adaptation=Adaptation(tune=100, form="diag", target_accept=0.8, initial_step=0.5), draws=500)
    return float(found.stats["n_steps"].mean())


@pytest.mark.slow
@pytest.mark.parametrize("make", [weak_with_empty_groups, strong, no_differences, slopes_of_zeros, many_groups],
                         ids=lambda make: make.__name__)
def test_the_funnel_does_not_hurt(make: Callable[[], bg.Model]) -> None:
    fit = make().fit(engine="nuts", seed=1, progress=False)
    stats = fit.draws["sample_stats"]
    assert float(stats["diverging"].mean()) <= MOST_DIVERGENT.get(make.__name__, 0.0)
    convergence = discover("bayesglm.checks", Check)["convergence"].run(fit, 0)
    assert convergence.verdict == "pass" or make.__name__ in MOST_DIVERGENT, convergence.finding
    assert convergence.verdict != "fail", convergence.finding
    size = sum(fit.draws["posterior"][name][0, 0].size for name in ("beta", "Intercept", "effect_g", "sd_g"))
    size += "partial_g" in fit.draws["posterior"]
    assert float(stats["n_steps"].mean()) <= MOST_GRADIENTS * gradients_of_a_standard_normal(size)


PEAK = """
import resource, sys
import numpy as np, pandas as pd
import bayesglm as bg
from bayesglm.engines import Nuts

def fit(levels):
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(levels), 3)
    frame = pd.DataFrame({"y": rng.poisson(2.0, len(g)), "g": np.char.add("g", g.astype(str))})
    model = bg.Model("y ~ 1 + (1 | g)", frame, "poisson")
    model.fit(engine=Nuts(draws=5, tune=3, chains=1, cores=1), seed=1, progress=False)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

print(fit(100), fit(int(sys.argv[1])))
"""


def peak(levels: int) -> float:
    """Return the MiB that a fit of so many levels takes above a fit of 100."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(levels)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    base, top = map(float, done.stdout.split()[-2:])
    return top - base


@pytest.mark.slow
def test_memory_is_linear_in_levels() -> None:
    small, large = peak(20_000), peak(40_000)
    assert large <= 2 * small + 50
    assert large < 1_000  # MiB, so that 100,000 levels take less than 3 GiB
