"""
Which latencies deserve an alert
================================

Two weeks of request latency of a server, every five minutes, with three labelled events; the last one is the failure of the
server (Lavin and Ahmad, 2015). A row is described beside the rows before it, learnt from the first week, and the threshold is
taken from a target rate.
"""

from __future__ import annotations

import numpy as np

import bayesglm as bg
from bayesglm.mixtures import lag_windows
from bayesglm.mixtures.thresholds import detection

latency = bg.load_dataset("request_latency")
windows = lag_windows(latency, ["latency"], lags=[1], rolling=6).rename(columns={"latency_mean6": "half_hour"})
events = latency["event"].to_numpy()[windows["row"]]
week = len(windows) // 2
columns = ["latency", "latency_lag1", "half_hour"]
clean = windows[:week][events[:week] == 0]

# %%
# Latencies are skewed, so they are put on the log scale: otherwise one skewed kind is described by several Gaussians.

fit = bg.Mixture(columns, clean, transform=dict.fromkeys(columns, "log")).fit(seed=1)
print(fit.components[["id", "weight", "latency_mean", "latency_sd"]].round(3).to_string(index=False))

# %%
# Two flagged rows in a thousand are about four a week. The threshold is estimated on the rows of the first week; because it is a
# quantile of their tail probabilities, the rate holds on rows of this kind whatever the mixture misses.

threshold = fit.threshold(clean, rate=0.002, rows_per_day=288, seed=1)
print(threshold)

# %%
# All fourteen days: which events are found, and how many alerts are none of them? Rows next to each other are one alert.

flagged = threshold.flags(fit.tail_probability(windows, seed=1))
found = detection(flagged, events, gap=12)
print(f"alerts that are true: {found.precision}; events that are found: {found.recall}")
assert found.recall.hits == 3
assert found.precision.of < 40

# %%
# What made the rows of the failure unusual?

failure = windows[flagged & (events == 3)]
print(fit.explain(failure.head(3))[["row", "feature", "value", "expected_low", "expected_high", "contribution"]].round(2))
change = fit.score_change(windows[week:])
print(f"second week against the first: {change.change:.2f} nats a row, 90 % {change.low:.2f} to {change.high:.2f}")
assert np.isfinite(change.change)
