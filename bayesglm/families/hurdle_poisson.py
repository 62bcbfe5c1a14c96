"""Hurdle Poisson counts: zero with probability pi, else Poisson(mu) from 1 on."""

from __future__ import annotations

from bayesglm.families.counts import POISSON
from bayesglm.families.zeros import hurdle

MEMBER = hurdle(
    POISSON, source="Mullahy (1986), Journal of Econometrics 33, 341",
    caution="All zeros come from one process, so the model does not tell structural zeros from others. mu is the mean before "
    "zeros are cut off; the mean of positive counts is mu / (1 - f(0)).",
)
