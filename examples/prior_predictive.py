"""
What do the priors say before the data?
=======================================

On the log scale a harmless-looking prior such as Normal(0, 10) means factors of a million. Drawing counts from the
prior shows what a model believes before it has seen a count, and default priors should not believe the absurd.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import bayesglm as bg

ships = bg.load_dataset("ship_incidents").query("service_months > 0")
words = {"formula": "incidents ~ construction + period + (1 | ship_type)", "data": ships,
         "family": "negative_binomial", "exposure": "service_months"}

# %%
# Two sets of priors
# ------------------
#
# The defaults come from the scales of the design: the intercept's is centred on the overall rate, and all
# coefficients together may move the rate by a factor of e or so.

default = bg.Model(**words)
print(default.priors.to_string())

# %%
# ``common`` is the class of all common coefficients, ``sd`` that of all standard deviations of groups.

wide = bg.Model(**words, priors={"common": bg.priors.Normal(0, 10), "sd": bg.priors.HalfNormal(10)})
print(wide.priors["prior"].to_string())

# %%
# Share of absurd counts
# ----------------------
#
# More than one incident a month of service is absurd here: the worst row observed has one in 62 months. What share of the
# rows drawn from the prior is beyond it?

def drawn(model: bg.Model) -> np.ndarray:
    """Return counts from the prior, one row for each draw."""
    return np.asarray(model.prior_predictive(seed=1, draws=500)["prior_predictive"]["incidents"])[0]


counts = {"default": drawn(default), "wide": drawn(wide)}
months = ships["service_months"].to_numpy()
absurd = {name: float((values > months).mean()) for name, values in counts.items()}
print({name: f"{share:.1%}" for name, share in absurd.items()})
assert absurd["default"] < 0.05
assert absurd["wide"] > 0.25

# %%

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
edges = np.linspace(-7, 12, 60)
for name, values in counts.items():
    rates = (values + 0.5) / months
    axes.hist(np.log10(rates.ravel()).clip(edges[0], edges[-1]), bins=edges, density=True, alpha=0.6, label=f"{name} priors")
observed = (ships["incidents"] + 0.5) / ships["service_months"]
axes.plot(np.log10(observed), np.zeros(len(observed)), "k|", markersize=14, label="observed")
axes.axvline(0, color="C3", linestyle="--", label="one incident a month")
axes.set(xlabel="log10 of (incidents + 1/2) a month, before the data", ylabel="density")
axes.legend()

# %%
# What to read from it: the wide priors put a large share of their belief on ships that are damaged more than monthly,
# some of them millions of times. With much data that does no harm; with five types of ship it does, and Bayes factors and new
# types inherit it. ``model.priors`` shows each prior and what it is on, so that it can be argued with.
