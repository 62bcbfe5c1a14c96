"""Poisson counts: P(y) = mu^y exp(-mu) / y!, variance mu."""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesglm.families.counts import COUNT_MEAN, ONE, POISSON, log_factorials
from bayesglm.families.family import Array, Family, count_support
from bayesglm.families.reduction import Reduction, Rows


def _statistics(rows: Rows) -> dict[str, Array]:
    """Return the sums of counts and exposures: the counts of a cell add up to one count with the exposure of all."""
    exposure = np.ones(len(rows.response)) if rows.exposure is None else rows.exposure
    return {"y": rows.total(rows.response), "exposure": rows.total(exposure)}


def _number(rows: Rows) -> float:
    """Return the sum of y log exposure - log y! over rows, minus y log exposure of the cells, which the cells' log mass has."""
    cells = _statistics(rows)
    own = 0.0 if rows.exposure is None else float((rows.frequency * rows.response) @ np.log(rows.exposure))
    return own - float(cells["y"] @ np.log(cells["exposure"])) + log_factorials(rows)


MEMBER = Family(
    name="poisson",
    label="Poisson",
    parameters=(COUNT_MEAN,),
    support=count_support("poisson"),
    likelihood=lambda p: pm.Poisson.dist(mu=p["mu"]),
    mean=lambda p, trials: p["mu"],
    variance=lambda p, trials: p["mu"],
    draw=lambda rng, p, trials: POISSON.draw(rng, p["mu"]),
    zero=lambda p, trials: POISSON.zero(p["mu"]),
    exposure=True,
    proportional=True,
    reduction=Reduction(_statistics, lambda p, of: POISSON.log_varying(ONE, of["y"], p), number=_number),
    information=lambda p, of: {("mu", "mu"): p["mu"]},
    log_concave={"mu": ("log",)},
    source=POISSON.source,
)
