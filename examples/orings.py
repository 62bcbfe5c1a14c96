"""
O-rings: a probability far from the data
========================================

Before the launch of the Challenger on a morning of 31 degrees Fahrenheit, 23 flights at 53 to 81 degrees had been
examined for O-rings in distress (Dalal, Fowlkes and Hoadley, 1989): six rings on a flight, so the response counts
successes out of trials.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import bayesglm as bg

flights = bg.load_dataset("orings")
model = bg.Model("distressed | trials(rings) ~ temperature_f", flights, family="binomial")
fit = model.fit(seed=1)
print(fit.summary())

# %%
# The odds of distress change by the ratio above for each degree. Does the model describe the flights?

print(fit.check())
below = float((np.asarray(fit.draws["posterior"]["beta"]) < 0).mean())
print(f"P(warmer is safer) = {below:.3f}")
assert below > 0.95

# %%
# The probability at 31 degrees
# -----------------------------
#
# ``rate`` is the probability for one ring; ``expected`` and ``predicted`` count rings on a flight. 31 degrees is 22
# degrees below the coldest flight.

cold = pd.DataFrame({"temperature_f": [31, 53, 70], "rings": 6})
prediction = fit.predict(cold, seed=1)
table = prediction.to_frame().set_index("temperature_f")
print(table.drop(columns=["groups", "new_level"]).T.to_string(float_format="{:.2f}".format))
any_ring = prediction.exceeds(0)
print(f"P(at least one ring in distress at 31 F) = {any_ring.iloc[0]:.2f}, at 70 F = {any_ring.iloc[2]:.2f}")
assert any_ring.iloc[0] > 0.9
assert table.loc[31, "rate_eti90_ub"] - table.loc[31, "rate_eti90_lb"] > 0.4

# %%
# Beyond the data the answer is the assumption
# --------------------------------------------
#
# At 31 degrees no data hold the curve: the interval is what a straight line in the log odds says, and only that.
# Another link is as good where the data are and gives another answer where they are not.

other = bg.Model("distressed | trials(rings) ~ temperature_f", flights, family="binomial", links={"p": "cloglog"}).fit(
    seed=1, draws=700, tune=500)
grid = pd.DataFrame({"temperature_f": np.arange(25, 86), "rings": 6})
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for each, name, colour in ((fit, "logit", "C0"), (other, "cloglog", "C1")):
    curve = each.predict(grid, quantities=("rate",)).to_frame()
    axes.plot(grid["temperature_f"], curve["rate_mean"], color=colour, label=f"{name} link, mean and 90 %")
    axes.fill_between(grid["temperature_f"], curve["rate_eti90_lb"], curve["rate_eti90_ub"], color=colour, alpha=0.2)
axes.plot(flights["temperature_f"], flights["distressed"] / flights["rings"], "ko", alpha=0.5, label="flights")
axes.axvspan(25, 53, color="0.9", zorder=0)
axes.axvline(31, color="0.4", linestyle="--", label="Challenger, 31 F")
axes.set(xlabel="temperature of the joints (F); no flights in the grey part", ylabel="probability of distress, one ring")
axes.legend()

elpd = {name: each.loo().elpd for name, each in (("logit", fit), ("cloglog", other))}
print({name: round(value, 1) for name, value in elpd.items()})
assert abs(elpd["logit"] - elpd["cloglog"]) < 1.0

# %%
# What to read from it: cold joints are worse, with a probability of about 0.99, and at 31 degrees distress of at least
# one ring has a probability of more than 0.9 if the curve goes on as it does above 53 degrees. How many rings is not
# known even then: the interval for one ring covers most of what a probability can be.
