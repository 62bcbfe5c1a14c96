"""Truncated negative binomial counts: counts below ``lower`` or above ``upper`` were never recorded; zero-truncated without options."""

from __future__ import annotations

from bayesglm.families.counts import NEGATIVE_BINOMIAL
from bayesglm.families.truncation import truncated

MEMBER = truncated(NEGATIVE_BINOMIAL)
