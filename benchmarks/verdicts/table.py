"""Table: the cases of the study as Markdown, the worst seed of each target and engine, and where the study's rules are broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.verdicts.study import MEDIAN_LIMIT, QUANTILE_LIMIT, Case
from benchmarks.verdicts.targets import HARD

ENGINES = ("nuts", "laplace", "advi", "fullrank_advi")
FAR = {"advi": 0.2}  # sds that the centre of a posterior may be off where an engine says reliable and it is easy
TIMID = {"nuts": 0.95, "laplace": 0.80}  # the least share of seeds that an engine may call reliable where it is easy


def cell(cases: Sequence[Case]) -> str:
    """Return what one engine says of one target, and how far it is off at worst: median / 5 % or 95 % quantile.

    A dishonest cell is in bold; ``wrong`` is a fit too far off that says so itself.
    """
    if not cases:
        return ""
    applicable = [case for case in cases if case.reliable is not None]
    if not applicable:
        return "not applicable"
    said = sum(bool(case.reliable) for case in applicable)
    words = f"reliable {said}/{len(applicable)}" if said else f"not reliable {len(applicable)}/{len(applicable)}"
    found = [case.off for case in applicable if case.off is not None]
    if found:
        words += f", {max(each.median for each in found):.2f} / {max(each.quantile for each in found):.2f}"
    if any(case.dishonest for case in applicable):
        return f"**{words}**"
    return words + (", wrong" if any(case.wrong for case in applicable) else "")


def grouped(cases: Sequence[Case]) -> dict[tuple[str, str], list[Case]]:
    """Return the cases by target and engine."""
    found: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        found.setdefault((case.target, case.engine), []).append(case)
    return found


def caught(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return the hard targets that each engine gets wrong, whatever it says."""
    return {engine: sorted({case.target for case in cases if case.engine == engine and case.target in HARD and case.wrong})
            for engine in engines(cases)}


def engines(cases: Sequence[Case]) -> list[str]:
    """Return the engines that have run, in the order of the columns."""
    known = {case.engine for case in cases}
    return [each for each in ENGINES if each in known] + sorted(known - set(ENGINES))


def timid(cases: Sequence[Case]) -> list[str]:
    """Return a line for each easy target that an engine calls reliable with too few seeds."""
    return [f"{target}: {engine} says reliable with {sum(bool(case.reliable) for case in found)} of {len(found)} seeds"
            for (target, engine), found in grouped(cases).items()
            if target not in HARD and engine in TIMID and _share(found) < TIMID[engine]]


def far(cases: Sequence[Case]) -> list[str]:
    """Return a line for each fit of an easy target that calls itself reliable too far from the posterior's centre."""
    return [f"{case.target}: {case.engine}, seed {case.seed}, says reliable and is {case.off.median:.2f} sd off at "
            f"{case.off.median_of}"
            for case in cases if case.target not in HARD and case.engine in FAR and case.reliable and case.off is not None
            and case.off.median > FAR[case.engine]]


def _share(cases: Sequence[Case]) -> float:
    return sum(bool(case.reliable) for case in cases) / len(cases)


def markdown(cases: Sequence[Case]) -> str:
    """Return the page: honesty on hard targets, what was wrong in cells, and how often the easy ones are called reliable."""
    columns, by_cell = engines(cases), grouped(cases)
    hard = [name for name in HARD if any((name, engine) in by_cell for engine in columns)]
    easy = list(dict.fromkeys(case.target for case in cases if case.target not in HARD))
    oracle = {case.target: case.oracle for case in cases}
    lines = ["### Honest", "", _row(["target", "what is hard", "oracle", *columns]), _row(["---"] * (3 + len(columns)))]
    lines += [_row([f"`{name}`", HARD[name].difficulty, oracle[name], *(cell(by_cell.get((name, each), [])) for each in columns)])
              for name in hard]
    lines += ["", *_summary(cases), "", "### Not timid", "", *_easy_lines(easy, columns, by_cell)]
    lines += ["", *(f"- {line}" for line in (*timid(cases), *far(cases)))]
    return "\n".join(lines) + "\n"


def _summary(cases: Sequence[Case]) -> list[str]:
    found = [case for case in cases if case.dishonest]
    wrong = {engine: names for engine, names in caught(cases).items() if names}
    said = [f"Dishonest fits (reliable, and a median more than {MEDIAN_LIMIT} or a quantile more than {QUANTILE_LIMIT} robust "
            f"sds off): {len(found)} of {sum(case.off is not None for case in cases)}."]
    said += [f"- `{case.target}`, {case.engine}, seed {case.seed}: {_worst(case)}" for case in found]
    return [*said, "", *(f"Wrong, whatever they say: {engine} on {', '.join(f'`{name}`' for name in names)}."
                         for engine, names in wrong.items())]


def _worst(case: Case) -> str:
    off = case.off
    return "" if off is None else (f"the median of {off.median_of} is {off.median:.2f} off, "
                                   f"a quantile of {off.quantile_of} {off.quantile:.2f}, of which "
                                   f"{off.noise:.2f} is one Monte Carlo error")


def _easy_lines(easy: Sequence[str], columns: Sequence[str], by_cell: Mapping[tuple[str, str], Sequence[Case]]) -> list[str]:
    if not easy:
        return ["None has run."]
    lines = [_row(["easy target", *columns]), _row(["---"] * (1 + len(columns)))]
    return lines + [_row([f"`{name}`", *(cell(by_cell.get((name, each), [])) for each in columns)]) for name in easy]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
