"""Truncated negative binomial counts: what lies below ``lower`` or above ``upper`` was never recorded."""

from __future__ import annotations

from bayesglm.families.counts import NEGATIVE_BINOMIAL
from bayesglm.families.truncation import truncated

MEMBER = truncated(NEGATIVE_BINOMIAL)
