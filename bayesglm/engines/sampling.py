"""The sampling loop: several chains of nutpie's No-U-Turn sampler on any log density, in blocks of fixed size.

Whoever has a density makes a `Target`; `sample` draws from it. Chains run on threads of their own. After every block that all
chains have, the draws (in the model's own parameters) are held against the target's goals, and the run stops at the first block
that meets them. This is decided from the draws alone: the same seed gives the same draws whatever the clock or the number of
threads, and a run that is cut short returns the first draws of the whole one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from bayesglm.engines.chains import Chains
from bayesglm.engines.collected import Collected, Sampled, Store
from bayesglm.engines.goals import needed, worst
from bayesglm.engines.race import FEWEST, furthest, race
from bayesglm.engines.target import Adaptation, Target
from bayesglm.errors import EngineError

__all__ = ["Adaptation", "Sampled", "Store", "Target", "sample"]
CHUNK_BYTES = 2**26  # of unconstrained draws held before they are expanded
NEAR_NORMAL = Adaptation()
# Goals are looked at again when there are so many times as many draws as would be enough by what was seen, at most twice as many.
SOONER, FURTHEST = 0.75, 2.0


def sample(
    target: Target, *, seed: int, adaptation: Adaptation | Sequence[Adaptation] = NEAR_NORMAL, draws: int | None = None,
    block: int = 250, most_draws: int = 5_000, cores: int | None = None, max_seconds: float | None = None, progress: bool = False,
    store: Store | None = None,
) -> Sampled:
    """Draw from a target, one chain from each of its starts.

    Parameters
    ----------
    target : Target
        The density, where to start, and the goals.
    seed : int
        The same seed gives the same draws.
    adaptation : Adaptation or sequence
        Warm-up and step size. Of several, the one whose draws are worth more per evaluation in a first block is kept; the first
        where that has fewer than 20 draws, and the one with the most draws where the time is up before that is known.
    draws : int, optional
        Kept draws of each chain. By default as many blocks as the goals take.
    block : int
        Draws of each chain between two looks at the goals.
    most_draws : int
        Where to stop if the goals are not met.
    cores : int, optional
        How many chains run at the same time; by default as many as there are cores.
    max_seconds : float, optional
        When to stop with what all chains have; so does a keyboard interrupt. The result is marked incomplete.
    progress : bool
        Whether to print a line after every block.
    store : Store, optional
        Where draws are written as they come.

    Raises
    ------
    EngineError
        The density cannot be evaluated at a start, or the time was up before all chains had a draw.

    Examples
    --------
    >>> normal = Target(size=2, density=lambda: lambda q: (-0.5 * q @ q, -q), starts=np.ones((2, 2)),
    ...                 expand=lambda flat: {"x": flat}, goals={"x": 100})
    >>> sample(normal, seed=1).draws["x"].shape
    (2, 250, 2)
    """
    begin = time.perf_counter()
    deadline = None if max_seconds is None else begin + max_seconds
    most = draws if draws is not None else most_draws
    forms = [adaptation] if isinstance(adaptation, Adaptation) else list(adaptation)
    trial = min(block, most)
    runners: list[Collected] = []
    winner: Collected | None = None
    reason = ""
    try:
        try:
            tried = forms if trial >= FEWEST else forms[:1]
            runners.extend(_start(target, each, seed=seed, most=most, cores=cores) for each in tried)
            winner = race(runners, trial=trial, deadline=deadline) if len(runners) > 1 else runners[0]
            if winner is None or not _draw(winner, most, block, deadline, by_goals=draws is None, store=store, progress=progress):
                reason = f"max_seconds={max_seconds} were over"
        except KeyboardInterrupt:
            reason = "it was interrupted"
        chosen = winner or furthest(runners)
        if reason and chosen is not None:
            chosen.absorb_common(most, store)
    finally:
        for runner in runners:
            runner.chains.stop()
    if chosen is None or chosen.length[0] == 0:
        raise EngineError(f"{reason} before all chains had a draw", value=max_seconds, rule="a fit needs draws of every chain",
                          fix="Give it more time, or take fewer chains.")
    notes = (*_kept(chosen, forms, raced=len(runners) > 1, won=winner is not None),
             *_stopped(chosen, most, reason, by_goals=draws is None))
    if store is not None:
        store.finish(complete=not reason, notes=notes)
    return chosen.sampled(complete=not reason, notes=notes, seconds=time.perf_counter() - begin)


def _start(target: Target, adaptation: Adaptation, *, seed: int, most: int, cores: int | None) -> Collected:
    seeds = [int(each.generate_state(1, np.uint64)[0]) for each in np.random.SeedSequence(seed).spawn(len(target.starts))]
    settings = [adaptation.settings(seed=each, draws=most + 1) for each in seeds]
    return Collected(target, Chains(target.density, target.starts, settings, cores=cores, tune=adaptation.tune), adaptation)


def _draw(
    collected: Collected, most: int, block: int, deadline: float | None, *, by_goals: bool, store: Store | None, progress: bool,
) -> bool:
    """Collect blocks until the goals are met or there are enough; False if the time was up before."""
    begin, length = time.perf_counter(), collected.length[0]
    chunk, most_chunks = _chunks(block, collected.last.nbytes)
    if store is not None:
        collected.write(store)
    look = 1
    while length < most:
        if by_goals and length >= look and length % block == 0:
            times = needed(collected.draws.between(0, length), collected.target.goals, collected.suspects)
            if not times:
                break
            look = int(min(SOONER * times, FURTHEST) * length)
        if deadline is not None and time.perf_counter() >= deadline:
            return False
        until_look = -(-(look - length) // chunk)
        wanted = min(length + chunk * min(max(1, until_look), most_chunks), most)
        # a chunk ahead, while others are behind or the goals are looked at
        collected.chains.allow(collected.chains.tune + min(wanted + chunk, most))
        length = collected.absorb(wanted, deadline=deadline, store=store)
        if length < wanted:
            return False
        if progress and length % block == 0:
            seconds = time.perf_counter() - begin
            print(f"nuts: {len(collected.last)} x {length} draws, {seconds:.1f} s", file=sys.stderr, flush=True)
    return True


def _chunks(block: int, draw_bytes: int) -> tuple[int, int]:
    """Return how many draws of a chain are expanded at once, a whole part of a block, and how many times as many at most."""
    largest = max(1, CHUNK_BYTES // draw_bytes)
    chunk = max(each for each in range(1, block + 1) if block % each == 0 and each <= largest)
    return chunk, largest // chunk


def _kept(chosen: Collected, forms: Sequence[Adaptation], *, raced: bool, won: bool) -> tuple[str, ...]:
    """Say which of several adaptations the draws are of, and why."""
    if len(forms) == 1:
        return ()
    tried = " and ".join(each.form for each in forms)
    if not raced:
        why = f"it is the first of {tried}, and so few draws do not tell whose are worth more"
    elif won:
        why = f"in the warm-up its draws were worth the most per evaluation, of {tried}"
    else:
        why = f"of {tried} it had the most draws when the run was stopped, before it was known whose are worth more"
    return (f"the mass matrix is {chosen.adaptation.form}: {why}",)


def _stopped(collected: Collected, most: int, reason: str, *, by_goals: bool) -> tuple[str, ...]:
    """Say why there are fewer draws than there might be, or fewer than the goals ask for."""
    length, goals = collected.length[0], collected.target.goals
    if reason:
        return (f"stopped early, because {reason}: {len(collected.last)} chains with {length} of {most} draws are kept",)
    if not by_goals or length < most:
        return ()
    found = {name: least.short_of(goals[name]) for name, least in worst(collected.draws.between(0, length), goals).items()}
    short = [f"{name} has {missing}" for name, missing in found.items() if missing]
    return (f"stopped at {most} draws a chain before the goals were met: {'; '.join(short)}",) if short else ()
