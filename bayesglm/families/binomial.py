"""Binomial successes out of trials: P(y) = C(n, y) p^y (1 - p)^(n - y)."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable
from scipy import special

from bayesglm.families.family import Array, Family, Mask, Numbers, Parameter, Support
from bayesglm.families.likelihood import likelihood
from bayesglm.families.reduction import Reduction, Rows
from bayesglm.families.values import Values

SMALLEST_VARIANCE = np.float64(1e-300)
PROBABILITY = Parameter("p", "mean", ("logit", "probit", "cloglog"), "probability of success of one trial")


def successes_support(family: str) -> Support:
    """Support of successes: integers from 0 to the row's trials."""

    def faults(values: Array) -> tuple[tuple[str, Mask, str], ...]:
        proportion = (values > 0) & (values < 1)
        return (
            ("{} negative values", values < 0, "Drop the rows."),
            ("{} proportions between 0 and 1", proportion,
             "Give the number of successes: successes | trials(n), not successes / n."),
            ("{} values that are no integers", (values > 1) & (values != np.floor(values)),
             "Give whole numbers of successes, or use family='gaussian'."),
        )

    return Support("successes", f"a {family} response needs counts of successes from 0 to the row's trials", faults)


def binomial_statistics(rows: Rows) -> dict[str, Array]:
    """Successes and trials of a cell: binomials with one probability add up to a binomial."""
    return {"y": rows.total(rows.response), "trials": rows.total(required(rows.trials))}


def log_coefficients(rows: Rows) -> float:
    """Return the sum of log C(n, y)."""
    n, y = required(rows.trials), rows.response
    return float(rows.frequency @ (special.gammaln(n + 1.0) - special.gammaln(y + 1.0) - special.gammaln(n - y + 1.0)))


def log_successes(y: TensorVariable, n: TensorVariable, log_p: TensorVariable, log_q: TensorVariable) -> TensorVariable:
    """Log of p^y q^(n - y), from logs of which at most one is near 0: nothing cancels."""
    return y * log_p + (n - y) * log_q


def bernoulli_information(p: Values) -> TensorVariable:
    """Return the expected information of one trial in the linear predictor of its probability: (dp / d eta)^2 / (p (1 - p))."""
    variance = pt.exp(p.log_probability("p") + p.log_complement("p"))
    return p.slope("p") ** 2 / pt.maximum(variance, SMALLEST_VARIANCE)


def log_choose(n: TensorVariable, y: TensorVariable) -> TensorVariable:
    """Log of n over y; minus infinity above n."""
    return pt.gammaln(n + 1.0) - pt.gammaln(y + 1.0) - pt.gammaln(n - y + 1.0)


def binomial_log_mass(y: TensorVariable, log_p: TensorVariable, log_q: TensorVariable, n: TensorVariable) -> TensorVariable:
    """Log mass from log p and log(1 - p)."""
    return log_choose(n, y) + log_successes(y, n, log_p, log_q)


def required(trials: Array | None) -> Array:
    """Return the trials; a family with trials is never called without them."""
    return np.ones(()) if trials is None else trials


def draw_successes(rng: np.random.Generator, n: Array, p: Array) -> Array:
    """Draw binomial successes as float64."""
    return rng.binomial(np.asarray(n, dtype=np.int64), p).astype(np.float64)


def none_of(p: Numbers, trials: Array | None) -> Array:
    """Return P(no success)."""
    with np.errstate(divide="ignore"):
        return np.exp(required(trials) * np.log1p(-p["p"]))


MEMBER = Family(
    name="binomial",
    label="Binomial",
    parameters=(PROBABILITY,),
    support=successes_support("binomial"),
    likelihood=lambda p: likelihood(
        "Binomial", binomial_log_mass,
        lambda log_p, log_q, n, size: pm.Binomial.dist(n=n.astype("int64"), p=pt.exp(log_p), size=size),
        p.log_probability("p"), p.log_complement("p"), p.trials,
    ),
    mean=lambda p, trials: required(trials) * p["p"],
    variance=lambda p, trials: required(trials) * p["p"] * (1.0 - p["p"]),
    draw=lambda rng, p, trials: draw_successes(rng, required(trials), p["p"]),
    zero=none_of,
    trials=True,
    proportional=True,
    reduction=Reduction(
        binomial_statistics,
        lambda p, of: log_successes(of["y"], of["trials"], p.log_probability("p"), p.log_complement("p")),
        number=log_coefficients,
    ),
    information=lambda p, of: {("p", "p"): of["trials"] * bernoulli_information(p)},
    log_concave={"p": ("logit", "probit", "cloglog")},
    source="McCullagh and Nelder (1989), Generalized Linear Models, chapter 4",
)
