"""Agreement: how the draws of one fit differ from those of another fit of the same model, an approximation from NUTS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesglm.engines.verdict import columns
from bayesglm.errors import OptionError
from bayesglm.fitted import Fitted

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How two fits agree.

    Attributes
    ----------
    table : data frame
        One row for each reported parameter: ``shift``, the difference of the means in sds of the reference; ``sd_ratio`` and
        ``width_ratio``, sd and interval of the fit over those of the reference: below 1 where the fit is too narrow.
    level : float
        Of the intervals.
    k_hat : float
        Of the fit's importance weights; NaN where it has none, as for NUTS.
    reliable : bool or None
        The fit's own verdict; None where it has none.
    """

    table: pd.DataFrame
    level: float
    k_hat: float
    reliable: bool | None

    @property
    def shift(self) -> float:
        """The largest difference of two means, in sds of the reference."""
        return float(self.table["shift"].abs().max())

    @property
    def narrowest(self) -> float:
        """The smallest ratio of two intervals."""
        return float(self.table["width_ratio"].min())

    @property
    def widest(self) -> float:
        """The largest ratio of two intervals."""
        return float(self.table["width_ratio"].max())

    def __repr__(self) -> str:
        words = {None: "no verdict", True: "reliable", False: "not reliable"}
        width = self.table["width_ratio"]
        return (f"means differ by up to {self.shift:.2f} sd ({self.table['shift'].abs().idxmax()}); {self.level:.0%} intervals "
                f"are {self.narrowest:.2f} ({width.idxmin()}) to {self.widest:.2f} ({width.idxmax()}) times as wide; "
                f"k-hat {self.k_hat:.2f}; {words[self.reliable]} by its own verdict")


def agreement(fitted: Fitted, reference: Fitted, *, level: float) -> Agreement:
    """Return how a fit differs from a reference, parameter by parameter.

    Parameters
    ----------
    fitted : Fitted
        Usually an approximation.
    reference : Fitted
        The same model by NUTS.
    level : float
        Of the intervals, equal tails.

    Raises
    ------
    OptionError
        The fits do not have the same parameters, or the level is none.
    """
    if not 0 < level < 1:
        raise OptionError(f"level={level!r}", value=level, rule="a level lies between 0 and 1", fix="0.9 is usual.")
    names = fitted.specification.reported()
    if list(names) != list(reference.specification.reported()):
        raise OptionError("fits of different models", value=sorted(set(names) ^ set(reference.specification.reported())),
                          rule="both have the same parameters", fix="Fit one model with both engines.")
    first, second = ({name: each.stacked(name) for name in names} for each in (fitted, reference))
    shapes = {name: (first[name].shape[1:], second[name].shape[1:]) for name in names}
    other = next((name for name, (one, two) in shapes.items() if one != two), None)
    if other is not None:
        raise OptionError(f"{other} has the shapes {shapes[other][0]} and {shapes[other][1]}", column=other, value=shapes[other],
                          rule="both have the same parameters", fix="Fit one model with both engines.")
    labels, truth = columns(second)
    kept, draws = columns(first)
    place = {label: i for i, label in enumerate(kept)}
    both = [label for label in labels if label in place]
    truth, draws = truth[:, [label in place for label in labels]], draws[:, [place[label] for label in both]]
    ends = (0.5 * (1 - level), 0.5 * (1 + level))
    width, exact = (np.diff(np.quantile(values, ends, axis=0), axis=0)[0] for values in (draws, truth))
    table = pd.DataFrame({"shift": (draws.mean(axis=0) - truth.mean(axis=0)) / truth.std(axis=0),
                          "sd_ratio": draws.std(axis=0) / truth.std(axis=0), "width_ratio": width / exact},
                         index=pd.Index(both, name="parameter"))
    verdict = fitted.verdict
    return Agreement(table, level, np.nan if verdict is None else verdict.k_hat, None if verdict is None else verdict.reliable)
