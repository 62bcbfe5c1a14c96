"""Comparison: a posterior by draws against a reference by its moments and quantiles, in units of the reference's sd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import bayesglm as bg
from tests.reference.cases import draws_by_name

Array = NDArray[np.float64]

# So many effective draws leave a Monte Carlo error of 0.016 sd in a mean, 1.1 % in an sd, 0.033 sd in a 5 % quantile. The
# reference has as much again: at half the draws, one seed in twenty would fail.
LEAST_ESS = 4_000
MOST_DRAWS = 50_000
# Bulk ESS of antithetic draws runs ahead of that of their quantiles. With half as many draws the quantiles of 59 slopes with long
# tails were off by 0.043 sd (root mean square), the largest of 118 by 0.15; with eight times as many by 0.026 and 0.07.
FIRST_DRAWS = 5_000
NUTS = bg.engines.Nuts()
MEAN_GAP, SD_GAP, QUANTILE_GAP = 0.10, 0.10, 0.15


def compare(posterior: pd.DataFrame, draws: Mapping[str, Array]) -> pd.DataFrame:
    """Return the gaps of every parameter of the reference, one line each.

    Parameters
    ----------
    posterior : data frame
        Reference mean, sd, q05 and q95, by parameter.
    draws : mapping
        Parameter to draws of shape (chain, draw).
    """
    found = np.stack([draws[name] for name in posterior.index])
    sd = posterior["sd"].to_numpy()
    gaps = {"mean_gap": (found.mean((1, 2)) - posterior["mean"]) / sd, "sd_gap": found.std((1, 2), ddof=1) / sd - 1.0}
    for column, share in (("q05", 0.05), ("q95", 0.95)):
        gaps[f"{column}_gap"] = (np.quantile(found, share, axis=(1, 2)) - posterior[column]) / sd
    return pd.DataFrame(gaps, index=posterior.index).assign(ess=effective(found))


def disagreements(table: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of `compare` that are beyond what is allowed."""
    most = {"mean_gap": MEAN_GAP, "sd_gap": SD_GAP, "q05_gap": QUANTILE_GAP, "q95_gap": QUANTILE_GAP}
    return table[(table[list(most)].abs() > pd.Series(most)).any(axis=1) | ~(table["ess"] >= LEAST_ESS)]


def draws_to_precision(
    model: bg.Model, parameters: Sequence[str], *, seed: int, engine: bg.engines.Nuts = NUTS,
) -> dict[str, Array]:
    """Fit with more draws until each of the parameters has enough effective ones, and return the draws by name.

    A fit that does not get there comes back as it is: `disagreements` names its parameters.
    """
    draws = FIRST_DRAWS
    while True:
        fit = model.fit(engine=replace(engine, draws=draws), seed=seed, progress=False)
        found = draws_by_name(fit)
        least = float(effective([found[name] for name in parameters]).min())
        if least >= LEAST_ESS or draws >= MOST_DRAWS:
            return found
        draws = min(MOST_DRAWS, ceil(1.3 * draws * LEAST_ESS / max(least, 50.0)))


def effective(draws: Sequence[Array]) -> Array:
    """Return the least effective sample size of each parameter, over what is compared.

    Draws that jump from side to side have a mean that is better than independent ones', and tails that are worse.
    """
    from arviz_stats.base import array_stats

    stacked = np.stack(draws)
    methods = ({"method": "bulk"}, {"method": "sd"}, {"method": "tail", "prob": (0.05, 0.95)})
    return np.min([array_stats.ess(stacked, chain_axis=1, draw_axis=2, **method) for method in methods], axis=0)
