"""The log densities of the families as SciPy has them: all in log space, so that they hold in the tails."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import special, stats

from tests.families.laws import Oracle


def nb2(p):
    k = p["concentration"]
    return stats.nbinom(k, k / (k + p["mu"]))


def poisson(p):
    return stats.poisson(p["mu"])


def inflated(base):
    def oracle(y, p, n):
        log_f = base(y, p, n)
        some = np.log1p(-p["zero_probability"]) + log_f
        return np.where(y == 0, np.logaddexp(np.log(p["zero_probability"]), some), some)

    return oracle


def hurdle(base):
    def oracle(y, p, n):
        positive = np.log1p(-p["zero_probability"]) + base(p).logpmf(y) - base(p).logsf(0)
        return np.where(y == 0, np.log(p["zero_probability"]), positive)

    return oracle


def from_one(base):
    return lambda y, p, n: np.where(y >= 1, base(p).logpmf(y) - base(p).logsf(0), -np.inf)


def categorical(y, p, n):
    scores = np.stack([np.zeros_like(next(iter(p.values()))), *p.values()])
    logs = scores - special.logsumexp(scores, axis=0)
    return np.take_along_axis(logs, y.astype(int) + np.zeros((1, logs.shape[1]), dtype=int), axis=0)


ORACLES: Mapping[str, Oracle] = {
    "bernoulli": lambda y, p, n: stats.bernoulli.logpmf(y, p["p"]),
    "beta_binomial": lambda y, p, n: stats.betabinom.logpmf(y, n, p["p"] * p["phi"], (1 - p["p"]) * p["phi"]),
    "binomial": lambda y, p, n: stats.binom.logpmf(y, n, p["p"]),
    "categorical": categorical,
    "gamma": lambda y, p, n: stats.gamma.logpdf(y, p["shape"], scale=p["mu"] / p["shape"]),
    "gaussian": lambda y, p, n: stats.norm.logpdf(y, p["mu"], p["sigma"]),
    "hurdle_negative_binomial": hurdle(nb2),
    "hurdle_poisson": hurdle(poisson),
    "negative_binomial": lambda y, p, n: nb2(p).logpmf(y),
    "negative_binomial_nb1": lambda y, p, n: stats.nbinom.logpmf(y, p["mu"] / p["delta"], 1 / (1 + p["delta"])),
    "poisson": lambda y, p, n: poisson(p).logpmf(y),
    "student_t": lambda y, p, n: stats.t.logpdf(y, p["nu"], p["mu"], p["sigma"]),
    "truncated_negative_binomial": from_one(nb2),
    "truncated_poisson": from_one(poisson),
    "zero_inflated_binomial": inflated(lambda y, p, n: stats.binom.logpmf(y, n, p["p"])),
    "zero_inflated_negative_binomial": inflated(lambda y, p, n: nb2(p).logpmf(y)),
    "zero_inflated_poisson": inflated(lambda y, p, n: poisson(p).logpmf(y)),
}
