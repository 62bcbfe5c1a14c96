"""
Twelve hospitals, and a thirteenth
==================================

Deaths after cardiac surgery on babies in twelve hospitals (Spiegelhalter and others, 1996). Hospital A had no death
in 47 operations. Nobody believes that its mortality is zero: the hospitals are alike enough to learn from each other.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import bayesglm as bg

surgery = bg.load_dataset("surgical_deaths")
model = bg.Model("deaths | trials(operations) ~ 1 + (1 | hospital)", surgery, family="binomial")
fit = model.fit(seed=1)
print(fit.summary())
print(fit.check())

# %%
# Shrinkage
# ---------
#
# Each estimate moves from the hospital's own share of deaths towards the population's, the more the fewer its
# operations. ``rate`` is the probability of death in one operation.

rates = fit.predict(quantities=("rate",)).to_frame()
rates["raw"] = surgery["deaths"] / surgery["operations"]
rates["operations"] = surgery["operations"]
print(rates[["hospital", "operations", "raw", "rate_mean", "rate_eti90_lb", "rate_eti90_ub"]].to_string(
    index=False, float_format="{:.3f}".format))

pooled = surgery["deaths"].sum() / surgery["operations"].sum()
hospital_a = rates.set_index("hospital").loc["A"]
assert hospital_a["raw"] == 0.0
assert 0.02 < hospital_a["rate_mean"] < pooled

# %%
# A hospital that is not in the data
# ----------------------------------
#
# Its effect is drawn from the population of hospitals. The prediction says so in ``new_level``, and it is wider
# than that of any hospital of its size.

new = pd.DataFrame({"hospital": ["F", "M"], "operations": [200, 200]})
ahead = fit.predict(new, seed=1).to_frame().set_index("hospital")
print(ahead.drop(columns="groups").T.to_string(float_format="{:.3f}".format))
width = ahead["rate_eti90_ub"] - ahead["rate_eti90_lb"]
assert ahead["new_level"].tolist() == [False, True]
assert width["M"] > 1.5 * width["F"]

# %%
# The three answers about a new hospital differ, and each has its question. ``groups="typical"`` is a hospital in the
# middle of the population (effect 0); ``"population"`` averages over hospitals; ``"conditional"`` draws one.

one = new.tail(1)
for groups in ("typical", "population", "conditional"):
    line = fit.predict(one, groups=groups, quantities=("rate",), seed=1).to_frame().iloc[0]
    print(f"{groups:<12} mean {line['rate_mean']:.3f}, 90 % {line['rate_eti90_lb']:.3f} to {line['rate_eti90_ub']:.3f}")

# %%

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
place = np.arange(len(rates))
axes.hlines(place, rates["rate_eti90_lb"], rates["rate_eti90_ub"], color="C0")
axes.plot(rates["rate_mean"], place, "o", color="C0", label="model, 90 %")
axes.plot(rates["raw"], place, "x", color="C1", label="deaths / operations")
axes.hlines(len(rates), ahead.loc["M", "rate_eti90_lb"], ahead.loc["M", "rate_eti90_ub"], color="C2")
axes.plot(ahead.loc["M", "rate_mean"], len(rates), "s", color="C2", label="new hospital, 90 %")
axes.axvline(pooled, color="0.6", linewidth=1)
names = [f"{hospital} ({n})" for hospital, n in zip(rates["hospital"], rates["operations"], strict=True)]
axes.set_yticks([*place, len(rates)], [*names, "M (new)"])
axes.set(xlabel="probability of death", ylabel="hospital (operations)")
axes.invert_yaxis()
figure.legend(loc="outside lower center", ncols=3)

# %%
# What to read from it: hospital A's mortality is estimated near 5 %, not at zero, and H's high share is pulled down
# as well. For a hospital that has not reported yet, the honest interval is that of the population, several times
# wider than that of a large known one. A ranking of hospitals should carry these intervals, or not be printed.
