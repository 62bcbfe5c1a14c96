"""Study: fits by each engine, what they say of themselves, and how far they are from the oracle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

import bayesglm as bg
from bayesglm.checks.check import Check
from bayesglm.checks.convergence import entries
from bayesglm.errors import EngineError
from bayesglm.fitted import Fitted
from bayesglm.registry import discover
from benchmarks.verdicts.oracles import Oracle, Spread, has, read, spreads
from benchmarks.verdicts.targets import EASY, HARD

MEDIAN_LIMIT, QUANTILE_LIMIT = 0.3, 0.4  # robust sds
REFERENCE = "reference:"


@dataclass(frozen=True, slots=True)
class Off:
    """How far a fit is from the oracle, at worst, in robust sds; from a reference posterior, its mean for the median and its sd.

    Attributes
    ----------
    median, quantile : float
        Of a median, and of a 5 % or 95 % quantile.
    median_of, quantile_of : str
        Of which quantity.
    noise : float
        Monte Carlo error of that quantile: the fit's own, for how few draws it is from.
    """

    median: float
    median_of: str
    quantile: float
    quantile_of: str
    noise: float = 0.0

    @property
    def wrong(self) -> bool:
        """Whether it is further than what may be called reliable."""
        return not (self.median <= MEDIAN_LIMIT and self.quantile <= QUANTILE_LIMIT)


@dataclass(frozen=True, slots=True)
class Case:
    """One fit.

    Attributes
    ----------
    target, engine : str
        Their names.
    seed : int
        Of the fit.
    reliable : bool or None
        What the fit says of itself; None where the engine is not applicable.
    why : str
        What it says in words.
    off : Off, optional
        How far it is from the oracle, where there is one.
    oracle : str
        How the oracle was found; empty where there is none.
    seconds : float
        Wall time, compiling included.
    when : str
        When, in UTC, ISO 8601.
    """

    target: str
    engine: str
    seed: int
    reliable: bool | None
    why: str
    off: Off | None
    oracle: str
    seconds: float
    when: str

    @property
    def wrong(self) -> bool:
        """Whether it is too far from the oracle."""
        return self.off is not None and self.off.wrong

    @property
    def dishonest(self) -> bool:
        """Whether it calls itself reliable and is wrong."""
        return bool(self.reliable) and self.wrong


def distance(found: Mapping[str, Spread], truth: Mapping[str, Spread]) -> Off:
    """Return how far a fit is from the truth, in the truth's robust sds; what is missing or not finite is infinitely far.

    Examples
    --------
    >>> truth = {"a": Spread(-1.6, 0.0, 1.6, 1.0), "b": Spread(0.0, 2.0, 4.0, 2.0)}
    >>> off = distance({"a": Spread(-1.6, 0.1, 1.6, 1.0), "b": Spread(0.0, 2.0, 5.0, 2.0)}, truth)
    >>> off.median, off.median_of, off.quantile, off.quantile_of
    (0.1, 'a', 0.5, 'b')
    """
    middle, outer = {}, {}
    for label, own in truth.items():
        given = found.get(label, Spread(np.nan, np.nan, np.nan, np.nan))
        middle[label] = _finite(abs(given.median - own.median) / own.sd)
        outer[label] = _finite(max(abs(given.q05 - own.q05), abs(given.q95 - own.q95), key=_finite) / own.sd)
    median_of, quantile_of = (max(each, key=each.__getitem__) for each in (middle, outer))
    return Off(middle[median_of], median_of, outer[quantile_of], quantile_of)


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else float("inf")


def verdict_of(fitted: Fitted) -> tuple[bool, str]:
    """Return whether a fit calls itself reliable, and its words, both from the convergence check."""
    found = discover("bayesglm.checks", Check)["convergence"].run(fitted, 0)
    return found.verdict == "pass", found.finding


def study(target: str, engine: str, seed: int, models: Mapping[str, Callable[[], bg.Model]]) -> Case:
    """Fit once with the engine's own settings.

    Parameters
    ----------
    target, engine : str
        What to fit, and with what.
    seed : int
        Of the fit; the table is the same for all seeds.
    models : mapping
        Name of a target to a function that makes its model.
    """
    model = models[target]()
    known = {**HARD, **{name: each for name, each in EASY.items() if has(each)}}.get(target)
    oracle = read(known, model.audit.fingerprint) if known is not None else None
    begin, when = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    case = Case(target, engine, seed, None, "", None, _how(target, oracle), 0.0, when)
    try:
        fit = model.fit(engine, seed=seed, progress=False)
    except EngineError as error:
        return replace(case, why=f"{error.problem}: {error.rule}")
    seconds = round(time.perf_counter() - begin, 2)
    reliable, why = verdict_of(fit)
    off = _from_reference(fit, target) if target.startswith(REFERENCE) else _off(fit, oracle)
    return replace(case, reliable=reliable, why=why, off=off, seconds=seconds)


def _how(target: str, oracle: Oracle | None) -> str:
    return "Stan" if target.startswith(REFERENCE) else "" if oracle is None else oracle.how


def _from_reference(fit: Fitted, target: str) -> Off:
    """Return how far means and quantiles are from those of the reference, in its sds."""
    from tests.reference.cases import draws_by_name, read_case
    from tests.reference.comparison import compare

    gaps = compare(read_case(target.removeprefix(REFERENCE)).posterior, draws_by_name(fit)).abs()
    outer = gaps[["q05_gap", "q95_gap"]].max(axis=1)
    return Off(_finite(gaps["mean_gap"].max()), str(gaps["mean_gap"].idxmax()), _finite(outer.max()), str(outer.idxmax()))


def _off(fit: Fitted, oracle: Oracle | None) -> Off | None:
    if oracle is None:
        return None
    off = distance(spreads(fit), oracle.quantities)
    return replace(off, noise=noise(fit, off.quantile_of) / oracle.quantities[off.quantile_of].sd)


def noise(fit: Fitted, label: str) -> float:
    """Return the larger Monte Carlo error of a quantity's 5 % and 95 % quantiles; not finite where the draws do not vary."""
    from arviz_stats.base import array_stats

    for name in fit.specification.reported():
        texts, values = entries(fit, name)
        if label in texts:
            draws = values[:, :, texts.index(label)]
            return max(float(array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="quantile", prob=p)) for p in (0.05, 0.95))
    return float("inf")


def models() -> dict[str, Callable[[], bg.Model]]:
    """Return the models of all targets: the hard ones, and the easy ones, on which nobody may be timid."""
    return {**{name: _hard(name) for name in HARD}, **dict(_easy())}


def _hard(name: str) -> Callable[[], bg.Model]:
    return lambda: HARD[name].model(HARD[name].table())


def _easy() -> Iterator[tuple[str, Callable[[], bg.Model]]]:
    from benchmarks.workloads import WORKLOADS
    from tests.reference.cases import names, read_case

    for name in names():
        yield f"{REFERENCE}{name}", lambda name=name: read_case(name).model  # type: ignore[misc]
    for name, workload in WORKLOADS.items():
        yield f"workload:{name}", lambda each=workload: each.model(each.table())  # type: ignore[misc]


def to_record(case: Case) -> dict[str, Any]:
    """Return a case as a mapping that JSON can hold."""
    return asdict(case)


def from_record(told: Mapping[str, Any]) -> Case:
    """Return the case that `to_record` wrote."""
    off = told["off"]
    known = {each.name: told[each.name] for each in fields(Case)}
    return Case(**{**known, "off": None if off is None else Off(**off)})
