"""The sampling loop: draws depend on the seed alone, stopping on the draws alone; a run cut short is the start of the whole."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from bayesglm.engines import chains, sampling
from bayesglm.engines.chains import Chains
from bayesglm.engines.collected import Collected
from bayesglm.engines.goals import Suspects, effective, needed, worst
from bayesglm.engines.native import native
from bayesglm.engines.sampling import Adaptation, Sampled, Target, sample
from bayesglm.errors import EngineError

Array = NDArray[np.float64]
SIZE, CHAINS = 5, 4
SHORT = Adaptation(tune=60)


def expand(flat: Array) -> dict[str, Array]:
    return {"x": flat, "total": flat.sum(axis=1)}


def standard_normal(q: Array) -> tuple[float, Array]:
    """Return value and gradient, summed in the order in which compiled code does it."""
    return 0.5 * float(sum(-q * q)), -q


def normal_target(delay: Callable[[int], float] = lambda thread: 0.0, **options: object) -> Target:
    """Return a standard normal whose evaluations take as long as the delay says for the n-th thread that asks."""
    threads: list[int] = []

    def density(q: Array) -> tuple[float, Array]:
        if threading.get_ident() not in threads:
            threads.append(threading.get_ident())
        time.sleep(delay(threads.index(threading.get_ident())))
        return standard_normal(q)

    starts = np.random.default_rng(0).normal(size=(CHAINS, SIZE), scale=2.0)
    return replace(Target(SIZE, lambda: density, starts, expand), **options)


@cache
def whole() -> Sampled:
    return sample(normal_target(), seed=3, adaptation=SHORT, draws=80)


def begins_like_the_whole(found: Sampled) -> None:
    n = found.stats["energy"].shape[1]
    for name, values in found.draws.items():
        np.testing.assert_array_equal(values, whole().draws[name][:, :n])
    for name, values in found.stats.items():
        np.testing.assert_array_equal(values, whole().stats[name][:, :n])


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_draws_depend_on_neither_clock_nor_threads(cores: int) -> None:
    uneven = normal_target(lambda thread: 0.0002 * (thread % 3 == 1))
    found = sample(uneven, seed=3, adaptation=SHORT, draws=40, cores=cores, block=20)
    assert found.draws["x"].shape == (CHAINS, 40, SIZE)
    assert found.complete
    begins_like_the_whole(found)


def test_another_seed_gives_other_draws_and_chains_differ() -> None:
    found = sample(normal_target(), seed=4, adaptation=SHORT, draws=40)
    assert not np.isclose(found.draws["x"], whole().draws["x"][:, :40]).any()
    assert not np.isclose(found.draws["x"][0], found.draws["x"][1]).any()


def test_a_compiled_density_gives_the_same_draws_as_one_in_python() -> None:
    import numba

    @numba.njit(nogil=True)
    def normal(q, gradient, precision):
        value = 0.0
        for i in range(q.size):
            gradient[i] = -precision[0] * q[i]
            value += q[i] * gradient[i]
        return 0.5 * value

    compiled = native(normal, [np.ones(1)])
    for _ in range(2):  # the second run is not touched by the first having been stopped
        begins_like_the_whole(sample(normal_target(density=compiled), seed=3, adaptation=SHORT, draws=80))


def test_a_kernel_reads_its_arrays_of_any_layout() -> None:
    import ctypes

    import numba

    @numba.njit
    def kernel(q, gradient, *arrays):
        if q[0] > 100:
            raise ValueError("too large")
        gradient[:] = arrays[0].T[1, 0]
        return arrays[0][2, 1] + arrays[1][3] + arrays[2].sum()

    arrays = [np.arange(12.0).reshape(3, 4)[:, ::2], np.arange(4), np.array([True, True])]
    found = native(kernel, arrays)
    q, gradient, value = np.array([1.0, 2.0]), np.zeros(2), np.zeros(1)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)(found.address)

    def code() -> int:
        return int(call(2, *(each.ctypes.data for each in (q, gradient, value, found.table))))

    assert code() == 0
    assert value[0] == arrays[0][2, 1] + 3 + 2
    assert gradient.tolist() == [arrays[0][0, 1]] * 2
    q[0] = 101.0
    assert code() > 0  # what the kernel raises ends a trajectory, not the process
    other = found.fresh()
    found.stop()
    assert code() == 0
    assert value[0] < -1e280
    assert other.table[0] == 0


def counted_target(at: Callable[[int], None]) -> Target:
    """Return the standard normal, which tells how often it was evaluated so far."""
    calls = [0]

    def density(q: Array) -> tuple[float, Array]:
        calls[0] += 1
        at(calls[0])
        return standard_normal(q)

    return normal_target(density=lambda: density)


def half_way() -> int:
    """Return after how many evaluations the whole run has about half its draws."""
    return whole().gradients["tune"] + whole().gradients["draws"] // 2


def test_time_that_is_up_leaves_the_first_draws_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    clock = SimpleNamespace(perf_counter=lambda: float(now[0]), sleep=time.sleep)
    monkeypatch.setattr(chains, "time", clock)
    monkeypatch.setattr(sampling, "time", clock)
    target = counted_target(lambda calls: now.__setitem__(0, calls))
    found = sample(target, seed=3, adaptation=SHORT, draws=80, max_seconds=half_way(), block=10)
    n = found.stats["energy"].shape[1]
    assert 0 < n < 80
    assert not found.complete
    assert f"{CHAINS} chains with {n} of 80 draws" in found.notes[0]
    begins_like_the_whole(found)
    now[0] = 0
    with pytest.raises(EngineError, match="before all chains had a draw"):
        sample(counted_target(lambda calls: now.__setitem__(0, calls)), seed=3, adaptation=SHORT, draws=80, max_seconds=200)


def test_an_interrupt_leaves_the_first_draws_of_the_whole() -> None:
    def interrupt(calls: int) -> None:
        if calls == half_way():
            os.kill(os.getpid(), signal.SIGINT)
        if calls >= half_way():
            time.sleep(0.01)  # the main thread takes the signal before the chains are done, however busy the machine

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs beside itself ignore the signal
    try:
        found = sample(counted_target(interrupt), seed=3, adaptation=SHORT, draws=80, block=10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert 0 < found.stats["energy"].shape[1] < 80
    assert not found.complete
    assert "interrupted" in found.notes[0]
    begins_like_the_whole(found)


def test_it_stops_at_the_first_block_that_meets_the_goals() -> None:
    goals = {"x": 700.0, "total": 900.0}
    found = sample(normal_target(goals=goals), seed=3, adaptation=SHORT, block=50)
    n = found.stats["energy"].shape[1]
    draws = {name: np.swapaxes(values, 0, 1) for name, values in found.draws.items()}
    first = [{name: values[:end] for name, values in draws.items()} for end in range(50, n + 1, 50)]
    assert [needed(each, goals, Suspects()) > 0.0 for each in first] == [True] * (n // 50 - 1) + [False]
    assert n > 50
    again = sample(normal_target(lambda thread: 0.0001 * (thread == 2), goals=goals), seed=3, adaptation=SHORT, block=50, cores=1)
    np.testing.assert_array_equal(again.draws["x"], found.draws["x"])


def test_goals_that_are_not_met_are_told() -> None:
    found = sample(normal_target(goals={"x": 1e6}), seed=3, adaptation=SHORT, block=40, most_draws=80)
    assert found.complete
    assert found.draws["x"].shape[1] == 80
    assert "x has" in found.notes[0]
    assert "of 1000000" in found.notes[0]


def test_evaluations_are_counted() -> None:
    calls = [0]

    def density(q: Array) -> tuple[float, Array]:
        calls[0] += 1
        return standard_normal(q)

    found = sample(normal_target(density=lambda: density), seed=3, adaptation=SHORT, draws=80)
    assert found.gradients["draws"] == found.stats["n_steps"].sum()
    counted = sum(found.gradients.values())
    assert 0.9 * calls[0] < counted <= calls[0]  # beside the leaps: the starts, the first step sizes, a draw ahead


def test_what_a_density_raises_comes_through() -> None:
    def density(q: Array) -> tuple[float, Array]:
        raise ZeroDivisionError("in the density")

    with pytest.raises(ZeroDivisionError, match="in the density"):
        sample(normal_target(density=lambda: density), seed=3, draws=10)


def test_a_start_that_cannot_be_is_an_error() -> None:
    with pytest.raises(EngineError, match="finite"):
        sample(normal_target(density=lambda: lambda q: (np.nan, q)), seed=3, draws=10)


def test_big_variables_are_kept_in_single_precision() -> None:
    found = sample(normal_target(single=frozenset({"x"})), seed=3, adaptation=SHORT, draws=80)
    assert found.draws["x"].dtype == np.float32
    np.testing.assert_array_equal(found.draws["x"], whole().draws["x"].astype(np.float32))
    np.testing.assert_array_equal(found.draws["total"], whole().draws["total"])


def test_the_tree_has_dims_and_coordinates() -> None:
    target = normal_target(dims={"x": ("service",)}, coords={"service": tuple("abcde"), "unused": (1,)})
    tree = whole().tree(target)
    assert tree["posterior"]["x"].dims == ("chain", "draw", "service")
    assert set(tree["posterior"].coords) == {"chain", "draw", "service"}
    assert tree["sample_stats"]["diverging"].dtype == bool


def ridge(**options: object) -> Target:
    """Return a normal with one direction of sd 30, which a diagonal mass matrix cannot follow."""
    size = 20
    direction = np.ones(size) / np.sqrt(size)

    def density(q: Array) -> tuple[float, Array]:
        gradient = -(q - direction * (direction @ q) * (1 - 1 / 900))
        return 0.5 * float(q @ gradient), gradient

    return Target(size, lambda: density, np.random.default_rng(1).normal(size=(CHAINS, size)), lambda flat: {"x": flat})


def test_the_adaptation_whose_draws_are_worth_more_is_kept() -> None:
    forms = [Adaptation(tune=250, form=form) for form in ("diag", "low_rank")]
    found = sample(ridge(), seed=1, adaptation=forms, draws=100)
    assert "low_rank" in found.notes[0].split(":")[0]
    alone = sample(ridge(), seed=1, adaptation=forms[1], draws=100)
    np.testing.assert_array_equal(found.draws["x"], alone.draws["x"])


@pytest.mark.parametrize("draws", [1, 4, 19])
def test_a_few_draws_are_those_of_the_first_adaptation(draws: int) -> None:
    found = sample(normal_target(goals={"x": 400.0}), seed=3, adaptation=[SHORT, replace(SHORT, form="low_rank")], draws=draws)
    assert (found.form, found.complete) == (SHORT.form, True)
    assert "the first of diag and low_rank" in found.notes[0]
    assert found.draws["x"].shape == (CHAINS, draws, SIZE)
    begins_like_the_whole(found)


def test_too_few_draws_for_an_autocorrelation_meet_no_goal() -> None:
    found = sample(normal_target(goals={"x": 400.0}), seed=3, adaptation=SHORT, most_draws=4, block=2)
    assert "x has 0 of 400 effective draws" in found.notes[0]
    begins_like_the_whole(found)


RACING = (SHORT, replace(SHORT, tune=50_000, form="low_rank"))  # the second is still in its warm-up when the first has its draws


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_race_that_is_cut_short_leaves_the_draws_there_are(*, interrupted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(runners: Sequence[Collected], *, trial: int, deadline: float | None) -> None:
        for each in runners[::-1]:
            each.chains.allow(SHORT.tune + 30)
            each.chains.wait(SHORT.tune + 30, None)
        if interrupted:
            raise KeyboardInterrupt

    monkeypatch.setattr(sampling, "race", cut)
    found = sample(normal_target(), seed=3, adaptation=RACING[::-1], draws=40, max_seconds=60)
    assert (found.form, found.complete) == (SHORT.form, False)
    assert "it had the most draws when the run was stopped" in found.notes[0]
    assert f"{CHAINS} chains with {found.draws['x'].shape[1]} of 40 draws" in found.notes[1]
    assert 29 <= found.draws["x"].shape[1] <= 30
    begins_like_the_whole(found)


def test_a_race_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = Chains.wait
    monkeypatch.setattr(Chains, "wait", lambda self, wanted, _: wait(self, wanted - 5 if wanted > SHORT.tune else wanted, None))
    found = sample(normal_target(), seed=3, adaptation=RACING, draws=40, max_seconds=3.0)
    assert (found.form, found.complete) == (SHORT.form, False)
    assert found.draws["x"].shape[1] >= 35
    assert "max_seconds=3.0 were over" in found.notes[1]
    begins_like_the_whole(found)


def test_time_that_is_up_between_two_blocks_takes_what_all_chains_have(monkeypatch: pytest.MonkeyPatch) -> None:
    now, absorb = [0.0], Collected.absorb

    def and_wait(self: Collected, wanted: int, **options: object) -> int:
        length = absorb(self, wanted, **options)
        self.chains.wait(self.chains.tune + wanted + 10, None)  # the chunk ahead is drawn
        now[0] = 2.0
        return length

    clock = SimpleNamespace(perf_counter=lambda: now[0], sleep=time.sleep)
    monkeypatch.setattr(chains, "time", clock)
    monkeypatch.setattr(sampling, "time", clock)
    monkeypatch.setattr(Collected, "absorb", and_wait)
    found = sample(normal_target(), seed=3, adaptation=SHORT, draws=80, max_seconds=1.0, block=10)
    assert found.draws["x"].shape[1] == 20
    begins_like_the_whole(found)


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupt_while_draws_are_forgotten_moves_none(*, after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    drop, times = Chains.drop, [0]

    def interrupted(self: Chains, end: int) -> None:
        times[0] += 1
        if times[0] != 2:
            return drop(self, end)
        if after:
            drop(self, end)
        self.wait(self.tune + end + 5, None)
        raise KeyboardInterrupt

    monkeypatch.setattr(Chains, "drop", interrupted)
    found = sample(normal_target(), seed=3, adaptation=SHORT, draws=80, block=10)
    assert not found.complete
    assert 25 <= found.draws["x"].shape[1] <= 30
    assert found.gradients["tune"] == whole().gradients["tune"]
    begins_like_the_whole(found)


def test_a_store_has_all_draws_of_a_run_that_is_interrupted() -> None:
    written: list[int] = []

    def append(start: int, draws: dict[str, Array], stats: object, last: object) -> None:
        if len(written) == 1 and written != [-1]:
            written.append(-1)
            raise KeyboardInterrupt
        written.append(start + len(draws["x"]))

    store = SimpleNamespace(adapted=lambda adaptation: None, append=append, finish=lambda **_: None)
    found = sample(normal_target(), seed=3, adaptation=SHORT, draws=80, block=10, store=store)
    assert written[:2] == [10, -1]
    assert written[-1] == found.draws["x"].shape[1] >= 20


def test_chains_end_when_a_later_one_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[int] = []
    stop, start, calls = Chains.stop, chains._python_sampler, [0]

    def fails(*arguments: object) -> object:
        calls[0] += 1
        if calls[0] == CHAINS + 2:
            raise ValueError("no room")
        return start(*arguments)

    def told(self: Chains) -> None:
        stopped.append(len(self.samplers))
        stop(self)

    monkeypatch.setattr(chains, "_python_sampler", fails)
    monkeypatch.setattr(Chains, "stop", told)
    with pytest.raises(ValueError, match="no room"):
        sample(normal_target(), seed=3, adaptation=RACING, draws=40)
    assert stopped == [1, CHAINS]


def test_effective_sizes_are_those_of_arviz() -> None:
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(2)
    for n_draw in (60, 101):
        draws = rng.normal(size=(8, 3, n_draw))
        for element, phi in enumerate(np.linspace(-0.9, 0.97, 8)):
            for t in range(1, n_draw):
                draws[element, :, t] = phi * draws[element, :, t - 1] + np.sqrt(1 - phi**2) * draws[element, :, t]
        draws[2] = np.round(draws[2], 1)
        draws[3, 0, :20] = draws[3, 0, 0]
        draws[4] = np.abs(draws[4])
        found = effective(draws)
        for element in range(8):
            axes = {"chain_axis": 0, "draw_axis": 1}
            np.testing.assert_allclose(found.bulk[element], array_stats.ess(draws[element], method="bulk", **axes), rtol=1e-9)
            np.testing.assert_allclose(
                found.tail[element], array_stats.ess(draws[element], method="tail", prob=(0.05, 0.95), **axes), rtol=1e-9)
            np.testing.assert_allclose(found.r_hat[element], array_stats.rhat(draws[element], **axes), rtol=1e-9)


def test_elements_that_never_change_meet_any_goal_within_reach_and_broken_ones_none() -> None:
    draws = np.random.default_rng(3).normal(size=(3, 2, 50))
    draws[1], draws[2, 0, 7] = 4.0, np.nan
    found = effective(draws)
    assert (found.bulk[1], found.tail[1], found.r_hat[1]) == (100.0, 100.0, 1.0)
    assert (found.bulk[2], found.tail[2], found.r_hat[2]) == (0.0, 0.0, np.inf)


def test_suspects_change_no_answer() -> None:
    rng = np.random.default_rng(4)
    draws = {"few": rng.normal(size=(500, 4)), "many": rng.normal(size=(500, 4, 30))}
    draws["many"][:, :, 17] += np.linspace(0, 3, 500)[:, None]
    suspects = Suspects()
    assert needed(draws, {"few": 500.0, "many": 400.0}, suspects) > 1.0
    assert suspects.found["many"].tolist() == [17]
    draws["many"][:, :, 17] = draws["many"][:, :, 16]
    assert needed(draws, {"few": 500.0, "many": 400.0}, suspects) == 0.0
    assert needed(draws, {"few": 500.0, "many": 400.0}, Suspects()) == 0.0
    bulk, tail, r_hat, error = worst(draws, {"many": 400.0})["many"]
    each = effective(np.ascontiguousarray(draws["many"].transpose(2, 1, 0)))
    assert (bulk, tail, r_hat, error) == (each.bulk.min(), each.tail.min(), each.r_hat.max(), each.error.max())
