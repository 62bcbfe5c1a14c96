"""Problem: the data of a fit as arrays and plain values, for a fit that is saved with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bayesglm.data.patterns import Patterns
from bayesglm.data.table import Column, ExposureScale, Finding, Observations, Table
from bayesglm.specification import Problem, Specification
from bayesglm.storage.arrays import Variable

OBSERVATIONS, LABELS, PATTERNS, COLUMNS = GROUPS = ("data_observations", "data_labels", "data_patterns", "data_columns")


def problem_variables(problem: Problem) -> list[Variable]:
    """Return the arrays of a problem."""
    data, patterns = problem.observations, problem.patterns
    observed = {"response": data.response, "exposure": data.exposure, "trials": data.trials, "weights": data.weights}
    return [
        *(Variable(OBSERVATIONS, name, ("obs",), values) for name, values in observed.items() if values is not None),
        *(Variable(LABELS, name, ("obs",), values) for name, values in data.labels.items()),
        Variable(PATTERNS, "index", ("obs",), patterns.index.astype(np.int64)),
        Variable(PATTERNS, "counts", ("pattern",), patterns.counts),
        *(Variable(COLUMNS, name, ("pattern",), each.values) for name, each in patterns.table.columns.items()),
    ]


def problem_document(problem: Problem) -> dict[str, Any]:
    """Return what the arrays of a problem do not say, as plain values."""
    data, table = problem.observations, problem.patterns.table
    return {
        "levels": data.levels, "findings": [asdict(each) for each in data.findings],
        "exposure_scale": None if data.exposure_scale is None else asdict(data.exposure_scale),
        "columns": {name: {"kind": each.kind, "levels": each.levels, "integer": each.integer}
                    for name, each in table.columns.items()},
        "rows": table.rows, "table_findings": [asdict(each) for each in table.findings], "imputed": dict(table.imputed),
    }


def read_problem(saved: Mapping[str, Any], variables: Sequence[Variable], specification: Specification) -> Problem:
    """Return the problem that `problem_document` and `problem_variables` wrote."""
    groups: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    for each in variables:
        groups[each.group][each.name] = each.values
    observed, scale = groups[OBSERVATIONS], saved["exposure_scale"]
    observations = Observations(
        observed["response"], tuple(saved["levels"]), observed.get("exposure"), observed.get("trials"),
        observed["weights"], groups[LABELS], None if scale is None else ExposureScale(**scale),
        _findings(saved["findings"]),
    )
    columns = {name: Column(name, each["kind"], groups[COLUMNS][name], tuple(each["levels"]), each.get("integer", False))
               for name, each in saved["columns"].items()}
    table = Table(columns, int(saved["rows"]), _findings(saved["table_findings"]), dict(saved["imputed"]))
    index = groups[PATTERNS]["index"].astype(np.intp)
    return Problem(specification, observations, Patterns(table, index, groups[PATTERNS]["counts"]))


def _findings(saved: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    return tuple(Finding(**{**each, "rows": tuple(each["rows"])}) for each in saved)
