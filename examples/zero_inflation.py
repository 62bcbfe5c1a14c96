"""
Many zeros are not zero inflation
=================================

Two out of three hours without a failure: is that a second process that switches failures off, or are failures just
rare and bursty? Two simulated tables with about the same mean and share of zeros, one of each kind, and three families
for both.
"""

from __future__ import annotations

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import bayesglm as bg

# %%
# Two tables whose truth is known
# -------------------------------
#
# *Bursty*: negative binomial counts with mean 1.0 and concentration 0.25; nothing is inflated. *Switched off*: each
# row is off with probability 0.7, and else a Poisson count with mean 3.3.

rng = np.random.default_rng(4)
rows = 400
concentration, mean = 0.25, 1.0
bursty = pd.DataFrame({"failures": rng.negative_binomial(concentration, concentration / (concentration + mean), rows)})
switched = pd.DataFrame({"failures": rng.poisson(3.3, rows) * (rng.uniform(size=rows) > 0.7)})
tables = {"bursty": bursty, "switched off": switched}
for name, table in tables.items():
    print(f"{name}: mean {table['failures'].mean():.2f}, {(table['failures'] == 0).mean():.0%} zeros")

figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for panel, (name, table) in zip(axes, tables.items(), strict=True):
    counts = np.bincount(table["failures"].clip(upper=15), minlength=16)
    panel.bar(np.arange(16), counts)
    panel.set(title=name, xlabel="failures (15 and more together)", xticks=[0, 5, 10, 15])
axes[0].set_ylabel("rows")

# %%
# Three families for each
# -----------------------

families = ("poisson", "negative_binomial", "zero_inflated_poisson")
fits = {
    name: {family: bg.Model("failures ~ 1", table, family=family).fit(seed=1) for family in families}
    for name, table in tables.items()
}

# %%
# The check of zeros
# ------------------
#
# It counts zeros in replicates from the fit. When there are more than the family says, it also asks whether the spread
# of the counts explains them without any inflation.

zeros = {name: {family: fit.check()["zeros"] for family, fit in found.items()} for name, found in fits.items()}
for name, found in zeros.items():
    for family, check in found.items():
        print(f"{name}, {family}: {check.verdict.upper()}\n  {check.finding}\n  {check.advice}")

assert zeros["bursty"]["poisson"].verdict == "fail"
assert "without zero inflation" in zeros["bursty"]["poisson"].finding
assert zeros["bursty"]["negative_binomial"].verdict == "pass"

# %%
# A zero-inflated Poisson passes this check on the bursty table as well: a zero probability of its own fits any share
# of zeros. Whether it predicts the counts above zero is another matter, and the leave-one-out expected log predictive
# density sees both.

comparisons = {
    name: az.compare({family: fit.loo() for family, fit in found.items()}, round_to="none") for name, found in fits.items()
}
for name, comparison in comparisons.items():
    print(name)
    print(comparison[["rank", "elpd", "elpd_diff", "dse"]].to_string(float_format="{:.1f}".format))

assert comparisons["bursty"].index[0] == "negative_binomial"
assert comparisons["switched off"].index[0] == "zero_inflated_poisson"

# %%
# What was learnt of the process that is there: concentration 0.25 in the one, zero probability 0.7 in the other.

for name, family, parameter, truth in (
    ("bursty", "negative_binomial", "concentration", 0.25), ("switched off", "zero_inflated_poisson", "zero_probability", 0.7),
):
    line = fits[name][family].summary().frame.loc[parameter]
    print(f"{name}: {parameter} {line['mean']:.2f}, 90 % {line['eti90_lb']:.2f} to {line['eti90_ub']:.2f}, truth {truth}")
    assert line["eti90_lb"] < truth < line["eti90_ub"]

# %%
# What to read from it: the share of zeros alone cannot tell the two apart, the counts above zero can. Start with a
# negative binomial; go on to a zero part when its zeros fail the check and there is a reason for rows that can have no
# event. And make sure first that hours without data were not recorded as zeros.
