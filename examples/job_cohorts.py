"""
What each kind of job costs
===========================

SIMULATED batch jobs with their run time, memory, retries and queue. A mixture with a log-normal part, a count and a category
finds the cohorts; each job's cost is divided by its memberships, so that the cohorts' costs sum to the bill.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayesglm as bg

rng = np.random.default_rng(3)
cohort = rng.choice(3, 3000, p=[0.7, 0.25, 0.05])
jobs = pd.DataFrame({
    "minutes": np.exp(rng.normal(np.array([0.5, 2.5, 4.8])[cohort], 0.4)),
    "memory_gb": np.exp(rng.normal(np.array([0.0, 1.5, 3.2])[cohort], 0.3)),
    "retries": rng.poisson(np.array([0.1, 0.3, 2.5])[cohort]),
    "queue": np.where(rng.random(3000) < np.array([0.9, 0.4, 0.1])[cohort], "default", "bulk"),
})
jobs["eur"] = 0.002 * jobs["minutes"] * jobs["memory_gb"] * (1 + jobs["retries"])

# %%
# Numbers are log-normal, retries are counts, the queue is a category: a component is a product of these.

fit = bg.Mixture(["minutes", "memory_gb", "retries", "queue"], jobs, transform={"minutes": "log", "memory_gb": "log"},
                 component={"retries": "poisson"}).fit(seed=1)
print(fit.components[["id", "weight", "distinguished_by"]].to_string(index=False))
assert len(fit.ids) == 3

# %%
# One job in twenty makes most of the bill.

costs = fit.costs(jobs, "eur")
print(costs.round(2).to_string(index=False))
assert np.isclose(costs["total"].sum(), jobs["eur"].sum(), rtol=1e-12)
large = costs.iloc[-1]
assert fit.weights[-1] < 0.07
assert large["share"] > 0.8
assert np.isclose(large["total"], jobs["eur"][cohort == 2].sum(), rtol=0.02)

# %%
# Jobs that show each cohort best, for whoever has to give them a name.

print(fit.examples(jobs, per=2).round(2).to_string(index=False))
