"""Zero-inflated Poisson counts: a structural zero with probability pi, else Poisson(mu)."""

from __future__ import annotations

from bayesglm.families.counts import POISSON
from bayesglm.families.zeros import zero_inflated

MEMBER = zero_inflated(
    POISSON, source="Lambert (1992), Technometrics 34, 1",
    caution="Effects on mu are those among units at risk; the mean of all counts is (1 - zero_probability) mu. Many zeros "
    "alone do not speak for inflation: rare events and a negative binomial have them too.",
)
