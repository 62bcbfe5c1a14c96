"""Many columns: whether more are described together than distances can tell apart."""

from __future__ import annotations

import pandas as pd

from bayesglm.checks.check import Check, CheckResult, not_applicable
from bayesglm.mixtures.check import Examined
from bayesglm.mixtures.findings import MANY, many_columns

NAME = "many_columns"


def _run(held: Examined, seed: int) -> CheckResult:  # noqa: ARG001 - the contract's
    together = [part for part in held.fit.parts if part.component.scaled]
    if not together:
        return not_applicable(NAME, "no columns are described together")
    found = many_columns(held.fit.parts)
    table = pd.DataFrame({"component": [part.component.name for part in together],
                          "columns": [len(part.layout.names) for part in together]})
    if found:
        return CheckResult(NAME, "warn", found[0].text, "Fit again with projection='pca', scores=0.95.", table)
    return CheckResult(NAME, "pass", f"at most {table['columns'].max()} columns are described together (many: above {MANY})", "",
                       table)


MEMBER = Check(
    name=NAME, question="Are few enough columns described together?", run=_run,
    source="Beyer, Goldstein, Ramakrishnan and Shaft (1999), When is nearest neighbor meaningful?, ICDT, 217-235",
)
