"""
Cold starts that become more frequent
=====================================

SIMULATED requests of a service over eight days: most are warm, some wait for a container to start. The share of cold starts
rises from 4 % to 12 %. The mixture finds the two kinds without being told, and the share of each day shows the rise, with an
interval, long before a mean latency would.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import bayesglm as bg

rng = np.random.default_rng(1)
day = np.repeat(np.arange(1, 9), 1000)
cold = rng.random(len(day)) < np.interp(day, [1, 4, 8], [0.04, 0.04, 0.12])
requests = pd.DataFrame({
    "latency_ms": np.exp(rng.normal(np.where(cold, 6.3, 3.4), np.where(cold, 0.35, 0.4))),
    "cpu": rng.normal(np.where(cold, 0.75, 0.4), 0.08),
    "day": day,
})

# %%
# Learn from the first four days and give the components names that follow their ids.

early = requests[requests["day"] <= 4]
fit = bg.Mixture(["latency_ms", "cpu"], early, transform={"latency_ms": "log"}).fit(seed=1).named(
    {1: "warm", 2: "cold start"}, runbook={2: "https://example.org/runbooks/cold-starts"})
print(fit.components[["id", "name", "weight", "latency_ms_mean", "cpu_mean", "distinguished_by"]].to_string(index=False))
assert len(fit.ids) == 2

# %%
# The share of each day, with the interval of a share.

shares = fit.shares(requests, by="day")
cold_share = shares[shares["id"] == 2].set_index("day")
print(cold_share.round(4))
first, last = cold_share.loc[1], cold_share.loc[8]
assert last["share_eti90_lb"] > first["share_eti90_ub"]
truth = pd.Series(cold).groupby(day).mean()
assert np.abs(cold_share["share"] - truth).max() < 0.005

# %%
# Yesterday's posterior is today's prior: the id and the name stay with the component, whatever the day.

later = fit.update(requests[requests["day"] > 4], forgetting=0.5)
print(later.changes[["action", "id", "weight_before", "weight_after"]].round(3).to_string(index=False))
assert later.ids == fit.ids
assert later.components["weight"].iloc[1] > 1.4 * fit.components["weight"].iloc[1]

# %%

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.fill_between(cold_share.index, cold_share["share_eti90_lb"], cold_share["share_eti90_ub"], alpha=0.3, label="90 %")
axes.plot(cold_share.index, cold_share["share"], "o-", label="share of cold starts")
axes.axhline(fit.components["weight"].iloc[1], color="0.5", linewidth=1, label="weight, days 1 to 4")
axes.set(xlabel="day", ylabel="share of requests", ylim=(0, None))
axes.legend(loc="upper left")
