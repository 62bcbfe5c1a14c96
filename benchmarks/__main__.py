"""Speed of this package beside its peers, in one run.

    python -m benchmarks                                    # everything: hours
    python -m benchmarks --short                            # a minute: one small table
    python -m benchmarks --workloads "telemetry-nb-*" --peers "nutpie:*" --repeats 1 --budget 120
    python -m benchmarks --table                            # the table and the plot from what has been run

Every run is a process of its own and one line in build/benchmarks/runs.jsonl, so that a long benchmark can be made in parts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import grouped
from benchmarks.contenders import PEERS, Contender, matching, our_engines
from benchmarks.measure import load
from benchmarks.runs import FIRST_DRAWS, ROOT, append, attempts, machine, read
from benchmarks.table import line_of, merge, ratios, write_all
from benchmarks.workloads import SHORT, WORKLOADS, Workload

BUILD = ROOT / "build" / "benchmarks"
DOCS = ROOT / "docs" / "benchmarks"
SHORT_PEERS = ["nutpie:low_rank:noncentred"]


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workloads", nargs="+", default=["*"], metavar="PATTERN", help="names or shell patterns")
    parser.add_argument("--ours", nargs="*", default=["*"], metavar="PATTERN", help="our engines; none leaves them out")
    parser.add_argument("--peers", nargs="*", default=["*"], metavar="PATTERN",
                        help="by name, pattern or capacity (best, default, approximation, point); none leaves them out")
    parser.add_argument("--repeats", type=int, default=3, help="seeds of each")
    parser.add_argument("--draws", type=int, default=FIRST_DRAWS, help="draws of each chain that peers at their best begin with")
    parser.add_argument("--budget", type=float, default=600.0, metavar="SECONDS", help="of one process")
    parser.add_argument("--threads", nargs="+", default=["1", "all"], help="threads of the linear algebra; the best counts")
    parser.add_argument("--short", action="store_true", help="a small table, our default engine and one peer")
    parser.add_argument("--table", action="store_true", help="write docs/benchmarks from all runs, and run nothing")
    parser.add_argument("--grouped", action="store_true", help="the table of many rows that are few cells, and nothing else")
    parser.add_argument("--rows", type=int, nargs="+", default=list(grouped.ROWS), help="rows of that table")
    parser.add_argument("--list", action="store_true", help="print workloads and contenders, and run nothing")
    chosen = parser.parse_args(words)
    if chosen.short:
        chosen.workloads, chosen.ours, chosen.peers = list(SHORT), ["nuts"], SHORT_PEERS
        chosen.repeats, chosen.threads, chosen.budget = 1, ["1"], min(chosen.budget, 120.0)
    return chosen


def pairs(chosen: argparse.Namespace) -> list[tuple[Workload, Contender]]:
    """Return what the command line asks for, workload by workload, ours first."""
    engines = {each.name.removeprefix("bayesglm:"): each for each in our_engines()}
    peers = {each.name: each for each in PEERS}
    runners = matching(chosen.ours, engines) + matching(chosen.peers, peers, {each.name: each.capacity for each in PEERS})
    return [(workload, each) for workload in matching(chosen.workloads, WORKLOADS) for each in runners]


def measure(chosen: argparse.Namespace, path: Path) -> None:
    """Run what was asked for and print a line for each run."""
    threads = [None if each == "all" else int(each) for each in chosen.threads]
    for workload, each in pairs(chosen):
        reason = each.reason_against(workload)
        if reason:
            print(f"{workload.name:<22}{each.name:<30}left out: {reason}", flush=True)
            continue
        tried = threads if each.capacity == "best" else threads[:1]
        for found in attempts(each, workload.name, BUILD, repeats=chosen.repeats, budget=chosen.budget, threads=tried,
                              draws=chosen.draws):
            append(path, found)
            print(line_of(found), flush=True)


def main(words: list[str]) -> None:
    """Do what the command line says."""
    chosen = arguments(words)
    if chosen.list:
        print("\n".join(["workloads:", *WORKLOADS, "", "ours:", *(each.name for each in our_engines()), "", "peers:",
                         *(f"{each.name} ({each.capacity})" for each in PEERS)]))
        return
    path = BUILD / ("short.jsonl" if chosen.short else "runs.jsonl")
    if chosen.short:
        path.unlink(missing_ok=True)
    here = machine()
    print(f"{here['cpu']}, {here['cores']} cores, {here['memory_gib']} GiB, load {load():.1f}, Python {here['python']}")
    if chosen.grouped:
        for rows in chosen.rows:
            append(BUILD / "grouped.jsonl", grouped.compare(rows, BUILD, budget=chosen.budget))
    elif not chosen.table:
        measure(chosen, path)
    if chosen.short:
        print("\n".join(ratios(read(path))))
        return
    write_all(*(merge(read(DOCS / name), read(BUILD / name)) for name in ("runs.jsonl", "grouped.jsonl")), DOCS)
    print(f"wrote {DOCS.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
