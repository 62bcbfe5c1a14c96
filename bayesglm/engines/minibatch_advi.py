"""Mean-field variational inference by batches of rows: tables that do not fit in memory, in memory that does not grow with them.

1. A sample of rows gives the structure; about four passes over all rows place the transport at their mode
   (`bayesglm.engines.streamed`).
2. The ELBO is climbed in steps of one batch each (`bayesglm.engines.stochastic`). A batch stands for the table by what it says
   beyond second order, scaled by total / batch; up to second order the table speaks for itself.
3. Draws, with longer tails of the hyperparameters, are weighted and judged on a random sample of rows in the same way. What the
   sample leaves open is measured, from its halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from bayesglm.data.source import SAMPLE
from bayesglm.engines.advi import few_coordinates
from bayesglm.engines.approximation import Drawn, Returned, against, corrected, posterior_tree, trace
from bayesglm.engines.engine import Engine, Run
from bayesglm.engines.evaluations import evaluate
from bayesglm.engines.laps import laps
from bayesglm.engines.mirror import mirror
from bayesglm.engines.native import Native
from bayesglm.engines.stochastic import Ascended, Averaged, ascend
from bayesglm.engines.streamed import Streamed, stream
from bayesglm.engines.structured import Prepared, large_states
from bayesglm.engines.variational import Normal, standard
from bayesglm.engines.verdict import judge, smooth
from bayesglm.errors import EngineError
from bayesglm.latent.layout import reason_against
from bayesglm.latent.pieces import count_rows, pieces, random_rows, some_rows
from bayesglm.latent.walks import reason_against_levels
from bayesglm.specification import Problem

Array = NDArray[np.float64]
MOST_RESTARTS = 2
FREEDOM = 7.0  # degrees of freedom of the tails that proposals of hyperparameters have
SHRUNK = float(np.sqrt((FREEDOM - 2.0) / FREEDOM))  # to an sd of 1
MOST_KEPT = 8  # batches that are coded once and kept
STARTING = 8_192  # rows that the structure comes from
JUDGING = (8_192, 16_384, SAMPLE)  # rows that draws are judged on: the fewest that suffice
NOISE_DRAWS, NOISE_NUMBERS = 100, 2_000_000  # fewer draws of many coordinates
NUMBERS_AT_ONCE = 4_000_000  # that are expanded
# Nats. A log density that is off by so much moves a mean by at most about as many sds.
ENOUGH, MOST_NOISE = 0.05, 0.15


@dataclass(frozen=True, slots=True)
class MinibatchADVI(Engine):
    """The nearest normal distribution with independent transported coordinates, from batches of rows.

    Parameters
    ----------
    draws, chains : int
        Draws come as so many chains of so many draws each; all are independent of each other.
    batch : int
        Rows of a batch; memory grows with it and not with the table.
    points : int
        Random numbers of each coordinate in a step, even.
    rate : float
        Share of the way to the optimum that a step goes.
    passes : int
        Most passes over the table of an ascent; a pass of few batches is repeated until it has 40 steps. The first is on the way.
        An ascent that has not converged is repeated from where it ended, with half the rate and twice the points.
    proposals : int
        Draws of the approximation that are weighted.
    cores : int, optional
        Threads. They change no number.

    Notes
    -----
    The draws have a group ``elbo``: the ELBO of every ascent by step, and whether it converged.

    Examples
    --------
    >>> MinibatchADVI(batch=50_000).settings()["batch"]
    50000
    """

    draws: int = 250
    chains: int = 4
    batch: int = 20_000
    points: int = 20
    rate: float = 0.2
    passes: int = 10
    proposals: int = 4_000
    cores: int | None = None
    name: ClassVar[str] = "minibatch_advi"
    exact: ClassVar[bool] = False
    kind: ClassVar[str] = "variational"
    in_pieces: ClassVar[bool] = True
    stats: ClassVar[tuple[str, ...]] = ("lp",)
    source: ClassVar[str] = (
        "Hoffman, Blei, Wang and Paisley (2013), Journal of Machine Learning Research 14, 1303; Johnson and Zhang (2013), "
        "NeurIPS 26, 315; Kucukelbir et al. (2017), Journal of Machine Learning Research 18(14)")

    def __post_init__(self) -> None:
        """Hold the settings to their rules."""
        Engine.__post_init__(self)
        if not 0 < self.rate <= 1:
            raise EngineError(f"rate={self.rate!r}", column="rate", value=self.rate, rule="rate lies above 0 and is at most 1",
                              fix="0.1 to 0.5 are usual.")

    def reason_against(self, problem: Problem) -> str:
        """Return why the engine cannot fit this problem; see `Engine.reason_against`."""
        return reason_against(problem) or reason_against_levels(problem)

    def run(self, problem: Problem, *, seed: int, progress: bool) -> Run:
        """Draw from the approximation; see `Engine.run`."""
        del progress
        streamed = stream(problem, sample=STARTING, batch=self.batch, seed=seed)
        prepared = streamed.prepared
        with laps(prepared.seconds) as clock:
            found = self._nearest(problem, streamed, seed)
            clock.end("optimise")
            sample, noise = _judging(problem, streamed, found.best.normal, seed)
            density = streamed.density(sample)
            if noise > MOST_NOISE:
                drawn = self._uncorrected(streamed, density, found, noise, seed)
            else:
                tailed = _with_tails(found, len(prepared.transported.reference.t))
                drawn = corrected(prepared, density, tailed, returned=Returned.of(self.draws, self.chains, self.proposals),
                                  proposals=self.proposals, seed=seed, cores=self.cores)
            clock.end("sample")
            draws = _tree(prepared, drawn, self.chains)
            draws["elbo"] = trace(found.climbs)
            clock.end("expand")
        note = (f"{streamed.rows:,} rows in batches of {self.batch:,}: {streamed.passes} passes to the mode, from which at most "
                f"{streamed.distance:.3f} sds are left")
        return Run(draws, clock.seconds, notes=(*prepared.notes, note, *found.notes), verdict=drawn.verdict, modes=prepared.modes)

    def _uncorrected(self, streamed: Streamed, density: Native, found: Averaged, noise: float, seed: int) -> Drawn:
        """Return draws as the approximation gives them, where no sample of rows tells how good it is."""
        normal = found.best.normal
        q = normal.at(np.random.default_rng([seed, 4]).standard_normal((self.draws * self.chains, len(normal.mean))))
        log_density = evaluate(density, q, self.cores)
        weights = smooth(log_density - mirror(streamed.prepared.transported).log_density(normal.log_density, q))
        reason = (f"a sample of {JUDGING[-1]:,} rows leaves {noise:.2g} nats of the log density open, and the table is too large "
                  "to judge draws on all rows")
        reasons = (*against(streamed.prepared), *found.against, reason)
        return Drawn(q, log_density, judge(weights, None, correction="", against=reasons))

    def _nearest(self, problem: Problem, streamed: Streamed, seed: int) -> Averaged:
        """Climb the ELBO, again with smaller steps where it has not converged."""
        transported = streamed.prepared.transported
        few = few_coordinates(transported.posterior.field)
        batches = _batches(problem, streamed, self.batch, seed)
        at, rate, points = standard(transported.size, few[:0]), self.rate, self.points + self.points % 2
        ascents: list[Ascended] = []
        for own in np.random.SeedSequence([seed, 3]).spawn(1 + MOST_RESTARTS):
            ascents.append(ascend(batches, at, few, points=points, rate=rate, share=min(1.0, self.batch / streamed.rows),
                                  passes=self.passes, seed=own, cores=self.cores))
            if ascents[-1].converged:
                break
            at, rate, points = ascents[-1].normal, rate / 2, 2 * points
        used = points if ascents[-1].converged else points // 2
        return Averaged(ascents[-1], ascents, 1, used)


def _batches(problem: Problem, streamed: Streamed, rows: int, seed: int) -> Callable[[], Iterable[Native]]:
    """Return what gives the batches of one pass: kept where they are few, else read again each time."""
    def read() -> Iterable[Native]:
        return map(streamed.density, pieces(problem, rows, seed))

    if count_rows(problem) > MOST_KEPT * rows:
        return read
    kept = list(read())
    return lambda: kept


@dataclass(frozen=True, slots=True, eq=False)
class Tailed(Normal):
    """A normal distribution whose first coordinates have the tails of a t distribution, and the same mean and sd.

    Posteriors of standard deviations have longer tails than a normal one, and weights are even only where those of the proposal
    are as long.

    Attributes
    ----------
    tailed : int
        How many.

    Examples
    --------
    >>> none = np.zeros(0, np.int64)
    >>> tailed = Tailed(np.zeros(2), np.zeros(2), none, np.zeros(0), 1)
    >>> tailed.at(np.array([[3.0, 3.0]])).round(2).tolist()
    [[3.83, 3.0]]
    """

    tailed: int

    def at(self, eps: Array) -> Array:
        """Return points for standard normal numbers, shape (S, D)."""
        longer = eps.copy()
        longer[:, :self.tailed] = SHRUNK * stats.t.ppf(stats.norm.cdf(eps[:, :self.tailed]), FREEDOM)
        return Normal.at(self, longer)

    def log_density(self, q: Array) -> Array:
        """Return the log density at points of shape (S, D)."""
        eps = self.standardised(q)[:, :self.tailed]
        more = stats.t.logpdf(eps / SHRUNK, FREEDOM) - np.log(SHRUNK) - stats.norm.logpdf(eps)
        return np.asarray(Normal.log_density(self, q) + more.sum(axis=1))


def _with_tails(found: Averaged, hyperparameters: int) -> Averaged:
    """Return what the ascents found with long tails of the hyperparameters, which come first."""
    normal = found.best.normal
    tailed = Tailed(normal.mean, normal.log_sd, normal.block, normal.lower, hyperparameters)
    return replace(found, best=replace(found.best, normal=tailed))


def _judging(problem: Problem, streamed: Streamed, normal: Normal, seed: int) -> tuple[Problem, float]:
    """Return random rows that draws are judged on, the fewest that suffice, and what they leave open of their log density."""
    for size in JUDGING:
        sample = random_rows(problem, size, seed)
        noise = _noise(streamed, sample, normal, seed)
        hopeless = noise * np.sqrt(size / JUDGING[-1]) > 1.5 * MOST_NOISE
        if noise <= ENOUGH or hopeless or len(sample.observations.response) < size:
            break
    return sample, noise


def _noise(streamed: Streamed, sample: Problem, normal: Normal, seed: int) -> float:
    """Return the sd over draws of the error in their log density that a sample makes: half of what its halves differ by."""
    rows, size = len(sample.observations.response), len(normal.mean)
    if rows >= streamed.rows:
        return 0.0
    rng = np.random.default_rng([seed, 8])
    order = rng.permutation(rows)
    q = normal.at(rng.standard_normal((max(min(NOISE_DRAWS, NOISE_NUMBERS // size), 20), size)))
    one, other = (evaluate(streamed.density(some_rows(sample, np.sort(half))), q) for half in np.array_split(order, 2))
    finite = np.isfinite(one) & np.isfinite(other)
    return float((one - other)[finite].std() / 2) if finite.any() else np.inf


def _tree(prepared: Prepared, drawn: Drawn, chains: int) -> xr.DataTree:
    """Return draws in the model's variables, some at a time, states with many elements in float32."""
    field = prepared.transported.posterior.field
    single = large_states(field)
    step = max(NUMBERS_AT_ONCE // prepared.transported.size, 1)
    found: dict[str, NDArray[Any]] = {}
    for begin in range(0, len(drawn.q), step):
        for name, each in prepared.expand(drawn.q[begin:begin + step]).items():
            kind = np.float32 if name in single else np.float64
            whole = found.setdefault(name, np.empty((len(drawn.q), *each.shape[1:]), kind))
            whole[begin:begin + len(each)] = each
    return posterior_tree(field, found, drawn.log_density, chains)


MEMBER = MinibatchADVI()
