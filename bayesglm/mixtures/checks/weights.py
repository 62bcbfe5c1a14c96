"""Weights: components that are rare, and shares of the rows at hand that are not the long-term ones."""

from __future__ import annotations

import numpy as np
from scipy import stats

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.mixtures.check import Examined
from bayesglm.mixtures.membership import FLOOR
from bayesglm.predict import LEVEL, interval_names

NAME = "weights"
ALARM = 0.01


def _run(held: Examined, seed: int) -> CheckResult:  # noqa: ARG001 - the contract's
    if held.table is None:
        return not_applicable(NAME, "the fit has no rows at hand: give them as data")
    fit, low, high = held.fit, *interval_names("weight", LEVEL)
    responsibilities = fit.responsibilities(held.table_frame())
    table = fit.components[["id", "weight", low, high]].assign(share=responsibilities.mean(axis=0))
    members, rows = responsibilities.sum(axis=0), len(responsibilities)
    error = np.sqrt(fit.weights * (1 - fit.weights) * (1 / rows + 1 / fit.posterior.counts.sum()))
    p = 2 * stats.norm.sf(np.abs(members / rows - fit.weights) / np.maximum(error, 1e-12))
    moved = (p < ALARM / len(fit.ids)) & (not held.whole)
    rare = fit.weights < FLOOR
    table["p"] = np.asarray(p)
    verdict: Verdict = "warn" if moved.any() or rare.any() else "pass"
    said = [f"weights from {fit.weights.min():.1%} to {fit.weights.max():.1%}"]
    advice = []
    if rare.any():
        ids = [str(id) for id, each in zip(fit.ids, rare, strict=True) if each]
        said.append(f"below {FLOOR:.0%}: {', '.join(ids)}")
        advice.append("A rare component may be real: look at its examples, name it and protect it, or let updates prune it.")
    if moved.any():
        ids = [str(id) for id, each in zip(fit.ids, moved, strict=True) if each]
        said.append(f"the share of rows is not the long-term weight: {', '.join(ids)}")
        advice.append("Rows of this window come from other components than usual: see shares(by=) and update.")
    return CheckResult(NAME, verdict, "; ".join(said), " ".join(advice), table)


MEMBER = Check(name=NAME, question="How often does each component occur, and are the rows at hand as usual?", run=_run,
               source="Blei and Jordan (2006), Variational inference for Dirichlet process mixtures, Bayesian Analysis 1, 121")
