"""Summary: the coefficient table, on the link scale and as ratios, with units and references in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesglm.design import Predictor
from bayesglm.families.links import LINKS
from bayesglm.fitted import Fitted
from bayesglm.predict import LEVEL, check_level, interval_names

Array = NDArray[np.float64]
UNKNOWN = {"r_hat": np.nan, "ess_bulk": np.nan, "ess_tail": np.nan}


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One quantity of the table.

    Attributes
    ----------
    name : str
        Row label.
    variable : str
        Variable of the posterior.
    index : tuple of int
        Where in the variable.
    scale : str
        Scale of the numbers: a link's name, ``sd``, ``correlation``, or the parameter's own convention.
    reading : str
        Unit or reference in words.
    ratio : str
        What exp of it is, empty where it has no meaning.
    convert : callable, optional
        Applied to the draws.
    unit : float
        Sd of the column, for the effect of one sd; NaN where it has none.
    signed : bool
        Whether it is an effect, which may be above or below 0.
    """

    name: str
    variable: str
    index: tuple[int, ...]
    scale: str
    reading: str
    ratio: str = ""
    convert: object = None
    unit: float = np.nan
    signed: bool = False


def lines(fitted: Fitted) -> Iterator[Line]:
    """Yield the quantities a reader wants, in order: coefficients, then scales and correlations, then constants."""
    for predictor in fitted.specification.predictors:
        yield from _coefficient_lines(fitted, predictor)
        yield from _zero_lines(fitted, predictor)
    for predictor in fitted.specification.predictors:
        yield from _hyperparameter_lines(predictor)
    for parameter in fitted.specification.constant():
        yield Line(parameter.name, parameter.name, (), "natural", parameter.meaning)
        for name, convert in parameter.conversions.items():
            yield Line(f"{parameter.name} as {name}", parameter.name, (), "natural", name, convert=convert)


def _coefficient_lines(fitted: Fitted, predictor: Predictor) -> Iterator[Line]:
    parameter = fitted.specification.family.parameter(predictor.parameter)
    ratio = LINKS[predictor.link].ratio if parameter.role in ("mean", "zero") else ""
    of = f" of {parameter.name}" if predictor.prefix else ""
    if predictor.intercept:
        at_zero = "all predictors 0" if predictor.coef else "overall level"
        yield Line(predictor.name("Intercept"), predictor.name("Intercept"), (), predictor.link, f"{at_zero}{of}", signed=True)
    for j, (coef, reading) in enumerate(zip(predictor.coef, predictor.readings, strict=True)):
        yield Line(predictor.name(coef), predictor.name("beta"), (j,), predictor.link, f"{reading}{of}", ratio,
                   unit=float(predictor.scale[j]), signed=True)


def _zero_lines(fitted: Fitted, predictor: Predictor) -> Iterator[Line]:
    """Yield the zero part's probability itself, beside its coefficients on the link scale."""
    parameter = fitted.specification.family.parameter(predictor.parameter)
    if parameter.role == "zero" and predictor.intercept:
        centred = bool(predictor.coef) and predictor.name("Intercept_centered") in fitted.draws["posterior"]
        where = " at the predictors' means" if predictor.coef else ""
        yield Line(f"{parameter.name}{where}", predictor.name("Intercept_centered" if centred else "Intercept"), (), "natural",
                   parameter.meaning, convert=LINKS[predictor.link].inverse)


def _hyperparameter_lines(predictor: Predictor) -> Iterator[Line]:
    for block in predictor.blocks:
        for each in block.hyperparameters:
            name, size = predictor.name(each.name), len(each.labels)
            if each.key == "cor":
                yield from (Line(f"{name}[{each.labels[i]}, {each.labels[j]}]", name, (i, j), "correlation",
                                 f"between effects of {block.name}") for i in range(size) for j in range(i + 1, size))
            elif size:
                yield from (Line(f"{name}[{label}]", name, (i,), predictor.link, f"sd of {label} between levels of {block.name}")
                            for i, label in enumerate(each.labels))
            else:
                scale = "correlation" if each.key == "rho" else predictor.link
                yield Line(name, name, (), scale, f"{each.prior_class} of {block.name}")


def line_draws(fitted: Fitted, line: Line) -> Array:
    """Return the draws of one line, shape (chain, draw)."""
    values = fitted.draws["posterior"][line.variable].transpose("chain", "draw", ...).to_numpy()
    where: tuple[Any, ...] = (slice(None), slice(None), *line.index)
    draws = np.asarray(values[where], dtype=np.float64)
    return draws if line.convert is None else line.convert(draws)  # type: ignore[operator]


def summarise_fit(fitted: Fitted, *, level: float = LEVEL) -> pd.DataFrame:
    """Return the coefficient table of a fit.

    Parameters
    ----------
    fitted : Fitted
        The posterior.
    level : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        One line a quantity: ``mean``, ``sd`` and interval on the scale named in ``scale``; ``ratio`` (median of exp of the
        draws, never exp of the mean) with its interval; ``P(effect > 0)``; ``per_sd``, the mean effect of one sd of the
        column; ``reading``, unit or reference in words; R-hat and effective sample sizes, NaN for an approximation.
    """
    check_level(level)
    return pd.DataFrame([_row(fitted, line, level) for line in lines(fitted)]).set_index("name")


def _row(fitted: Fitted, line: Line, level: float) -> Mapping[str, object]:
    draws = line_draws(fitted, line)
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(draws, ends)
    names = interval_names("", level)
    row: dict[str, object] = {"name": line.name, "mean": draws.mean(), "sd": draws.std(),
                              names[0].lstrip("_"): low, names[1].lstrip("_"): high}
    ratios = np.quantile(np.exp(draws), [0.5, *ends]) if line.ratio else np.full(3, np.nan)
    ratio_names = interval_names("ratio", level)
    row |= {"ratio": ratios[0], ratio_names[0]: ratios[1], ratio_names[1]: ratios[2], "ratio_kind": line.ratio,
            "P(effect > 0)": float((draws > 0).mean()) if line.signed else np.nan, "per_sd": draws.mean() * line.unit,
            "scale": line.scale, "reading": line.reading}
    # They judge chains, and draws of an approximation are none.
    return row | (diagnostics(draws) if fitted.exact else UNKNOWN)


def diagnostics(draws: Array) -> dict[str, float]:
    """Return R-hat and effective sample sizes of draws with shape (chain, draw); NaN where they cannot be computed."""
    from arviz_stats.base import array_stats

    if draws.shape[1] < 4 or np.ptp(draws) == 0:
        return UNKNOWN
    r_hat = float(array_stats.rhat(draws)) if draws.shape[0] > 1 else np.nan
    return {"r_hat": r_hat, "ess_bulk": float(array_stats.ess(draws, method="bulk")),
            "ess_tail": float(array_stats.ess(draws, method="tail", prob=0.9))}


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """The coefficient table with what it rests on.

    Attributes
    ----------
    frame : pandas.DataFrame
        See `summarise_fit`.
    heading : str
        Family, formula, rows, engine.
    """

    frame: pd.DataFrame
    heading: str

    def __str__(self) -> str:
        shown = [c for c in self.frame.columns if c not in ("scale", "ratio_kind", "reading", "per_sd", "ess_tail")]
        table = self.frame[shown].to_string(float_format=lambda x: f"{x:.3g}", na_rep="")
        return f"{self.heading}\n\n{table}\n\n{self._readings()}"

    def _readings(self) -> str:
        """Say what each line is: scale, what its ratio is, unit or reference."""
        width = max(map(len, self.frame.index), default=0)
        kinds = self.frame["scale"].where(self.frame["ratio_kind"] == "", self.frame["scale"] + ", " + self.frame["ratio_kind"])
        return "\n".join(f"{name:<{width}}  {kind}: {reading}"
                         for name, kind, reading in zip(self.frame.index, kinds, self.frame["reading"], strict=True))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.heading)}</pre>{self.frame.to_html(float_format=lambda x: f'{x:.3g}', na_rep='')}"

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.frame
