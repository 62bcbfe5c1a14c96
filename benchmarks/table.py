"""Table: the figures as text, CSV and a plot, for a terminal and for the documentation."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.measure import smallest
from benchmarks.summary import Accuracy, Line, Ratio, accuracies, compare, overall, summarise

Record = Mapping[str, Any]


def line_of(found: Record) -> str:
    """Return one run as a line for a terminal."""
    head = f"{found['workload']:<22}{found['contender']:<30}seed {found['seed']}  "
    if found.get("error"):
        return head + found["error"]
    if "ess" not in found:
        return head + f"wall {found['wall']:6.1f} s  {found['notes']}"
    rate = {kind: value / found["sample"] for kind, value in found["ess"].items()}
    r_hat = "  none " if found["r_hat"] is None else f"{found['r_hat']:7.4f}"
    return head + (
        f"{found['draws_kept']:>6} draws, ESS {smallest(found['ess']):6.0f}, ESS/s bulk {rate['bulk']:7.1f} "
        f"tail {rate['tail']:7.1f} squares {rate['squares']:7.1f}, sample {found['sample']:6.1f} s, "
        f"compile {found['compile']:5.1f} s, wall {found['wall']:6.1f} s, R-hat {r_hat}, load {found['load'][1]:.1f}"
        + ("" if found["converged"] else "  not converged")
    )


def ratios(records: Sequence[Record]) -> list[str]:
    """Return our default engine against the best peer, a line for each workload, and both means over workloads."""
    found = compare(summarise(records))
    said = [f"{'ours over the best peer':<24}{'ESS/s':>10}{'cold wall':>12}{'ESS/s over defaults':>22}  best peer"]
    said += [f"{each.workload:<24}{_number(each.rate):>10}{_number(each.wall):>12}{_number(each.by_default):>22}  "
             + _sides(each) for each in found]
    for name, pick in (("geometric mean", 0), ("smallest", 1)):
        values = [overall(found, figure) for figure in ("rate", "wall", "by_default")]
        said.append(f"{name:<24}" + "".join(
            f"{_number(value[pick] if value else None):>{width}}" for value, width in zip(values, (10, 12, 22), strict=True)))
    if not found:
        said.append("nothing of ours has run")
    return said


def _sides(each: Ratio) -> str:
    """Name the best peer, and say who has no figure that counts."""
    return (each.peer or "no peer converged") + ("" if each.converged else "; ours has not converged")


def merge(kept: Sequence[Record], new: Sequence[Record]) -> list[Record]:
    """Return all runs, where new runs of a contender on a workload take the place of all that were kept."""
    again = {(each["workload"], each["contender"]) for each in new}
    return [*(each for each in kept if (each["workload"], each["contender"]) not in again), *new]


def write_all(records: Sequence[Record], grouped: Sequence[Record], folder: Path) -> None:
    """Write runs, CSV, Markdown and the plot.

    Parameters
    ----------
    records : sequence
        Runs of the workloads.
    grouped : sequence
        Comparisons of many rows with their cells.
    folder : Path
        Where to; made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in (("runs", records), ("grouped", grouped)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(_short(one)) + "\n" for one in each), encoding="utf-8")
    lines = summarise(records)
    _write_csv(lines, folder / "table.csv")
    (folder / "table.md").write_text(page(records, lines, grouped), encoding="utf-8")
    if any(each.rate for each in lines):
        draw(lines, folder / "rates.svg")


def _short(value: Any) -> Any:
    """Round to six digits: more would be noise in a file that is kept."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value


def _write_csv(lines: Sequence[Line], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Line)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _short(value) for name, value in asdict(each).items()} for each in lines)


def page(records: Sequence[Record], lines: Sequence[Line], grouped: Sequence[Record]) -> str:
    """Return the generated part of the documentation's page."""
    parts = ["## Ratios", _ratio_table(lines)]
    parts += ["## Everybody", _machines(records)]
    for workload in dict.fromkeys(each.workload for each in lines):
        here = [each for each in lines if each.workload == workload]
        size = f"{here[0].rows:,} rows" + (f", {n:.0f} dimensions" if (n := _dimension(here)) else "")
        parts += [f"### {workload}", size + ".", _workload_table(here)]
    found = accuracies(records)
    if found:
        parts += ["## Approximations", _accuracy_table(found)]
    if grouped:
        parts += ["## Many rows, few cells", _grouped_table(grouped)]
    return "\n\n".join(parts) + "\n"


def _dimension(lines: Iterable[Line]) -> float | None:
    return next((each.dimension for each in lines if each.dimension), None)


def _number(value: float | None, digits: int = 3) -> str:
    """Return a number as people read it, a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "|".join("---" if i == 0 else "--:" for i, _ in enumerate(heads)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _ratio_table(lines: Sequence[Line]) -> str:
    found = compare(lines)
    if not found:
        return "No run of ours stands beside a peer's yet."
    rows = [_ratio_row(each) for each in found]
    for name, pick in (("geometric mean", 0), ("smallest", 1)):
        values = [overall(found, figure) for figure in ("rate", "wall", "by_default")]
        numbers = [_number(value[pick] if value else None) for value in values]
        rows.append([f"**{name}**", "", *(f"**{number}**" for number in numbers)])
    return _markdown(["workload", "best peer", "ESS/s", "cold wall", "ESS/s over defaults"], rows)


def _ratio_row(each: Ratio) -> list[str]:
    return [each.workload, _sides(each), *(_number(value) for value in (each.rate, each.wall, each.by_default))]


def _machines(records: Sequence[Record]) -> str:
    """Say where and with what the runs were made."""
    said = {}
    for each in records:
        machine = each["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}: {versions}"
        said.setdefault(where, []).append(machine["when"][:10])
    return "\n".join(f"- {where} ({min(days)} to {max(days)})." for where, days in said.items())


def _workload_table(lines: Sequence[Line]) -> str:
    heads = ["contender", "ESS/s bulk", "tail", "squares", "sampling s", "its CPU s", "compile s", "cold wall s", "its CPU s",
             "peak MiB", "gradients a draw", "floor", "per effective draw", "R-hat", "means off, sd", "load", "runs"]
    return _markdown(heads, [_workload_row(each) for each in lines])


def _workload_row(each: Line) -> list[str]:
    name = f"`{each.contender}`" if each.converged or each.capacity in ("point", "approximation") else f"*`{each.contender}`*"
    if each.runs == 0:
        return [f"{name} {each.note}", *["–"] * 14, _number(each.load, 2), "0"]
    figures = (each.bulk, each.tail, each.squares, each.sampling, each.sampling_cpu, each.compiling, each.wall, each.cpu,
               each.peak_mib, each.gradients, each.floor, each.per_effective_draw)
    r_hat = "–" if each.r_hat is None else f"{each.r_hat:.3f}"
    beside = (_number(each.difference, 2), _number(each.load, 2), str(each.runs))
    return [name, *(_number(value) for value in figures), r_hat, *beside]


def _accuracy_table(found: Sequence[Accuracy]) -> str:
    return _markdown(
        ["workload", "contender", "s to 0.2 sd", "ran s", "means off, sd", "sds off, times", "held against"],
        [[each.workload, f"`{each.contender}`", _number(each.within) if each.within else "not reached", _number(each.seconds),
          _number(each.shift, 2), _number(each.spread, 2), f"`{each.reference}`"] for each in found],
    )


def _grouped_table(grouped: Sequence[Record]) -> str:
    heads = ["rows", "cells", "all rows s", "grouped fit s", "Polars' group-by s", "ratio", "fit alone s", "peak MiB"]
    rows = []
    for each in grouped:
        whole = each["rows"]
        failed = whole.get("error")
        rows.append([each["workload"].rsplit("-", 1)[1], f"{each['group-by'].get('cells', 0):,.0f}", *(
            _number(value) for value in (whole.get("total"), each["cells"].get("total"), each["group-by"].get("total"),
                                         each.get("ratio"), whole.get("fit"), whole.get("peak_mib"))
        )] if not failed else [each["workload"].rsplit("-", 1)[1], failed, *["–"] * 6])
    return _markdown(heads, rows)


MARKS: Mapping[str, tuple[str, str, str]] = {
    "ours": ("o", "#c2410c", "bayesglm"), "best": ("D", "#1d4ed8", "peers as experts write them"),
    "default": ("x", "#6b7280", "packages by default"),
}


def draw(lines: Sequence[Line], path: Path) -> None:
    """Draw ESS/s of everybody on a log axis, a row for each workload; hollow where a run did not converge."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    workloads = list(dict.fromkeys(each.workload for each in lines if each.rate))
    with mpl.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(8.0, 1.2 + 0.42 * len(workloads)), layout="constrained")
        axes = figure.add_subplot()
        for capacity, (mark, colour, label) in MARKS.items():
            _scatter(axes, lines, workloads, capacity, mark, colour, label)
        axes.set(xscale="log", xlabel="effective draws a second (the smaller of bulk and tail)", yticks=range(len(workloads)),
                 yticklabels=workloads, ylim=(len(workloads) - 0.5, -0.5))
        axes.grid(axis="x", alpha=0.3)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, metadata={"Date": None})


def _scatter(
    axes: Any, lines: Sequence[Line], workloads: Sequence[str], capacity: str, mark: str, colour: str, label: str,
) -> None:
    for counts in (True, False):
        here = [each for each in lines if each.capacity == capacity and each.rate and each.converged == counts]
        words = {"color": colour} if counts or mark == "x" else {"facecolors": "none", "edgecolors": colour}
        axes.scatter([each.rate for each in here], [workloads.index(each.workload) for each in here], marker=mark, s=40, zorder=3,
                     alpha=1.0 if counts else 0.5, label=label if counts else None, **words)
