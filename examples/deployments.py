"""
Which deployment brought the slow traces
========================================

SIMULATED traces of a service with fifteen deployments, one of which sends a fifth of its traces through a retry. A component of
slow traces appears; which deployment do they come from? With fifteen deployments and several components the largest share is
large by chance too, so the shares are shrunk together.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayesglm as bg

rng = np.random.default_rng(5)
deployment = np.array([f"d{each:02}" for each in rng.integers(1, 16, 4000)])
slow = rng.random(4000) < np.where(deployment == "d11", 0.2, 0.03)
traces = pd.DataFrame({
    "total_ms": np.exp(rng.normal(np.where(slow, 6.2, 4.5), 0.25)),
    "database_ms": np.exp(rng.normal(np.where(slow, 4.9, 2.5), 0.35)),
    "spans": rng.poisson(np.where(slow, 24, 12)),
    "deployment": deployment,
    "error": rng.random(4000) < np.where(slow, 0.25, 0.01),
})
fit = bg.Mixture(["total_ms", "database_ms", "spans"], traces, transform={"total_ms": "log", "database_ms": "log"},
                 component={"spans": "poisson"}).fit(seed=1)
print(fit.components[["id", "weight", "distinguished_by"]].to_string(index=False))
assert len(fit.ids) == 2

# %%
# The association of components with deployments, the surest first.

found = fit.association(traces, "deployment")
print(found.table.head(4).round(3).to_string(index=False))
print(found.note)
top = found.table.iloc[0]
assert (top["id"], top["deployment"]) == (2, "d11")
assert top["probability_higher"] > 0.99
assert (found.table["ratio_eti90_lb"] > 1.2).sum() == 1

# %%
# Where no deployment differs, none is accused: the same traces with the deployments shuffled.

shuffled = fit.association(traces.assign(deployment=rng.permutation(deployment)), "deployment")
print(shuffled.table["probability_higher"].max().round(3))
assert shuffled.table["probability_higher"].max() < 0.95

# %%
# And the slow component is the one that fails.

errors = fit.outcome_rates(traces, "error")
print(errors.table.round(3).to_string(index=False))
assert errors.table["id"].iloc[0] == 2
