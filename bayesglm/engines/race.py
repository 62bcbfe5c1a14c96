"""Race: chains that adapt in different ways run side by side, and those whose draws are worth more for their cost are kept.

Who is ahead is decided from the draws and from how often the density was evaluated, never from the clock.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayesglm.engines.collected import Collected
from bayesglm.engines.goals import worst

FEWEST = 20  # draws of each chain that say whose are worth more
STRIDE = 50  # draws of each chain between two looks at who has spent less


def race(runners: Sequence[Collected], *, trial: int, deadline: float | None) -> Collected | None:
    """Return the runner with the most effective draws per evaluation after warm-up and trial; the others are stopped.

    The one that has spent the fewest evaluations goes on by some draws, again and again. The first to finish sets the budget:
    whoever has not finished when it has spent twice as much is out.

    Parameters
    ----------
    runners : sequence of Collected
        Chains of the same target with different adaptations, at their start.
    trial : int
        Kept draws of each chain by which they are judged.
    deadline : float, optional
        When the time is up, by `time.perf_counter`.

    Returns
    -------
    Collected or None
        The winner, which goes on; None if the time was up before, and `furthest` has the draws there are.
    """
    spent, steps = [0] * len(runners), [0] * len(runners)
    wanted = [each.chains.tune + trial for each in runners]
    done: set[int] = set()
    while True:
        budget = min((2 * spent[each] for each in done), default=None)
        open_ = [each for each in range(len(runners)) if each not in done and (budget is None or spent[each] < budget)]
        if not open_:
            break
        each = min(open_, key=lambda i: (spent[i], i))
        end = min(steps[each] + STRIDE, wanted[each])
        runners[each].chains.allow(end)
        if runners[each].chains.wait(end, deadline) < end:
            return None
        spent[each] += int(runners[each].chains.stats(["n_steps"], steps[each], end)["n_steps"].sum())
        steps[each] = end
        if end == wanted[each]:
            done.add(each)
    best = max(sorted(done), key=lambda i: worth(runners[i], trial))
    for i, runner in enumerate(runners):
        if i != best:
            runner.chains.stop()
    return runners[best]


def furthest(runners: Sequence[Collected]) -> Collected | None:
    """Return the runner whose chains all have the most kept draws, the first of equals; None if there is no runner."""
    return max(runners, key=lambda each: max(each.chains.finished() - each.chains.tune, 0), default=None)


def worth(runner: Collected, trial: int) -> float:
    """Return the smallest effective number of draws of any element, bulk or tail, per thousand evaluations of the density."""
    length = runner.absorb(trial)
    draws = runner.draws.between(0, length)
    spent = float(runner.stats.between(0, length)["n_steps"].sum())
    names = runner.target.goals or draws
    smallest = min(min(least.bulk, least.tail) for least in worst(draws, dict.fromkeys(names, 0.0)).values())
    return 1_000 * min(smallest, float(np.prod(runner.stats.arrays["n_steps"][:length].shape))) / spent
