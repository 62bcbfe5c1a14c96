"""Oracles: what the posterior of a target is, by quadrature or from a long run that shares little with what is judged.

Kept as JSON beside this module, so that the study is quick: for each reported quantity its 5 % quantile, median, 95 % quantile
and robust sd, 1.4826 times the median absolute deviation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bayesglm.checks.convergence import diagnostics, entries
from bayesglm.engines import Engine, Nuts, Run
from bayesglm.engines.density import Density, compile_density
from bayesglm.engines.plain import plain_target
from bayesglm.engines.sampling import Adaptation, sample
from bayesglm.engines.structured import goals_of
from bayesglm.fitted import Fitted
from bayesglm.model import build
from bayesglm.priors import Normal
from bayesglm.specification import Problem, intercept_default
from benchmarks.verdicts.exact import EXACT
from benchmarks.verdicts.targets import Hard

Array = NDArray[np.float64]
FOLDER = Path(__file__).parent / "posteriors"
FEWEST_EFFECTIVE, HIGHEST_R_HAT = 4_000.0, 1.005
ROBUST = 1.4826  # a normal distribution's sd over its median absolute deviation
SEED = 20_251


@dataclass(frozen=True, slots=True)
class Spread:
    """One quantity's posterior.

    Attributes
    ----------
    q05, median, q95 : float
        Quantiles.
    sd : float
        Robust sd.
    """

    q05: float
    median: float
    q95: float
    sd: float


@dataclass(frozen=True, slots=True)
class Oracle:
    """The posterior of a target.

    Attributes
    ----------
    how : {"exact", "plain run", "structured run"}
        By quadrature, from a long run of the model as PyMC writes it, or from one in transported coordinates.
    table : str
        Fingerprint of the table.
    ess, r_hat : float, optional
        The smallest effective sample size and the largest R-hat of a run.
    divergences : int, optional
        Of a run.
    quantities : mapping
        Label to its posterior.
    """

    how: str
    table: str
    ess: float | None
    r_hat: float | None
    divergences: int | None
    quantities: Mapping[str, Spread]

    @property
    def good(self) -> bool:
        """Whether it is exact, or from a run long enough."""
        return self.ess is None or self.r_hat is None or (self.ess >= FEWEST_EFFECTIVE and self.r_hat < HIGHEST_R_HAT)


@dataclass(frozen=True, slots=True)
class LongRun(Engine):
    """nutpie on the model over rows, as PyMC writes it: nothing of cells, of transports, of our warm-up.

    Parameters
    ----------
    tune, most_draws : int
        Warm-up draws of each chain, and most kept draws.
    effective : float
        Effective draws, bulk and tail, that every quantity should have.
    target_accept : float
        Mean acceptance the step size aims at.
    """

    tune: int = 2_000
    most_draws: int = 20_000
    effective: float = FEWEST_EFFECTIVE
    target_accept: float = 0.99
    name: ClassVar[str] = "long_run"

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw until every quantity has its effective draws; see `Engine.run`."""
        density = compile_density(build(problem))
        goals = dict.fromkeys(goals_of(problem.specification), self.effective)
        target = plain_target(density, flat_starts(density, starting_values(problem), chains=4, seed=seed), goals)
        form = Adaptation(tune=self.tune, form="low_rank", target_accept=self.target_accept, initial_step=0.1, max_treedepth=12)
        found = sample(target, seed=seed, adaptation=form, block=1_000, most_draws=self.most_draws, progress=progress)
        return Run(found.tree(target), {"sample": found.seconds}, found.complete, found.notes)


def starting_values(problem: Problem) -> dict[str, float]:
    """Return where sampling may start: intercepts at the link of the mean response, by the name of their variable."""
    specification = problem.specification
    starts = {}
    for each in specification.predictors:
        default = intercept_default(specification.family.parameter(each.parameter), each, specification.family,
                                    problem.observations, problem.patterns, 1.0)
        name = each.name("Intercept_centered" if each.coef else "Intercept")
        if each.intercept and isinstance(default, Normal):
            starts[name] = default.mu
    return starts


def flat_starts(density: Density, start: Mapping[str, float], *, chains: int, seed: int) -> Array:
    """Return a start for each chain: uniform within 1 of 0, or of the value that is named for a variable."""
    at = np.concatenate([np.full(shape, start.get(name, 0.0)).ravel() for name, shape in density.shapes.items()])
    return np.asarray(at + np.random.default_rng(seed).uniform(-1, 1, (chains, at.size)))


def spread(values: Array, probability: Array | None = None) -> Spread:
    """Return quantiles and robust sd of draws, or of values with probabilities.

    Examples
    --------
    >>> spread(np.arange(101.0))
    Spread(q05=5.0, median=50.0, q95=95.0, sd=37.065)
    """
    if probability is None:
        q05, median, q95 = np.quantile(values, (0.05, 0.5, 0.95))
        sd = ROBUST * np.median(np.abs(values - median))
    else:
        q05, median, q95 = weighted_quantiles(values, probability, (0.05, 0.5, 0.95))
        (sd,) = ROBUST * weighted_quantiles(np.abs(values - median), probability, (0.5,))
    return Spread(*(float(f"{each:.8g}") for each in (q05, median, q95, sd)))


def weighted_quantiles(values: Array, probability: Array, levels: tuple[float, ...]) -> Array:
    """Return quantiles of values with probabilities, each value's probability spread around it.

    Examples
    --------
    >>> weighted_quantiles(np.array([2.0, 0.0, 1.0]), np.array([0.25, 0.25, 0.5]), (0.5,)).tolist()
    [1.0]
    """
    known, place = np.unique(values, return_inverse=True)
    share = np.bincount(place, weights=probability)
    return np.asarray(np.interp(levels, np.cumsum(share) - 0.5 * share, known))


def spreads(fitted: Fitted) -> dict[str, Spread]:
    """Return the posterior of every quantity that a fit reports."""
    found = {}
    for name in fitted.specification.reported():
        texts, values = entries(fitted, name)
        found |= {text: spread(values[:, :, i].ravel()) for i, text in enumerate(texts)}
    return found


def find(target: Hard, *, structured: bool, effective: float = FEWEST_EFFECTIVE) -> Oracle:
    """Return the oracle of a target: exact where a function for it stands in `exact`, else from a long run.

    Parameters
    ----------
    target : Hard
        The target.
    structured : bool
        Whether the run is in transported coordinates, for where the model as PyMC writes it takes too long.
    effective : float
        Effective draws to aim at. A quantile far out in a long tail takes ten times as many as one of a normal distribution.
    """
    table = target.table()
    model = target.model(table)
    if target.name in EXACT:
        quantities = {label: spread(*marginal) for label, marginal in EXACT[target.name](table).items()}
        return Oracle("exact", model.audit.fingerprint, None, None, None, quantities)
    most = max(20_000, int(effective))
    engine: Engine = (Nuts(draws=most // 2, tune=2_000, target_accept=0.99) if structured
                      else LongRun(most_draws=most, effective=effective))
    fit = model.fit(engine, seed=SEED, progress=False)
    stands = diagnostics(fit)
    return Oracle("structured run" if structured else "plain run", model.audit.fingerprint,
                  float(stands[["ess_bulk", "ess_tail"]].min(axis=None)), float(stands["r_hat"].max()),
                  int(fit.draws["sample_stats"]["diverging"].sum()), spreads(fit))


def keep(target: Hard, oracle: Oracle) -> None:
    """Write the oracle of a target."""
    FOLDER.mkdir(exist_ok=True)
    told = asdict(oracle) | {"quantities": {label: list(asdict(each).values()) for label, each in oracle.quantities.items()}}
    lines = ",\n".join(f"  {json.dumps(label)}: {json.dumps(numbers)}" for label, numbers in told.pop("quantities").items())
    head = json.dumps(told)[:-1]
    (FOLDER / f"{target.name}.json").write_text(f'{head}, "quantities": {{\n{lines}\n}}}}\n', encoding="utf-8")


def read(target: Hard, fingerprint: str) -> Oracle:
    """Return the kept oracle of a target.

    Raises
    ------
    ValueError
        There is none, or it is of another table than the one with this fingerprint.
    """
    path = FOLDER / f"{target.name}.json"
    again = f"python -m benchmarks.verdicts --oracles --targets {target.name}"
    if not path.exists():
        raise ValueError(f"{target.name} has no oracle; run {again}")
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    oracle = Oracle(**told | {"quantities": {label: Spread(*numbers) for label, numbers in told["quantities"].items()}})
    if oracle.table != fingerprint:
        raise ValueError(f"the oracle of {target.name} is of another table; run {again}")
    return oracle


def has(target: Hard) -> bool:
    """Return whether the oracle of a target is kept."""
    return (FOLDER / f"{target.name}.json").exists()


def remake(target: Hard, *, structured: bool, effective: float = FEWEST_EFFECTIVE) -> str:
    """Find and keep the oracle of a target, and return a line about it; one that is not good enough is not kept."""
    begin = time.perf_counter()
    oracle = find(target, structured=structured, effective=effective)
    if oracle.good:
        keep(target, oracle)
    run = "" if oracle.ess is None else f", ESS {oracle.ess:.0f}, R-hat {oracle.r_hat:.4f}, {oracle.divergences} divergences"
    said = f"{target.name:<18}{oracle.how}{run}, {len(oracle.quantities)} quantities, {time.perf_counter() - begin:.0f} s"
    return said if oracle.good else f"{said}: NOT KEPT, ESS of {FEWEST_EFFECTIVE:.0f} and R-hat below {HIGHEST_R_HAT} are needed"
