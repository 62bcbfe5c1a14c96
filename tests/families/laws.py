"""Laws of a family, each a function of the record (and of its SciPy oracle): they raise AssertionError where one is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from bayesglm.families.family import Array, Family
from bayesglm.families.links import LINKS
from bayesglm.families.values import Values

Oracle = Callable[[Array, Mapping[str, Array], Array | None], Array]

# Linear predictors at which a family is held to its laws, by role and link.
ETAS: Mapping[tuple[str, str], tuple[float, ...]] = {
    ("mean", "log"): (-1.5, 0.4, 2.0),
    ("mean", "logit"): (-2.0, 0.3, 1.5),
    ("mean", "probit"): (-1.1, 0.2, 0.9),
    ("mean", "cloglog"): (-1.8, -0.3, 0.6),
    ("mean", "identity"): (-2.0, 0.5),
    ("mean", "softmax"): (-1.0, 0.7),
    ("zero", "logit"): (-1.5, 1.0),
    ("dispersion", "log"): (-0.7, 1.0, 3.0),
    ("other", "log"): (2.0, 3.0, 4.0),
}
TRIALS = (1.0, 12.0)
DRAWS = 4_000
# Largest standard score of a fixed seed: some 1,500 of them are looked at, of which one in a million is beyond 5.
MOST_SIGMAS = 5.0


@dataclass(frozen=True, slots=True)
class Setting:
    """Every combination of the linear predictors of a family, flattened."""

    etas: Mapping[str, Array]
    numbers: Mapping[str, Array]
    trials: Array | None

    @property
    def size(self) -> int:
        return next(iter(self.numbers.values())).size


def settings(family: Family) -> Setting:
    """Return the table of settings of a family, default links."""
    axes = [ETAS[each.role, each.links[0]] for each in family.parameters]
    rows = np.array(list(product(*axes, TRIALS if family.trials else (np.nan,))))
    etas = {each.name: rows[:, i] for i, each in enumerate(family.parameters)}
    numbers = {each.name: each.link().inverse(etas[each.name]) for each in family.parameters}
    return Setting(etas, numbers, rows[:, -1] if family.trials else None)


def symbols(family: Family, links: Mapping[str, str] | None = None, *, kind: str = "vector") -> tuple[Values, list]:
    """Return the parameters as functions of symbolic linear predictors, and those as inputs (then the trials)."""
    make = {"vector": pt.dvector, "matrix": pt.dmatrix}[kind]
    etas = {each.name: make(f"eta_{each.name}") for each in family.parameters}
    chosen = {each.name: each.link((links or {}).get(each.name)) for each in family.parameters}
    trials = make("trials") if family.trials else None
    value = {name: chosen[name].tensor(eta) for name, eta in etas.items()}
    return Values(value, etas, chosen, trials), [*etas.values(), *([trials] if family.trials else [])]


def log_density(family: Family, links: Mapping[str, str] | None = None) -> Callable[..., Array]:
    """Return log p(y) of (y, etas, trials), y along the first axis and settings along the second."""
    values, inputs = symbols(family, links, kind="matrix")
    y = pt.dmatrix("y")
    compiled = pytensor.function([y, *inputs], pm.logp(family.likelihood(values), y), mode="FAST_COMPILE",
                                 on_unused_input="ignore")

    def evaluate(y: Array, etas: Mapping[str, Array], trials: Array | None = None) -> Array:
        arguments = [*(etas[each.name] for each in family.parameters), *([trials] if family.trials else [])]
        rows = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (y, *arguments)))
        return compiled(*rows)

    return evaluate


def support_grid(family: Family, setting: Setting) -> tuple[Array, Array]:
    """Return values over the support, along the first axis, and their weights: 1, or those of an integral."""
    support = family.support
    if support.discrete:
        top = min(support.upper, 1_500 if setting.trials is None else setting.trials.max())
        y = np.arange(support.lower, top + 1.0)[:, None]
        return y, np.ones_like(y)
    # The trapezoid rule in t is exact to many digits: y = exp(t), or y = mean + sd sinh(t).
    t = np.linspace(-60.0, 12.0, 8_001) if support.lower == 0 else np.linspace(-30.0, 30.0, 8_001)
    mean, sd = family.mean(setting.numbers, None), np.sqrt(family.variance(setting.numbers, None))
    y = np.exp(t)[:, None] + 0 * mean if support.lower == 0 else mean + sd * np.sinh(t)[:, None]
    step = y if support.lower == 0 else sd * np.cosh(t)[:, None]
    return y, step * (t[1] - t[0])


def mass(family: Family) -> tuple[Setting, Array, Array]:
    """Return the settings, the support, and the weighted density over it."""
    setting = settings(family)
    y, weight = support_grid(family, setting)
    return setting, y, np.exp(log_density(family)(y, setting.etas, setting.trials)) * weight


def sums_to_one(family: Family) -> None:
    """The probabilities of the support sum (or integrate) to one."""
    _, _, p = mass(family)
    np.testing.assert_allclose(p.sum(0), 1.0, rtol=1e-9)


def moments_are_those_of_the_density(family: Family) -> None:
    """mean, variance and zero equal the sums over the density."""
    setting, y, p = mass(family)
    mean, variance = (f(setting.numbers, setting.trials) for f in (family.mean, family.variance))
    if family.support.kind == "category":
        np.testing.assert_allclose(mean, p.T, rtol=1e-9)
        np.testing.assert_allclose(variance, (p * (1 - p)).T, rtol=1e-9)
        return
    assert mean.shape == variance.shape == (setting.size,)
    np.testing.assert_allclose(mean, (p * y).sum(0), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(variance, (p * (y - mean) ** 2).sum(0), rtol=1e-7)
    if family.support.discrete:
        expected = p[0] if family.support.lower == 0 else np.zeros(setting.size)
        np.testing.assert_allclose(family.zero(setting.numbers, setting.trials), expected, rtol=1e-9)


def density_is(family: Family, oracle: Oracle) -> None:
    """The log density equals the oracle's, in the tails too."""
    setting = settings(family)
    y = np.arange(family.support.lower, min(family.support.upper, 60.0) + 1)[:, None] if family.support.discrete else (
        np.geomspace(1e-8, 1e4, 50)[:, None] if family.support.lower == 0 else np.linspace(-100, 100, 41)[:, None])
    if setting.trials is not None:
        y = y[y[:, 0] <= setting.trials.max()]
    found = log_density(family)(y, setting.etas, setting.trials)
    with np.errstate(divide="ignore"):
        expected = oracle(y, setting.numbers, setting.trials)
    possible = np.isfinite(expected)
    assert possible.any()
    np.testing.assert_array_equal(found[~possible], -np.inf)
    np.testing.assert_allclose(found[possible], expected[possible], rtol=1e-10, atol=1e-10)


def links_invert(family: Family) -> None:
    """eta = link(value) inverts on the domain, and NumPy and PyTensor agree on values and their logs."""
    for parameter in family.parameters:
        for name in parameter.links:
            link = LINKS[name]
            eta = np.linspace(-5.0, 1.2 if name == "cloglog" else 5.0, 61)
            value = link.inverse(eta)
            np.testing.assert_allclose(link.inverse(link.forward(value)), value, rtol=1e-10)
            np.testing.assert_allclose(link.forward(value), eta, rtol=1e-7, atol=1e-10)
            x = pt.dvector()
            logs = [each(x) for each in (link.log_value, link.log_complement) if each is not None]
            found = pytensor.function([x], [link.tensor(x), *logs], mode="FAST_COMPILE")(eta)
            np.testing.assert_allclose(found[0], value, rtol=1e-12)
            for each, expected in zip(found[1:], (np.log, lambda p: np.log1p(-p)), strict=False):
                np.testing.assert_allclose(each, expected(value), rtol=1e-9, atol=1e-15)


def draws_are_those_of_the_moments(family: Family) -> None:
    """NumPy's draws have the family's mean, variance and share of zeros."""
    setting = settings(family)
    numbers = {name: np.broadcast_to(each, (DRAWS, setting.size)) for name, each in setting.numbers.items()}
    _agree(family, setting, family.draw(np.random.default_rng(1), numbers, setting.trials))


def likelihood_draws_are_those_of_the_moments(family: Family) -> None:
    """PyMC's draws of the likelihood do too."""
    setting = settings(family)
    etas = {name: pt.as_tensor(np.broadcast_to(each, (DRAWS, setting.size))) for name, each in setting.etas.items()}
    links = {each.name: each.link() for each in family.parameters}
    trials = None if setting.trials is None else pt.as_tensor(np.broadcast_to(setting.trials, (DRAWS, setting.size)))
    values = Values({name: links[name].tensor(eta) for name, eta in etas.items()}, etas, links, trials)
    _agree(family, setting, pm.draw(family.likelihood(values), random_seed=1, mode="FAST_COMPILE").astype(float))


def _agree(family: Family, setting: Setting, draws: Array) -> None:
    assert draws.shape == (DRAWS, setting.size)
    assert draws.dtype == np.float64
    mean, variance = (f(setting.numbers, setting.trials) for f in (family.mean, family.variance))
    if family.support.kind == "category":
        for code in range(mean.shape[-1]):
            _standard_score((draws == code).mean(0), mean[:, code], np.sqrt(variance[:, code] / DRAWS))
        return
    _standard_score(draws.mean(0), mean, np.sqrt(variance / DRAWS))
    square = (draws - mean) ** 2
    _standard_score(square.mean(0), variance, square.std(0) / np.sqrt(DRAWS))
    if family.support.discrete:
        zero = family.zero(setting.numbers, setting.trials)
        _standard_score((draws == 0).mean(0), zero, np.sqrt(zero * (1 - zero) / DRAWS))


def _standard_score(found: Array, expected: Array, error: Array) -> None:
    score = np.abs(found - expected) / np.maximum(error, 1e-12)
    assert score.max() < MOST_SIGMAS, f"{found[score.argmax()]} for {expected[score.argmax()]}, {score.max():.1f} sigmas off"


def draws_stay_in_the_support(family: Family) -> None:
    """No draw is refused, at the settings and far outside them."""
    setting, rng = settings(family), np.random.default_rng(2)
    extreme = {each.name: each.link().inverse(np.repeat([-30.0, 30.0], 200)) for each in family.parameters}
    trials = np.full(400, 12.0) if family.trials else None
    for numbers, n in ((setting.numbers, setting.trials), (extreme, trials)):
        draws = family.draw(rng, numbers, n)
        assert not np.isnan(draws).any()
        for problem, bad, _ in family.support.faults(draws):
            assert not bad.any(), f"{problem}: {draws[bad][:3]}"
        assert (draws <= (family.support.upper if n is None else n)).all()


def data_outside_the_support_are_refused(family: Family) -> None:
    """Each way to be wrong has a mask of its own, a message that no other has, and a fix."""
    wrong = {
        "count": ((-1.0, "negative"), (2.5, "no integers"), (0.5, "proportions")),
        "binary": ((-1.0, "negative"), (2.0, "neither 0 nor 1"), (0.5, "proportions")),
        "successes": ((-1.0, "negative"), (2.5, "no integers"), (0.5, "proportions")),
        "positive": ((-1.0, "negative"), (0.0, "zeros")),
        "category": ((-1.0, "negative"), (0.5, "no integers"), (99.0, "beyond")),
        "real": (),
    }[family.support.kind]
    for value, word in wrong:
        flagged = [(problem, fix) for problem, bad, fix in family.support.faults(np.array([value])) if bad.any()]
        assert flagged, f"{value} passes"
        assert word in flagged[0][0], flagged
        assert flagged[0][1].endswith(".")
    assert family.name in family.support.rule


def exposure_multiplies_the_mean(family: Family) -> None:
    """Half the first parameter gives half the mean where that is said, and only there."""
    setting, first = settings(family), family.parameters[0].name
    half = {**setting.numbers, first: 0.5 * setting.numbers[first]}
    whole = family.mean(setting.numbers, setting.trials)
    proportional = np.allclose(family.mean(half, setting.trials), 0.5 * whole, rtol=1e-12)
    assert proportional == family.proportional
    exposed = [each.name for each in family.parameters if each.exposed]
    assert exposed == ([first] if family.exposure else [])


def far_out_nothing_is_nan(family: Family) -> None:
    """At linear predictors of 800 and where the mean is 0: no NaN; with logit links the log density is finite too."""
    logits = all(each.links[0] == "logit" for each in family.parameters)
    spread = np.array([-800.0, 0.0, 800.0] if logits else [-40.0, 0.0, 40.0])
    rows = np.array(list(product(*[spread] * len(family.parameters))))
    etas = {each.name: rows[:, i] for i, each in enumerate(family.parameters)}
    trials = np.full(len(rows), 7.0) if family.trials else None
    low = max(family.support.lower, 0.0) + (0.0 if family.support.discrete else 0.5)
    y = np.array([low, min(low + 1.0, family.support.upper), min(low + 5.0, family.support.upper)])[:, None]
    found = log_density(family)(y, etas, trials)
    assert not np.isnan(found).any()
    assert np.isfinite(found).all() or not logits
    numbers = {each.name: each.link().inverse(etas[each.name]) for each in family.parameters}
    none = {**numbers, family.parameters[0].name: 0.0 * numbers[family.parameters[0].name]}
    for given in (numbers, none):
        for function in (family.mean, family.variance, *([family.zero] if family.zero else [])):
            assert not np.isnan(function(given, trials)).any(), function


LAWS = (
    sums_to_one, moments_are_those_of_the_density, links_invert, draws_are_those_of_the_moments,
    likelihood_draws_are_those_of_the_moments, draws_stay_in_the_support, data_outside_the_support_are_refused,
    exposure_multiplies_the_mean, far_out_nothing_is_nan,
)
