"""Zero-inflated negative binomial counts: a structural zero with probability pi, else NB2(mu, k)."""

from __future__ import annotations

from bayesglm.families.counts import NEGATIVE_BINOMIAL
from bayesglm.families.zeros import zero_inflated

MEMBER = zero_inflated(
    NEGATIVE_BINOMIAL, source="Hilbe (2011), Negative Binomial Regression, section 11.3",
    caution="Inflation and concentration are weakly identified at low means (below about 3): a small concentration explains "
    "many zeros as well. Effects on mu are those among units at risk; the mean of all counts is (1 - zero_probability) mu.",
)
