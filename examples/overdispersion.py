"""
Overdispersion: first ask where it comes from
=============================================

Disasters in British coal mines, year by year from 1851 to 1962 (Jarrett, 1979). Their variance is 1.6 times their
mean, and a Poisson distribution has a variance equal to its mean. A common rule sends such counts to a negative
binomial. But a rate that changes over the years spreads counts as well, and a dispersion parameter would only hide it.
"""

from __future__ import annotations

import arviz as az
import matplotlib.pyplot as plt
import numpy as np

import bayesglm as bg

coal = bg.load_dataset("coal_disasters")
print(f"mean {coal['disasters'].mean():.2f}, variance {coal['disasters'].var():.2f}")

# %%
# One rate for all years, as a Poisson and as a negative binomial
# ---------------------------------------------------------------
#
# The dispersion check compares Pearson's chi-square, computed with the family's own variance, with that of counts
# drawn from the fit.

settings = {"seed": 1, "draws": 500, "tune": 500}
poisson = bg.Model("disasters ~ 1", coal, family="poisson").fit(**settings)
negative_binomial = bg.Model("disasters ~ 1", coal, family="negative_binomial").fit(**settings)
for fit in (poisson, negative_binomial):
    check = fit.check()["dispersion"]
    print(f"{check.verdict}: {check.finding}\n  {check.advice}")
assert poisson.check()["dispersion"].verdict in ("warn", "fail")
assert negative_binomial.check()["dispersion"].verdict == "pass"

# %%
# The negative binomial passes: it may be as wide as it likes. That does not make it right. It says that good and bad
# years follow each other at random, and they did not.
#
# A rate that changes
# -------------------
#
# A random walk lets the log of the rate drift from year to year; how much is learnt.

walk = bg.Model("disasters ~ rw(year)", coal, family="poisson", time="year").fit(**settings)
print(walk.summary())
print(walk.check())
assert walk.check()["dispersion"].verdict == "pass"

# %%
# The Poisson with a changing rate passes too: given the year, counts are as spread as a Poisson's. The leave-one-out
# expected log predictive density decides between the two readings of the spread.

comparison = az.compare({
    "Poisson, one rate": poisson.loo(),
    "negative binomial, one rate": negative_binomial.loo(),
    "Poisson, rate changes": walk.loo(),
}, round_to="none")
print(comparison[["rank", "elpd", "p", "elpd_diff", "dse"]].to_string(float_format="{:.1f}".format))
assert comparison.index[0] == "Poisson, rate changes"
assert walk.loo().elpd - poisson.loo().elpd > 10

# %%
# The rate that was learnt

rates = walk.predict(quantities=("rate",)).to_frame()
figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
axes.bar(coal["year"], coal["disasters"], color="0.85", width=1.0, label="disasters")
axes.plot(coal["year"], rates["rate_mean"], color="C0", label="rate, mean")
axes.fill_between(coal["year"], rates["rate_eti90_lb"], rates["rate_eti90_ub"], color="C0", alpha=0.25, label="rate, 90 %")
axes.set_xlabel("year")
axes.set_ylabel("disasters a year")
axes.legend()

early = float(np.mean(rates["rate_mean"][coal["year"] < 1880]))
late = float(np.mean(rates["rate_mean"][coal["year"] > 1900]))
print(f"disasters a year: {early:.1f} before 1880, {late:.1f} after 1900")
assert early > 2.5 * late

# %%
# What to read from it: variance above the mean is no verdict on the family. Put in what is known to move the rate (here
# time), and ask again; a negative binomial is for the spread that is left. The first and the last year of the record
# are observed in part, so nothing should be read from them alone.
