"""Verdicts: whether engines say "reliable" only where they are right, on targets made to be hard, and often where it is easy.

    python -m benchmarks.verdicts                                             # every target, nuts, laplace and advi, one seed
    python -m benchmarks.verdicts --targets "zero-*" separation --engines nuts laplace --seeds 5
    python -m benchmarks.verdicts --timid --seeds 100                         # how timid they are: goes on where it stopped
    python -m benchmarks.verdicts --table                                     # the table from what has been run
    python -m benchmarks.verdicts --oracles --targets "zero-*"                # find the posteriors again: some minutes each
    python -m benchmarks.verdicts --oracles --structured --targets workloads  # and of the easy ones, to see who is off there

Every fit is one line in build/benchmarks/verdicts.jsonl, so that the study can be made in parts; new lines take the place of old
ones of the same target, engine and seed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from itertools import product

from benchmarks.__main__ import BUILD, DOCS
from benchmarks.contenders import matching
from benchmarks.runs import append, read
from benchmarks.verdicts.oracles import FEWEST_EFFECTIVE, remake
from benchmarks.verdicts.study import REFERENCE, Case, from_record, models, study, to_record
from benchmarks.verdicts.table import cell, far, markdown, timid
from benchmarks.verdicts.targets import EASY, HARD

KEPT = "verdicts.jsonl"
Key = tuple[str, str, int]
CLASSES = {"references": "reference:*", "workloads": "workload:*"}


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description=__doc__)
    parser.add_argument("--targets", nargs="+", default=list(HARD), metavar="PATTERN",
                        help="names, shell patterns, or a class: references, workloads; by default the hard ones")
    parser.add_argument("--engines", nargs="+", default=["nuts", "laplace", "advi"])
    parser.add_argument("--seeds", type=int, default=1, help="seeds of each, from --first")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--timid", action="store_true",
                        help="fit the references and the cheap workloads, seed after seed, but for what has been fitted")
    parser.add_argument("--oracles", action="store_true", help="find and keep the posteriors of the targets, and fit nothing")
    parser.add_argument("--structured", action="store_true",
                        help="find them in transported coordinates, where the plain model takes too long")
    parser.add_argument("--effective", type=float, default=FEWEST_EFFECTIVE,
                        help="effective draws of an oracle's run; 40,000 for quantities with long tails")
    parser.add_argument("--table", action="store_true", help="write the table from what has been run, and run nothing")
    return parser.parse_args(words)


def latest(cases: list[Case]) -> list[Case]:
    """Return the last case of each target, engine and seed, in the order of the first."""
    return list({(case.target, case.engine, case.seed): case for case in cases}.values())


def planned(chosen: argparse.Namespace, names: Collection[str], done: Collection[Key]) -> list[Key]:
    """Return target, engine and seed of each fit, in their order.

    Parameters
    ----------
    chosen : Namespace
        The command line.
    names : collection of str
        All targets.
    done : collection of tuples
        What has been fitted; with ``--timid`` it is not fitted again.
    """
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    if chosen.timid:
        easy = [each for each in names if each.startswith(REFERENCE) or each in EASY]
        return [(name, engine, seed) for seed, name, engine in product(seeds, easy, chosen.engines)
                if (name, engine, seed) not in done]
    patterns = [CLASSES.get(each, each) for each in chosen.targets]
    return list(product(matching(patterns, {name: name for name in names}), chosen.engines, seeds))


def main(words: list[str]) -> None:
    """Do what the command line says."""
    chosen = arguments(words)
    if chosen.oracles:
        for target in matching([CLASSES.get(each, each) for each in chosen.targets], {**HARD, **EASY}):
            print(remake(target, structured=chosen.structured, effective=chosen.effective), flush=True)
        return
    known = models()
    for name, engine, seed in [] if chosen.table else planned(chosen, known, {(c.target, c.engine, c.seed) for c in kept()}):
        case = study(name, engine, seed, known)
        append(BUILD / KEPT, to_record(case))
        print(f"{name:<26}{engine:<14}seed {seed:<4}{case.seconds:7.1f} s  {cell([case])}  {case.why}", flush=True)
    cases = kept()
    (DOCS / "verdicts.md").write_text(markdown(cases), encoding="utf-8")
    (DOCS / KEPT).unlink(missing_ok=True)
    for case in cases:
        append(DOCS / KEPT, to_record(case))
    print("\n".join((*timid(cases), *far(cases))))


def kept() -> list[Case]:
    """Return the latest of all cases that have run."""
    return latest([from_record(each) for folder in (DOCS, BUILD) for each in read(folder / KEPT)])


if __name__ == "__main__":
    main(sys.argv[1:])
