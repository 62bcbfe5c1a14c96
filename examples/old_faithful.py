"""
Old Faithful: how many kinds of eruptions
=========================================

Durations of 272 eruptions of a geyser, and the waiting time to the next (Härdle, 1991). The two kinds of eruptions are the
textbook example of a mixture; here their number is found, and what the mixture says of a new eruption is checked.
"""

from __future__ import annotations

import numpy as np

import bayesglm as bg
from bayesglm.mixtures import plots

eruptions = bg.load_dataset("old_faithful")
fit = bg.Mixture(["eruption_min", "waiting_min"], eruptions).fit(seed=1)
print(fit.components.drop(columns="distinguished_by").round(2).to_string(index=False))
print(fit.check())

# %%
# Two components hold nearly all eruptions: long ones with a long wait, short ones with a short wait. A third, with a few per
# cent, bridges them: eruptions of about three minutes. A component is a kind of row where it stands apart, and otherwise a piece
# of the density.

short, long = (fit.components.query(f"{low} < eruption_min_mean < {high}").iloc[0] for low, high in ((1.5, 2.5), (4, 5)))
assert 0.3 < short["weight"] < 0.4
assert 0.6 < long["weight"] < 0.7
assert 75 < long["waiting_min_mean"] < 85

# %%
# Which eruption would be odd? Two minutes and 55 minutes are ordinary together, and so are four and a half and 80. Two minutes
# before a wait of 85 are not, although each value occurs often. The responsibilities do not show it: they sum to one anyway.

new = {"eruption_min": [2.0, 4.5, 2.0], "waiting_min": [55, 80, 85]}
tails = fit.tail_probability(new, seed=1)
print(np.column_stack([fit.responsibilities(new).max(axis=1), tails]).round(4))
assert tails[:2].min() > 0.3
assert tails[2] < 0.001
print(fit.explain(new).query("row == 2").to_string(index=False))

# %%

figure = plots.ellipses(fit, "eruption_min", "waiting_min")
