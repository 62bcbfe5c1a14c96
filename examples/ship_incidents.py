"""
Ship incidents: from a table to a report
========================================

Damage incidents to cargo ships, counted by type of ship, years of construction and period of operation
(McCullagh and Nelder, 1989, section 6.3.2). Each row was observed for some months in service, so what the
model describes is a rate: incidents per month of service.

This is the whole way once: say what you believe, learn, ask whether to believe it, use it, hand it on.
``make demo`` runs this script.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import bayesglm as bg
from bayesglm import plots

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--report", type=Path, default=Path("build/ship_incidents.html"), help="where to write the report")
options, _ = parser.parse_known_args()

# %%
# Say what you believe
# --------------------
#
# Types of ship are a population: each has a rate of its own, and a type nobody has seen yet comes from the same
# population. Counts of a group of ships scatter more than a Poisson distribution allows, hence a negative binomial.

ships = bg.load_dataset("ship_incidents")
model = bg.Model(
    "incidents ~ construction + period + (1 | ship_type)",
    ships,
    family="negative_binomial",
    exposure="service_months",
    exposure_unit="months",
)
print(model)

# %%
# Six rows have no months of service. They are kept, say nothing, and are predicted as 0: the text above names them.
#
# Learn
# -----
#
# With only five types of ship, their standard deviation is little known, and the posterior has a narrow neck where
# it is near zero, which samplers of other packages tend to miss. The coordinates in which this one works have no neck.

fit = model.fit(seed=1)
print(fit.summary())

# %%
# The ratio of ``period[1975-79]`` says by what factor the rate of the later period exceeds the earlier one's.

forest = plots.forest(fit)

# %%
# Ask whether to believe it
# -------------------------

checks = fit.check()
print(checks)
assert checks.verdict == "pass"

# %%
# How often was each count observed, and how often is it predicted?

rootogram = plots.rootogram(fit)

# %%
# Use it
# ------
#
# A ship of type F, which the data do not have, against type B, which they know best. ``expected`` is the mean of
# such counts, ``predicted`` a count to come, so its interval is wider; a new type draws its effect from the
# population of types, so both are wider still.

new = pd.DataFrame({
    "ship_type": ["B", "F"], "construction": "1970-74", "period": "1975-79", "service_months": 1000,
})
prediction = fit.predict(new, seed=1)
table = prediction.to_frame().set_index("ship_type")
print(table.filter(regex="new_level|expected|predicted").T.to_string(float_format="{:.1f}".format))
width = table["expected_eti90_ub"] - table["expected_eti90_lb"]
assert table.loc["F", "new_level"]
assert width["F"] > 2 * width["B"]

# %%
# Sums are taken draw by draw, never of interval ends: the incidents of each type over all its months.

totals = fit.predict(quantities=("expected", "predicted")).sum(by="ship_type").to_frame()
totals["observed"] = ships.groupby("ship_type")["incidents"].sum().to_numpy()
print(totals.drop(columns=["rows", "groups"]).to_string(index=False, float_format="{:.0f}".format))
assert totals["observed"].between(totals["predicted_eti90_lb"], totals["predicted_eti90_ub"]).all()

# %%
# The ratio of the two periods, averaged over the rows, agrees with the coefficient: about 1.4 times the rate.

ratio = fit.contrast({"period": "1960-74"}, {"period": "1975-79"}).ratio
print(f"rate ratio of the later period: {ratio.mean():.2f}, P(more than 1) = {(ratio > 1).mean():.3f}")
assert 1.2 < ratio.mean() < 1.7

# %%
# Hand it on
# ----------
#
# One HTML page that needs no network, with the verdicts at its top:
# `the report of this fit <ship_incidents_report.html>`_.
#
# What to read from it: ships built in 1965 to 1974 had about twice the rate of the oldest ones, and the later period
# about 1.4 times the rate of the earlier, though its interval reaches down to almost no change. Types differ, but five
# of them say little about how much, which is why a sixth is predicted so widely.

options.report.parent.mkdir(parents=True, exist_ok=True)
fit.report(
    options.report, title="Damage incidents to cargo ships",
    question="How often are ships damaged by waves, which ships, and was the later period worse?",
)
print(f"report: {options.report}")
