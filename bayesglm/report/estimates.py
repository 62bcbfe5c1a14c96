"""Estimates: the lines of the summary that belong to each part of the model, as the sections show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bayesglm.design import Predictor
from bayesglm.fitted import Fitted
from bayesglm.predict import LEVEL, interval_names
from bayesglm.report.wording import PERCENT
from bayesglm.summary import lines, summarise_fit

LOW, HIGH = (name.lstrip("_") for name in interval_names("", LEVEL))
RATIO_LOW, RATIO_HIGH = interval_names("ratio", LEVEL)
FROM, TO = f"{PERCENT} from", f"{PERCENT} to"
POSITIVE = "P(effect > 0)"


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """The summary of a fit, by part of the model.

    Attributes
    ----------
    table : pandas.DataFrame
        The coefficient table with the column ``variable``: the posterior's variable that a line comes from.
    """

    table: pd.DataFrame

    def of(self, variables: set[str]) -> pd.DataFrame:
        """Return the lines that come from these variables."""
        return self.table[self.table["variable"].isin(variables)]

    def coefficients(self, predictor: Predictor) -> pd.DataFrame:
        """Return intercept and common coefficients of a linear predictor."""
        return self.of({predictor.name("Intercept"), predictor.name("beta")})


def estimates(fitted: Fitted) -> Estimates:
    """Return the summary of a fit with intervals of the report's level."""
    table = summarise_fit(fitted, level=LEVEL).reset_index()
    return Estimates(table.assign(variable=[line.variable for line in lines(fitted)]))


def scales(fitted: Fitted) -> set[str]:
    """Return the variables that are standard deviations, correlations and the like of groups and curves."""
    return {predictor.name(each.name) for predictor in fitted.specification.predictors
            for block in predictor.blocks for each in block.hyperparameters}


def under_headings(columns: Mapping[tuple[str, str], pd.Series]) -> pd.DataFrame:
    """Return a table whose columns stand under headings: (heading, name) to values.

    Examples
    --------
    >>> under_headings({("log scale", "mean"): pd.Series([1.0])}).columns.tolist()
    [('log scale', 'mean')]
    """
    frame = pd.DataFrame(dict(enumerate(columns.values())))
    return frame.set_axis(pd.MultiIndex.from_tuples(list(columns)), axis=1)
