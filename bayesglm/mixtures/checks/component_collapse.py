"""Component collapse: components that are the same, so that no row tells them apart, or that have no rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.mixtures.check import FITTED_ROWS, Examined
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.membership import entropy

NAME = "component_collapse"
LITTLE = 0.05
SAME = 0.98
FEW = 1.0


def information(responsibilities: Array) -> float:
    """Return how much rows say of their component: 1 where they tell all, 0 where responsibilities are the same in all rows.

    It is the mutual information of row and component over the entropy of the shares.

    Examples
    --------
    >>> information(np.array([[1.0, 0.0], [0.0, 1.0]])), information(np.array([[0.5, 0.5], [0.5, 0.5]]))
    (1.0, 0.0)
    """
    whole = float(entropy(responsibilities.mean(axis=0, keepdims=True))[0])
    return 1.0 if whole < 1e-12 else float(1 - entropy(responsibilities).mean() / whole)


def likeness(responsibilities: Array) -> Array:
    """Return how alike the rows of two components are: the cosine of their responsibilities, shape (component, component)."""
    length = np.sqrt((responsibilities**2).sum(axis=0))
    unit = responsibilities / np.where(length > 0, length, 1.0)
    return np.asarray(unit.T @ unit)


def _run(held: Examined, seed: int) -> CheckResult:  # noqa: ARG001 - the contract's
    fit = held.fit
    if fit.table is None or not held.own:
        return not_applicable(NAME, FITTED_ROWS)
    if fit.posterior.size == 1:
        return not_applicable(NAME, "there is one component")
    responsibilities = fit.responsibilities(None)
    alike = likeness(responsibilities) - np.eye(fit.posterior.size)
    rows = fit.posterior.counts
    table = pd.DataFrame({"id": list(fit.ids), "rows": rows, "most like": [fit.ids[k] for k in alike.argmax(axis=1)],
                          "likeness": alike.max(axis=1)})
    told = information(responsibilities)
    same, empty = table["likeness"] > SAME, table["rows"] < FEW
    verdict: Verdict = "fail" if told < LITTLE or same.any() else "warn" if empty.any() else "pass"
    finding = f"rows tell {told:.0%} of their component"
    if same.any():
        finding += f"; {int(same.sum())} components have the same rows as another"
    if empty.any():
        finding += f"; {int(empty.sum())} components have less than one row"
    advice = "" if verdict == "pass" else "Fit again with another seed or more starts: these components began at the same place."
    return CheckResult(NAME, verdict, finding, advice, table)


MEMBER = Check(
    name=NAME, question="Are the components different from each other?", run=_run,
    source="Celeux, Hurn and Robert (2000), Journal of the American Statistical Association 95, 957",
)
