"""Truncated Poisson counts: counts below ``lower`` or above ``upper`` were never recorded; zero-truncated without options."""

from __future__ import annotations

from bayesglm.families.counts import POISSON
from bayesglm.families.truncation import truncated

MEMBER = truncated(POISSON)
