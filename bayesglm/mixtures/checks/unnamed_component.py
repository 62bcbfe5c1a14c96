"""Unnamed component: components that nobody has looked at and given a name, where others have one."""

from __future__ import annotations

import pandas as pd

from bayesglm.checks.check import Check, CheckResult, not_applicable
from bayesglm.mixtures.check import Examined

NAME = "unnamed_component"


def _run(held: Examined, seed: int) -> CheckResult:  # noqa: ARG001 - the contract's
    fit = held.fit
    names = fit.identity.names
    unnamed = [id for id in fit.ids if not names.get(id)]
    if len(unnamed) == len(fit.ids):
        return not_applicable(NAME, "no component has a name yet: look at examples(), then give them with named({id: name})")
    shown = fit.components
    table = shown.loc[shown["id"].isin(unnamed), ["id", "weight", "distinguished_by"]]
    if not unnamed:
        return CheckResult(NAME, "pass", f"all {len(fit.ids)} components have a name", "", pd.DataFrame())
    listed = ", ".join(str(each) for each in unnamed)
    return CheckResult(NAME, "warn", f"{len(unnamed)} of {len(fit.ids)} components have no name: {listed}",
                       "Look at what sets them apart and at examples(), then name them: named({id: name}, runbook={id: link}).",
                       table)


MEMBER = Check(name=NAME, question="Has every component a name that people know it by?", run=_run,
               source="Lazarsfeld and Henry (1968), Latent Structure Analysis: classes mean what their members have in common")
