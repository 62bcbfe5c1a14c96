"""Summary: runs into one line for each contender on each workload, at the number of draws and threads that suit it best.

A setting counts when most of its runs converged. ESS/s is the median over all runs of a setting, and the best setting counts; the
wall time likewise, from a setting of its own: few draws make a short wall, many make the most of the tuning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Any

from benchmarks.contenders import PEERS
from benchmarks.measure import smallest
from benchmarks.runs import most_converged

Record = Mapping[str, Any]
WITHIN_SD = 0.2


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one contender on one workload.

    Attributes
    ----------
    workload, contender, capacity : str
        Who, on what, as what.
    rows, dimension : int
        Rows of the table; unconstrained coordinates.
    runs : int
        How many runs the figures are the median of.
    converged : bool
        Whether most of a setting's runs converged; if not, the figures are of runs that do not count.
    bulk, tail, squares : float
        ESS per second of mode finding, tuning and sampling.
    sampling, compiling : float
        Seconds, of the same runs.
    sampling_cpu : float
        CPU seconds of all threads in ``sampling``, where they can be told apart.
    wall : float
        Seconds from the start of the process to the summary, compiled code on disk.
    cpu : float
        CPU seconds of all threads in the same time: what a busy machine changes least.
    peak_mib : float
        Peak memory of the process.
    gradients, floor : float
        Gradient evaluations a draw, and nutpie's on a standard normal of the same dimension.
    per_effective_draw : float
        Gradient evaluations of the kept draws per effective draw.
    r_hat : float
        Largest.
    difference : float
        Largest difference of a posterior mean to another contender's longest run, in posterior sds.
    load : float
        Mean load of the machine, this run included.
    when : str
        Date of the last run.
    note : str
        Why it did not finish, or what else to know.
    """

    workload: str
    contender: str
    capacity: str
    rows: int
    dimension: int | None
    runs: int
    converged: bool
    bulk: float | None
    tail: float | None
    squares: float | None
    sampling: float | None
    compiling: float | None
    sampling_cpu: float | None
    wall: float | None
    cpu: float | None
    peak_mib: float | None
    gradients: float | None
    floor: float | None
    per_effective_draw: float | None
    r_hat: float | None
    difference: float | None
    load: float
    when: str
    note: str

    @property
    def rate(self) -> float | None:
        """The smaller of bulk and tail ESS per second."""
        return None if self.bulk is None or self.tail is None else min(self.bulk, self.tail)


def capacity_of(contender: str) -> str:
    """Return as what a contender runs."""
    return "ours" if contender.startswith("bayesglm:") else {each.name: each.capacity for each in PEERS}.get(contender, "best")


def summarise(records: Sequence[Record]) -> list[Line]:
    """Return one line for each contender on each workload, in the order in which they ran."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for each in records:
        groups[each["workload"], each["contender"]].append(each)
    return [_line(workload, contender, found, [each for each in records if each["workload"] == workload])
            for (workload, contender), found in groups.items()]


def _line(workload: str, contender: str, runs: Sequence[Record], others: Sequence[Record]) -> Line:
    done = [each for each in runs if not each.get("error")]
    settings = _settings(done)
    counted = [found for found in settings if most_converged(found)]
    exact = bool(done) and all(each.get("r_hat") is not None for each in done)
    chosen = _best(counted or settings, _rate, most=True) if exact else done
    quickest = _best(counted or settings, lambda each: each["wall"], most=False)
    last = max(runs, key=lambda each: each["machine"]["when"])
    notes = [each["notes"] for each in chosen if each.get("notes")] + [each["error"] for each in runs if each.get("error")]
    return Line(
        workload, contender, capacity_of(contender), last["rows"], _one(done, "dimension"), len(chosen),
        bool(counted),
        *(_median(chosen, lambda each, kind=kind: each["ess"][kind] / each["sample"]) if exact else None
          for kind in ("bulk", "tail", "squares")),
        _median(chosen, lambda each: each["sample"]), _median(chosen, lambda each: each["compile"]),
        _median(chosen, lambda each: each.get("sample_cpu")),
        _median(quickest, lambda each: each["wall"]), _median(quickest, lambda each: each.get("cpu")),
        _median(chosen, lambda each: each["peak_mib"]),
        _one(chosen, "gradients_per_draw"), _one(chosen, "gradients_on_standard_normal"), _median(chosen, _per_effective_draw),
        _median(chosen, lambda each: each.get("r_hat")), difference(chosen, others, contender),
        sum(sum(each["load"]) / 2 for each in runs) / len(runs), last["machine"]["when"][:10], notes[0] if notes else "",
    )


def _rate(each: Record) -> float:
    return smallest(each["ess"]) / float(each["sample"])


def _per_effective_draw(each: Record) -> float | None:
    if "gradients_per_draw" not in each:
        return None
    return float(each["gradients_per_draw"]) * int(each["draws_kept"]) / smallest(each["ess"])


def _settings(runs: Sequence[Record]) -> list[list[Record]]:
    """Return the runs of each number of draws and threads."""
    found: dict[tuple[Any, Any], list[Record]] = defaultdict(list)
    for each in runs:
        found[each["draws"], each["threads"]].append(each)
    return list(found.values())


def _best(settings: Sequence[Sequence[Record]], figure: Callable[[Record], float], *, most: bool) -> Sequence[Record]:
    """Return the runs of the setting whose median is best."""
    ranked = sorted(settings, key=lambda found: median(figure(each) for each in found))
    return ranked[-1 if most else 0] if ranked else []


def _median(runs: Iterable[Record], figure: Callable[[Record], float | None]) -> float | None:
    values = [value for each in runs if (value := figure(each)) is not None]
    return median(values) if values else None


def _one(runs: Iterable[Record], name: str) -> Any:
    return _median(runs, lambda each: each.get(name))


def difference(runs: Sequence[Record], others: Sequence[Record], contender: str) -> float | None:
    """Return the largest difference of means to the longest converged run of somebody else who names things alike, in its sds."""
    reference = longest([each for each in others if each["contender"] != contender])
    found = [_shift(each["means"], reference) for each in runs if reference and each.get("means")]
    shifts = [each for each in found if each is not None]
    return median(shifts) if shifts else None


def longest(records: Iterable[Record]) -> Record | None:
    """Return the converged run with the largest ESS among those that sample our posterior."""
    exact = [each for each in records if each["converged"] and capacity_of(each["contender"]) in ("ours", "best")]
    return max(exact, key=lambda each: smallest(each["ess"]), default=None)


def _shift(means: Mapping[str, float], reference: Record) -> float | None:
    if set(means) != set(reference["means"]):
        return None
    return max(abs(means[name] - reference["means"][name]) / reference["sds"][name] for name in means)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Our default engine over the best peer on one workload; above 1 is better, None where one side has no figure that counts.

    Attributes
    ----------
    workload : str
        On what.
    peer : str
        The best peer in ESS/s; empty where none converged.
    converged : bool
        Whether ours did.
    rate, wall : float
        ESS/s of ours over theirs; their wall over ours.
    by_default : float
        ESS/s of ours over the best of what packages do by default, whether that converges or not: it is what they leave.
    """

    workload: str
    peer: str
    converged: bool
    rate: float | None
    wall: float | None
    by_default: float | None


def compare(lines: Sequence[Line], engine: str = "bayesglm:nuts") -> list[Ratio]:
    """Return the ratios of each workload on which both sides ran."""
    found = []
    for workload in dict.fromkeys(each.workload for each in lines):
        here = [each for each in lines if each.workload == workload]
        ours = next((each for each in here if each.contender == engine), None)
        if ours is None:
            continue
        best = _counted(here, "best")
        fastest = max(best, key=lambda each: each.rate or 0.0, default=None)
        walls = [each.wall for each in here if each.capacity in ("best", "default") and each.converged and each.wall]
        default = max((each.rate or 0.0 for each in here if each.capacity == "default"), default=None)
        rate, wall = (ours.rate, ours.wall) if ours.converged else (None, None)
        found.append(Ratio(workload, fastest.contender if fastest else "", ours.converged, _over(rate, fastest and fastest.rate),
                           _over(min(walls, default=None), wall), _over(rate, default)))
    return found


def _counted(lines: Iterable[Line], capacity: str) -> list[Line]:
    return [each for each in lines if each.capacity == capacity and each.converged and each.rate]


def _over(top: float | None, bottom: float | None) -> float | None:
    return top / bottom if top and bottom else None


def overall(found: Sequence[Ratio], figure: str) -> tuple[float, float] | None:
    """Return the geometric mean and the smallest of a ratio over workloads."""
    values = [value for each in found if (value := getattr(each, figure)) is not None]
    return (geometric_mean(values), min(values)) if values else None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """When an approximation's means came, and stayed, within 0.2 posterior sds of the reference.

    Attributes
    ----------
    workload, contender : str
        Who, on what.
    within : float
        Seconds after compiling; None if not by the end.
    seconds : float
        Seconds that it ran.
    shift, spread : float
        At the end: the largest difference of a mean in posterior sds, and the largest ratio of sds either way.
    reference : str
        Whose draws it is held against.
    """

    workload: str
    contender: str
    within: float | None
    seconds: float
    shift: float
    spread: float
    reference: str


def accuracies(records: Sequence[Record]) -> list[Accuracy]:
    """Return the accuracy of every run that has no R-hat, against the longest converged run on its workload."""
    found = []
    for each in records:
        reference = longest(other for other in records if other["workload"] == each["workload"])
        if each.get("error") or each.get("r_hat") is not None or not each.get("means") or reference is None:
            continue
        shift = _shift(each["means"], reference)
        if shift is not None:
            ratios = [each["sds"][name] / reference["sds"][name] for name in each["sds"]]
            found.append(Accuracy(each["workload"], each["contender"], _within(each, reference), each["sample"], shift,
                                  max(max(ratio, 1 / ratio) for ratio in ratios), reference["contender"]))
    return found


def _within(each: Record, reference: Record) -> float | None:
    """Seconds of the first look from which on all are within; a run without looks has only its end."""
    looks = each["course"] or [{"seconds": each["sample"], "means": each["means"]}]
    since = None
    for look in looks:
        shift = _shift(look["means"], reference)
        near = shift is not None and shift < WITHIN_SD
        since = (look["seconds"] if since is None else since) if near else None
    return since
