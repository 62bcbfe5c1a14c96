"""Singular covariance: components whose rows have no spread in some direction, so that the prior alone gives them width."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesglm.checks.check import Check, CheckResult, Verdict, not_applicable
from bayesglm.mixtures.check import Examined
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.shapes import shapes

NAME = "singular_cov"
CONDITION = 1e4
FLAT = 1e-8  # smallest eigenvalue of the rows' own covariance, in squared sds of the columns
_ADVICE = ("Look for repeated rows and for columns that follow from others, and leave them out; or use components with fewer "
           "parameters: component='diagonal_gaussian' or 'tied_gaussian'.")


def smallest_eigenvalues(data: Array, responsibilities: Array) -> Array:
    """Return the smallest eigenvalue of the covariance of each component's rows, shape (component,).

    Parameters
    ----------
    data : array, shape (row, column)
        Standardised numbers; rows with missing values are left out.
    responsibilities : array, shape (row, component)
        Probability of each component.
    """
    whole = ~np.isnan(data).any(axis=1)
    data, weight = data[whole], responsibilities[whole]
    found = np.zeros(weight.shape[1])
    for k in range(weight.shape[1]):
        total = weight[:, k].sum()
        if total > 1e-9:
            away = data - weight[:, k] @ data / total
            found[k] = np.linalg.eigvalsh((weight[:, k, None] * away).T @ away / total)[0]
    return found


def _run(held: Examined, seed: int) -> CheckResult:  # noqa: ARG001 - the contract's
    fit, found = held.fit, shapes(held.fit)
    if not found:
        return not_applicable(NAME, "no component has a covariance")
    own = held.table if held.own else fit.table
    lines = []
    for shape in found:
        place = next(p for p, part in enumerate(fit.parts) if part.layout.names == shape.names)
        least = np.full(len(fit.ids), np.nan)
        if own is not None:
            numbers = [part.numbers(own) for part in fit.parts]
            least = smallest_eigenvalues(numbers[place][:, :len(shape.names)], fit.responsibilities(None))
        lines.append(pd.DataFrame({"id": list(fit.ids), "columns": len(shape.names), "condition": shape.condition,
                                   "least": least}))
    table = pd.concat(lines, ignore_index=True)
    flat = table["least"] < FLAT
    steep = table["condition"] > CONDITION
    verdict: Verdict = "fail" if flat.any() else "warn" if steep.any() else "pass"
    said = f"the largest condition number of a component's covariance is {table['condition'].max():.3g} (standardised columns)"
    if flat.any():
        said = f"the rows of {_named(table[flat])} have no spread in some direction: their width there is the prior's; {said}"
    elif steep.any():
        said = f"{_named(table[steep])} {'is' if steep.sum() == 1 else 'are'} nearly flat in some direction; {said}"
    shown = table.rename(columns={"condition": "condition number", "least": "smallest eigenvalue of the rows"})
    return CheckResult(NAME, verdict, said, "" if verdict == "pass" else _ADVICE, shown)


def _named(table: pd.DataFrame) -> str:
    ids = [str(each) for each in dict.fromkeys(table["id"])]
    return f"component {ids[0]}" if len(ids) == 1 else f"components {', '.join(ids)}"


MEMBER = Check(
    name=NAME, question="Has every component a spread in every direction, and of its own rows?", run=_run,
    source="Bishop (2006), Pattern Recognition and Machine Learning, section 9.2.1",
)
