"""Every family keeps its laws, also one that a user brings; a wrong one breaks each of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

from bayesglm.errors import OptionError
from bayesglm.families.family import Family, Parameter, count_support
from bayesglm.families.likelihood import likelihood
from bayesglm.families.links import LINKS
from bayesglm.registry import discover
from tests.families import laws
from tests.families.oracles import ORACLES

FAMILIES = discover("bayesglm.families", Family)
OPTIONED = {
    "truncated_poisson, 0 to 6": FAMILIES["truncated_poisson"].with_options(lower=0, upper=6),
    "truncated_poisson, 3 on": FAMILIES["truncated_poisson"].with_options(lower=3),
    "truncated_poisson, 2 to 9": FAMILIES["truncated_poisson"].with_options(lower=2, upper=9),
    "truncated_negative_binomial, 0 to 6": FAMILIES["truncated_negative_binomial"].with_options(lower=0, upper=6),
    "truncated_negative_binomial, 3 on": FAMILIES["truncated_negative_binomial"].with_options(lower=3),
    "truncated_negative_binomial, 2 to 9": FAMILIES["truncated_negative_binomial"].with_options(lower=2, upper=9),
    "categorical, 4 levels": FAMILIES["categorical"].for_levels(("a", "b", "c", "d")),
}

# A family that a user might bring: failures before a success, with the mean m.
GEOMETRIC = Family(
    name="geometric",
    label="Geometric",
    parameters=(Parameter("m", "mean", ("log",), "mean number of failures before a success", exposed=True),),
    support=count_support("geometric"),
    likelihood=lambda p: likelihood(
        "Geometric", lambda y, m: y * pt.log(m) - (y + 1.0) * pt.log1p(m),
        lambda m, size: pm.Geometric.dist(p=1.0 / (1.0 + m), size=size) - 1, p["m"],
    ),
    mean=lambda p, trials: p["m"],
    variance=lambda p, trials: p["m"] * (1.0 + p["m"]),
    draw=lambda rng, p, trials: rng.geometric(1.0 / (1.0 + p["m"])).astype(float) - 1.0,
    zero=lambda p, trials: 1.0 / (1.0 + p["m"]),
    exposure=True,
    proportional=True,
    source="Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, section 5.2",
)
ALL = {**FAMILIES, **OPTIONED, "geometric, brought by a user": GEOMETRIC}


def geometric_oracle(y, p, n):
    return stats.geom.logpmf(y + 1, 1 / (1 + p["m"]))


def truncated_oracle(base, family):
    lower, upper = family.support.lower, family.support.upper

    def oracle(y, p, n):
        every = np.arange(lower, min(upper, 3_000.0) + 1)[:, None]
        return base(y, p, n) - np.logaddexp.reduce(base(every, p, n), axis=0)

    return oracle


def oracle_of(key):
    if key in FAMILIES:
        return ORACLES[key]
    if key.startswith("truncated"):
        plain = ALL[key].name.removeprefix("truncated_")
        return truncated_oracle(ORACLES[plain], ALL[key])
    return geometric_oracle if key.startswith("geometric") else ORACLES["categorical"]


def test_the_promised_families_are_there():
    assert set(FAMILIES) >= set(ORACLES)


def test_every_family_has_an_oracle():
    assert set(FAMILIES) <= set(ORACLES)


@pytest.mark.parametrize("key", ALL)
@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_law(law, key):
    law(ALL[key])


@pytest.mark.parametrize("key", ALL)
def test_log_density_equals_scipy(key):
    laws.density_is(ALL[key], oracle_of(key))


@pytest.mark.parametrize("link", ["probit", "cloglog"])
@pytest.mark.parametrize("name", ["bernoulli", "binomial", "beta_binomial", "zero_inflated_binomial"])
def test_log_density_with_other_links_is_finite_and_scipys(name, link):
    family = FAMILIES[name]
    density = laws.log_density(family, {"p": link})
    eta = np.array([-2.5, -0.4, 0.7, 1.1])
    etas = {each.name: eta if each.name == "p" else np.full(4, 0.4) for each in family.parameters}
    numbers = {each.name: (LINKS[link] if each.name == "p" else each.link()).inverse(etas[each.name])
               for each in family.parameters}
    n = np.full(4, 1.0 if name == "bernoulli" else 9.0)
    y = np.arange(n[0] + 1)[:, None]
    np.testing.assert_allclose(density(y, etas, n), ORACLES[name](y, numbers, n), rtol=1e-9)
    far = {**etas, "p": np.array([-800.0, -30.0, 30.0, 800.0])}
    assert not np.isnan(density(y, far, n)).any()


@pytest.mark.parametrize("name", FAMILIES)
def test_only_its_own_links(name):
    for parameter in FAMILIES[name].parameters:
        for link in LINKS:
            if link in parameter.links:
                assert parameter.link(link) is LINKS[link]
                continue
            with pytest.raises(OptionError, match=rf"link '{link}' for .*can have the links {parameter.links[0]}"):
                parameter.link(link)


@pytest.mark.parametrize("name", FAMILIES)
def test_facts_for_readers(name):
    family = FAMILIES[name]
    assert family.name == name
    assert family.source
    assert family.label
    mean, *others = (each for each in family.parameters if each.role != "mean" or each is family.parameters[0])
    assert mean.role == "mean"
    for parameter in others:
        assert parameter.prior is not None, parameter.name
        assert parameter.intercept_prior is not None, parameter.name
        assert parameter.prefix.endswith("_"), parameter.name


@pytest.mark.parametrize(("name", "law", "wrong"), [
    ("poisson", laws.sums_to_one, {"likelihood": lambda p: likelihood(
        "Wrong", lambda y, mu: pm.logp(pm.Poisson.dist(mu=mu), y) + 0.01,
        lambda mu, size: pm.Poisson.dist(mu=mu, size=size), p["mu"])}),
    ("poisson", laws.moments_are_those_of_the_density, {"variance": lambda p, n: 1.01 * p["mu"]}),
    ("poisson", laws.moments_are_those_of_the_density, {"zero": lambda p, n: 1.01 * np.exp(-p["mu"])}),
    ("poisson", laws.draws_are_those_of_the_moments, {"draw": lambda rng, p, n: rng.poisson(1.2 * p["mu"]).astype(float)}),
    ("poisson", laws.draws_are_those_of_the_moments, {"draw": lambda rng, p, n: np.rint(rng.normal(p["mu"]))}),
    ("poisson", laws.likelihood_draws_are_those_of_the_moments, {"likelihood": lambda p: pm.Poisson.dist(mu=1.2 * p["mu"])}),
    ("poisson", laws.draws_stay_in_the_support, {"draw": lambda rng, p, n: rng.normal(p["mu"])}),
    ("poisson", laws.data_outside_the_support_are_refused, {"support": replace(
        FAMILIES["poisson"].support, faults=lambda values: ())}),
    ("poisson", laws.exposure_multiplies_the_mean, {"proportional": False}),
    ("truncated_poisson", laws.exposure_multiplies_the_mean, {"proportional": True}),
    ("bernoulli", laws.far_out_nothing_is_nan, {"likelihood": lambda p: pm.Bernoulli.dist(p=p["p"])}),
    ("poisson", laws.links_invert, {"parameters": (replace(FAMILIES["poisson"].parameters[0], links=("wrong",)),)}),
])
def test_a_wrong_family_breaks_the_law(name, law, wrong, monkeypatch):
    wrong_links = {**LINKS, "wrong": replace(LINKS["log"], tensor=lambda eta: 1.001 * pt.exp(eta))}
    monkeypatch.setattr(laws, "LINKS", wrong_links)
    with pytest.raises(AssertionError):
        law(replace(FAMILIES[name], **wrong))


def test_the_wrong_convention_of_the_dispersion_is_seen():
    def reciprocal(y, p, n):
        return ORACLES["negative_binomial"](y, {**p, "concentration": 1 / p["concentration"]}, n)

    with pytest.raises(AssertionError):
        laws.density_is(FAMILIES["negative_binomial"], reciprocal)
