"""Convergence: whether the chains found the same distribution, with enough effective draws to read intervals.

Rank-normalised R-hat and bulk and tail ESS of every parameter that users read, and of group effects with a lower bar
for ESS; R-hat also looks at spreads, which mix on their own, so that it is held to more once the ESS of distances from the median
has passed 2,000 too; divergences, energy (BFMI) and tree depth of the sampler. A fit that fails here is not to be read at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult, Verdict
from bayesglm.fitted import Fitted
from bayesglm.rows import Array

NAME = "convergence"
RHAT_WARN, RHAT_FAIL = 1.01, 1.02
WELL_KNOWN = 2000.0  # with so many effective draws R-hat above 1.01 fails too
ESS_WARN, ESS_FAIL = 400.0, 100.0
STATE_ESS_WARN, STATE_ESS_FAIL = 100.0, 50.0
DIVERGENT_SHARE = 0.01
BFMI_WARN = 0.3
DEPTH_SHARE = 0.05
FEWEST_DRAWS = 4
RANK: dict[Verdict, int] = {"pass": 0, "warn": 1, "fail": 2}


@dataclass(frozen=True, slots=True)
class Note:
    """One thing found, with what to do about it."""

    verdict: Verdict
    finding: str
    advice: str = ""


def entries(fitted: Fitted, name: str) -> tuple[list[str], Array]:
    """Return labels and draws of shape (chain, draw, entry) of what varies in a variable; a correlation once."""
    variable = fitted.draws["posterior"][name].transpose("chain", "draw", ...)
    dims, values = variable.dims[2:], np.asarray(variable.to_numpy(), dtype=np.float64)
    labels = [variable[dim].to_numpy().astype(str) for dim in dims]
    shape = values.shape[2:]
    kept = np.ones(shape, bool)
    if len(dims) == 2 and dims[1] == f"{dims[0]}_other":
        kept &= np.tri(shape[0], shape[1], -1, dtype=bool)
    with np.errstate(invalid="ignore"):
        kept &= ~(np.ptp(values, axis=(0, 1)) == 0)
    places = np.argwhere(kept)
    texts = [f"{name}[{', '.join(labels[d][i] for d, i in enumerate(place))}]" if dims else name for place in places]
    return texts, values.reshape(*values.shape[:2], -1)[:, :, kept.reshape(-1)]


def diagnostics(fitted: Fitted) -> pd.DataFrame:
    """Return R-hat, bulk and tail ESS of every parameter that varies; R-hat is NaN for a single chain."""
    from arviz_stats.base import array_stats

    lines = []
    for name, is_state in fitted.specification.reported().items():
        labels, values = entries(fitted, name)
        if not labels:
            continue
        finite = np.isfinite(values).all(axis=(0, 1))
        numbers = np.full((4, len(labels)), np.nan)
        good = values[:, :, finite]
        if finite.any() and values.shape[1] >= FEWEST_DRAWS:
            several = values.shape[0] > 1
            numbers[0, finite] = array_stats.rhat(good, chain_axis=0, draw_axis=1) if several else np.nan
            numbers[1, finite] = array_stats.ess(good, chain_axis=0, draw_axis=1, method="bulk")
            numbers[2, finite] = array_stats.ess(good, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))
            folded = np.abs(good - np.median(good, axis=(0, 1)))
            numbers[3, finite] = array_stats.ess(folded, chain_axis=0, draw_axis=1, method="bulk")
        lines.append(pd.DataFrame({"parameter": labels, "r_hat": numbers[0], "ess_bulk": numbers[1],
                                   "ess_tail": numbers[2], "ess_folded": numbers[3], "state": is_state, "finite": finite}))
    if not lines:
        columns = ("parameter", "r_hat", "ess_bulk", "ess_tail", "ess_folded", "state", "finite")
        return pd.DataFrame({name: [] for name in columns})
    return pd.concat(lines, ignore_index=True)


def rate(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the verdict on each parameter and what is wrong with it, worst first."""
    rhat, least = table["r_hat"].to_numpy(), table[["ess_bulk", "ess_tail"]].min(axis=1, skipna=False).to_numpy()
    state = table["state"].to_numpy(dtype=bool)
    ess_fail, ess_warn = np.where(state, STATE_ESS_FAIL, ESS_FAIL), np.where(state, STATE_ESS_WARN, ESS_WARN)
    broken = ~table["finite"].to_numpy(dtype=bool) | np.isnan(least)
    well_known = np.minimum(least, table["ess_folded"].to_numpy()) > WELL_KNOWN
    apart = (rhat > RHAT_FAIL) | ((rhat > RHAT_WARN) & well_known)
    fail = broken | apart | (least < ess_fail)
    # Of many effects with some 1,000 effective draws each, a few have an R-hat above 1.01 by chance.
    apart |= (rhat > RHAT_WARN) & ~state
    warn = apart | (least < ess_warn)
    problem = np.select(
        [broken, apart, least < ess_warn],
        ["not finite", "chains differ", "few effective draws"], "",
    )
    rated = table.assign(verdict=np.select([fail, warn], ["fail", "warn"], "pass"), problem=problem)
    order = np.lexsort((least, np.where(fail, 0, np.where(warn, 1, 2))))
    return rated.iloc[order].reset_index(drop=True)


def _parameter_note(rated: pd.DataFrame) -> Note:
    bad = rated[rated["verdict"] != "pass"]
    if rated.empty:
        return Note("fail", "no parameter varies between draws", "Sample again: the chains did not move.")
    if bad.empty:
        largest, rhat = rated[["ess_bulk", "ess_tail"]].min(axis=1).min(), rated["r_hat"].max()
        hat = "" if np.isnan(rhat) else f"largest R-hat {rhat:.3f}, "
        return Note("pass", f"{hat}smallest ESS {largest:.0f} of {len(rated)} parameters")
    named = ", ".join(bad["parameter"].head(5)) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
    rhat = bad["r_hat"].max()
    hat = "" if np.isnan(rhat) else f"R-hat up to {rhat:.3f}, "
    finding = f"{len(bad)} of {len(rated)} parameters are in doubt ({hat}ESS from {_least(bad):.0f}): {named}"
    verdict: Verdict = "fail" if (bad["verdict"] == "fail").any() else "warn"
    apart = (bad["problem"] == "chains differ").any()
    advice = ("Chains tell different stories: sample longer (tune and draws doubled); if they still differ, give "
              "more informative priors to these parameters or leave out terms the data cannot divide." if apart else
              "Too few effective draws for stable intervals: take more draws.")
    return Note(verdict, finding, advice)


def _least(table: pd.DataFrame) -> float:
    return float(np.nan_to_num(table[["ess_bulk", "ess_tail"]].min(axis=1).min()))


def _chain_notes(fitted: Fitted) -> Iterator[Note]:
    chains, draws = fitted.shape
    if fitted.modes > 1:
        yield Note("warn", f"{fitted.modes} different modes of the posterior were found from several starts",
                   "Chains may not have visited each mode as often as its probability says, whatever R-hat is: give priors that "
                   "decide between them, or report them apart.")
    if not fitted.complete:
        yield Note("warn", "the run was stopped before it had all its draws", "Run the fit to its end.")
    if chains == 1:
        yield Note("warn", "one chain: R-hat cannot be computed, so nothing shows whether another start ends elsewhere",
                   "Sample at least 2 chains, better 4.")
    if draws < FEWEST_DRAWS:
        yield Note("fail", f"{draws} draws in each chain are too few to judge", "Take at least some hundred draws.")


def _sampler_notes(fitted: Fitted) -> Iterator[Note]:
    if "sample_stats" not in fitted.draws.children:
        return
    found = fitted.draws["sample_stats"]
    if "diverging" in found:
        number, total = int(found["diverging"].sum()), found["diverging"].size
        verdict: Verdict = "pass" if number == 0 else "fail" if number > DIVERGENT_SHARE * total else "warn"
        yield Note(verdict, f"{number} divergences in {total} draws", "" if number == 0 else (
            "Divergences mean that a region was missed: raise target_accept to 0.95 or 0.99; if some stay, give the "
            "sd of groups with few levels a more informative prior."))
    if "energy" in found:
        yield from _energy_note(np.asarray(found["energy"].transpose("chain", "draw").to_numpy(), dtype=np.float64))
    if "reached_max_treedepth" in found:
        share = float(found["reached_max_treedepth"].mean())
        if share > DEPTH_SHARE:
            yield Note("warn", f"{share:.0%} of the draws reached the largest tree depth",
                       "Sampling is slow but not wrong: scale predictors with scale(), or raise max_treedepth.")


def _energy_note(energy: Array) -> Iterator[Note]:
    from arviz_stats.base import array_stats

    if energy.shape[1] < FEWEST_DRAWS or not np.isfinite(energy).all() or not np.ptp(energy, axis=1).all():
        return
    least = float(np.min(array_stats.bfmi(energy, chain_axis=0, draw_axis=1)))
    low = least < BFMI_WARN
    yield Note("warn" if low else "pass", f"smallest BFMI {least:.2f}", (
        "The sampler moves slowly between energies: heavy-tailed priors or funnels are common causes; take more "
        "informative priors for the sds." if low else ""))


def _run(fitted: Fitted, seed: int) -> CheckResult:
    del seed
    if not fitted.exact:
        return _approximation(fitted)
    rated = rate(diagnostics(fitted))
    notes = [_parameter_note(rated), *_chain_notes(fitted), *_sampler_notes(fitted)]
    verdict = max((note.verdict for note in notes), key=RANK.__getitem__)
    notes.sort(key=lambda note: -RANK[note.verdict])
    advice = " ".join(note.advice for note in notes if note.advice)
    table = rated.drop(columns=["finite", "ess_folded"]).rename(columns={"state": "group_effect"})
    return CheckResult(NAME, verdict, "; ".join(note.finding for note in notes), advice, table)


def _approximation(fitted: Fitted) -> CheckResult:
    """R-hat and ESS say nothing of an approximation: independent draws from the wrong distribution pass them."""
    said = f" The engine says: {'; '.join(fitted.notes)}." if fitted.notes else ""
    found = fitted.verdict
    if found is not None:
        return CheckResult(
            NAME, "pass" if found.reliable else "fail", f"an approximation ({fitted.engine}), judged {found.summary}.{said}",
            "" if found.reliable else "Do not read these draws: fit with engine='nuts'.",
            pd.DataFrame(found.evidence, columns=["evidence", "parameter", "value", "limit"]))
    return CheckResult(
        NAME, "warn",
        f"the draws come from an approximation ({fitted.engine}), which R-hat and ESS cannot judge.{said}",
        "Confirm what matters with engine='nuts'.",
    )


MEMBER = Check(
    name=NAME, question="Did the chains find the same distribution, and are there enough effective draws?", run=_run,
    source="Vehtari et al. (2021), Rank-normalization, folding, and localization: an improved R-hat, Bayesian "
           "Analysis 16, 667; Betancourt (2016), Diagnosing suboptimal cotangent disintegrations in Hamiltonian "
           "Monte Carlo",
    decisive=True,
)
