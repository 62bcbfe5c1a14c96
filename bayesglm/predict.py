"""Predictions: rates, expected and predicted responses for any rows, from joint draws.

``rate`` is mu for one unit of exposure, ``expected`` the mean of the recorded response (zero part, hurdle, truncation and
trials included), ``predicted`` a draw of the response itself. Sums and means are taken draw by draw, never of quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesglm.errors import MissingColumnError, OptionError, suggestion
from bayesglm.fitted import Fitted
from bayesglm.responses import Chunk, Responses
from bayesglm.rows import Groups, Rows, thin

Array = NDArray[np.float64]
QUANTITIES = ("rate", "expected", "predicted")
LEVEL = 0.90


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Draws of rates, expected and predicted responses, computed in chunks whenever they are asked for.

    Attributes
    ----------
    chunks : callable
        Yields (rows, {quantity: draws of shape (sample, row) or (sample, row, level)}); the same each time.
    labels : pandas.DataFrame
        One line for each row: its labels, exposure, and whether it has a new level.
    quantities : tuple of str
        Which of ``rate``, ``expected`` and ``predicted`` there are.
    groups : str
        How group effects entered: ``conditional``, ``population`` or ``typical``.
    per : float
        The rate's unit: events per this much exposure.
    unit : str
        Name of the exposure's unit.
    shape : (int, int)
        Chains and draws; (1, samples) when thinned.
    discrete : bool
        Whether the response is a whole number, so that interval ends are too.
    dim : str
        Name of the row dimension: ``obs``, or what was summed by.
    levels : tuple of str
        Levels of a categorical response.
    findings : tuple of str
        What the rows hold that the fit has not seen: values outside its range, new levels, another scale of exposure.
    """

    chunks: Callable[[], Iterator[Chunk]]
    labels: pd.DataFrame
    quantities: tuple[str, ...]
    groups: Groups
    per: float
    unit: str
    shape: tuple[int, int]
    discrete: bool
    dim: str = "obs"
    levels: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        chains, draws = self.shape
        per = f", rates per {self.per:g} {self.unit}".rstrip() if "rate" in self.quantities else ""
        return "\n".join([
            "bayesglm prediction",
            f"  {', '.join(self.quantities)} of {len(self.labels):,} rows, groups {self.groups}{per}",
            f"  {chains} chains x {draws} draws",
            "  to_frame(), draws, sum(by=), mean(by=), exceeds(x)",
            *(f"  note: {each}" for each in self.findings),
        ])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    @property
    def draws(self) -> xr.Dataset:
        """All draws in memory, dims chain, draw and obs (and level)."""
        parts: dict[str, list[Array]] = {name: [] for name in self.quantities}
        for _, values in self.chunks():
            for name in self.quantities:
                parts[name].append(values[name])
        variables = {}
        for name, pieces in parts.items():
            joined = np.concatenate(pieces, axis=1)
            dims = ("chain", "draw", self.dim, "level")[: joined.ndim + 1]
            variables[name] = (dims, joined.reshape(*self.shape, *joined.shape[1:]))
        coords: dict[str, Any] = {"chain": np.arange(self.shape[0]), "draw": np.arange(self.shape[1]),
                                  self.dim: self.labels.index.to_numpy()}
        if self.levels:
            coords["level"] = list(self.levels)
        return xr.Dataset(variables, coords, attrs={"groups": self.groups, "per": self.per, "unit": self.unit})

    def to_frame(self, *, level: float = LEVEL) -> pd.DataFrame:
        """Return one line for each row: labels, then mean and equal-tailed interval of each quantity.

        Parameters
        ----------
        level : float
            Probability of the intervals. Ends of ``predicted`` are attainable whole numbers for counts, so the interval
            covers at least this much.
        """
        check_level(level)
        tables = [self._summary(values, level, self.labels.index[rows]) for rows, values in self.chunks()]
        frame = pd.concat([self.labels, pd.concat(tables)], axis=1) if tables else self.labels
        return frame.assign(groups=self.groups)

    def _summary(self, values: Mapping[str, Array], level: float, index: pd.Index) -> pd.DataFrame:
        columns: dict[str, Array] = {}
        for name in self.quantities:
            draws, discrete = values[name], self.discrete and name == "predicted"
            if draws.ndim == 3:
                for k, label in enumerate(self.levels):
                    columns |= summarise(f"{name}[{label}]", draws[:, :, k], level, discrete=discrete)
            elif name == "predicted" and self.levels:
                columns |= {"predicted_mode": _mode(draws, self.levels)}
            else:
                columns |= summarise(name, draws, level, discrete=discrete)
        return pd.DataFrame(columns, index=index)

    def sum(self, by: str | Sequence[str] | None = None) -> Prediction:
        """Return the sums of expected and predicted responses over rows, draw by draw.

        The rows are those of the table, each counted once: a weight says how much was learnt from a row, not how often it is
        predicted.

        Parameters
        ----------
        by : str or sequence of str, optional
            Label columns to sum within; everything together without one.
        """
        wanted = tuple(name for name in self.quantities if name != "rate")
        if not wanted:
            raise OptionError("rates alone", value="rate", rule="rates of several rows have no sum",
                              fix="Use mean(), or predict with quantities that include 'expected'.")
        return self._aggregate(by, wanted, mean=False)

    def mean(self, by: str | Sequence[str] | None = None) -> Prediction:
        """Return the means over rows, draw by draw; see `sum`."""
        return self._aggregate(by, self.quantities, mean=True)

    def exceeds(self, threshold: float | Sequence[float]) -> pd.Series:
        """Return P(predicted > threshold) for each row.

        Parameters
        ----------
        threshold : float or sequence of float
            One for all rows, or one for each.
        """
        if "predicted" not in self.quantities:
            raise OptionError("no predictive draws", rule="exceeds() compares predicted responses with a threshold",
                              fix="Predict with quantities that include 'predicted'.")
        if self.levels:
            raise OptionError("a threshold for categories", rule="categories have no order to exceed a threshold in",
                              fix="Use `expected`, the probability of each level.")
        limits = self._limits(threshold)
        parts = [(values["predicted"] > limits[rows]).mean(axis=0) for rows, values in self.chunks()]
        return pd.Series(np.concatenate(parts), index=self.labels.index, name="p_exceeds")

    def _limits(self, threshold: float | Sequence[float]) -> Array:
        given, rows = np.asarray(threshold, dtype=np.float64), len(self.labels)
        if given.shape not in ((), (rows,)):
            raise OptionError(f"thresholds of shape {given.shape}", value=given.shape,
                              rule=f"one for all rows, or one for each of {rows}", fix="Give one number, or one for each row.")
        return np.broadcast_to(given, (rows,))

    def _of_levels(self, draws: Array, name: str) -> Array:
        """Return drawn categories as indicators of their levels, which can be counted; everything else as it is."""
        if name != "predicted" or not self.levels:
            return draws
        return np.asarray(draws[..., None] == np.arange(len(self.levels)), dtype=np.float64)

    def _aggregate(self, by: str | Sequence[str] | None, wanted: tuple[str, ...], *, mean: bool) -> Prediction:
        keys = [by] if isinstance(by, str) else list(by or [])
        for key in keys:
            if key not in self.labels.columns:
                known = suggestion(key, map(str, self.labels.columns))
                raise MissingColumnError(f"no label column {key!r}", column=key, rule="by= names label columns of the rows",
                                         fix=f"{known} The model carries others along with context=.")
        if keys:
            grouped = self.labels.groupby(keys, sort=True, observed=True, dropna=False)
            index = np.asarray(grouped.ngroup().to_numpy(), dtype=np.intp)
            labels = grouped.size().rename("rows").reset_index()
        else:
            index, labels = np.zeros(len(self.labels), np.intp), pd.DataFrame({"rows": [len(self.labels)]})
        counts = labels["rows"].to_numpy(dtype=np.float64)
        groups = np.arange(len(labels))

        def one_chunk() -> Iterator[Chunk]:
            totals: dict[str, Array] = {}
            for rows, values in self.chunks():
                for name in wanted:
                    draws = self._of_levels(values[name], name)
                    total = totals.setdefault(name, np.zeros((draws.shape[0], len(labels), *draws.shape[2:])))
                    add_within(total, index[rows], draws)
            if mean:
                totals = {name: total / counts.reshape(-1, *[1] * (total.ndim - 2)) for name, total in totals.items()}
            yield groups, totals

        return Prediction(one_chunk, labels, wanted, self.groups, self.per, self.unit, self.shape, self.discrete and not mean,
                          dim="by", levels=self.levels, findings=self.findings)


def add_within(total: Array, index: NDArray[np.intp], draws: Array) -> None:
    """Add draws of shape (sample, row, ...) to the totals of their groups, shape (sample, group, ...), in place.

    Examples
    --------
    >>> total = np.zeros((1, 2))
    >>> add_within(total, np.array([1, 0, 1]), np.array([[1.0, 2.0, 3.0]]))
    >>> total.tolist()
    [[2.0, 4.0]]
    """
    order = np.argsort(index, kind="stable")
    groups, starts = np.unique(index[order], return_index=True)
    total[:, groups] += np.add.reduceat(draws[:, order], starts, axis=1)


def check_level(level: float) -> None:
    """Refuse an interval probability outside (0, 1)."""
    if not 0 < level < 1:
        raise OptionError(f"level={level}", column="level", value=level,
                          rule="the probability of an interval lies between 0 and 1", fix="0.9 is the default.")


def interval_names(name: str, level: float) -> tuple[str, str]:
    """Return the column names of an interval, which say its kind and level.

    Examples
    --------
    >>> interval_names("rate", 0.9)
    ('rate_eti90_lb', 'rate_eti90_ub')
    """
    percent = f"{100 * level:g}".replace(".", "_")
    return f"{name}_eti{percent}_lb", f"{name}_eti{percent}_ub"


def summarise(name: str, draws: Array, level: float, *, discrete: bool) -> dict[str, Array]:
    """Return mean and equal-tailed interval of draws with shape (sample, row)."""
    low, high = interval_names(name, level)
    ends = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf" if discrete else "linear")
    return {f"{name}_mean": draws.mean(axis=0), low: ends[0], high: ends[1]}


def _mode(codes: Array, levels: tuple[str, ...]) -> NDArray[Any]:
    counts = np.stack([(codes == k).mean(axis=0) for k in range(len(levels))])
    return np.array(levels, dtype=object)[counts.argmax(axis=0)]


def predict_rows(
    fitted: Fitted, rows: Rows, *, quantities: Sequence[str] = QUANTITIES, groups: Groups = "conditional", seed: int = 0,
    samples: int | None = None, per: float = 1.0,
) -> Prediction:
    """Predict coded rows.

    Parameters
    ----------
    fitted, rows : Fitted, Rows
        The posterior and the rows.
    quantities : sequence of {"rate", "expected", "predicted"}
        What to compute.
    groups : {"conditional", "population", "typical"}
        With the effects of each group, integrated over their distribution, or with effects 0.
    seed : int
        For new levels and predictive draws.
    samples : int, optional
        Number of draws to use; all without it.
    per : float
        Rates are for this much exposure.
    """
    family = fitted.specification.family
    _check_words(quantities, groups, samples, per)
    check_seed(seed)
    which = thin(fitted, samples)
    made = Responses(fitted, rows, which, groups, seed, per, tuple(quantities))
    shape = fitted.shape if samples is None or samples >= int(np.prod(fitted.shape)) else (1, len(which))
    labels = pd.DataFrame(dict(rows.labels))
    if rows.exposure is not None and fitted.specification.roles.exposure is not None:
        labels = labels.assign(**{fitted.specification.roles.exposure: rows.exposure.reshape(-1, rows.size).mean(axis=0)})
    labels = labels.assign(new_level=rows.new_level)
    levels = fitted.specification.response_levels
    return Prediction(made.chunks, labels, tuple(quantities), groups, per, fitted.specification.roles.exposure_unit or "",
                      shape, family.support.discrete, levels=levels, findings=rows.findings)


def _check_words(quantities: Sequence[str], groups: str, samples: object, per: object) -> None:
    if isinstance(quantities, str) or not quantities:
        raise OptionError(f"quantities={quantities!r}", value=quantities, rule=f"a sequence of {', '.join(QUANTITIES)}",
                          fix=f"Write quantities=({quantities or 'rate'!r},).")
    for option, name, known in (("groups", groups, ("conditional", "population", "typical")),
                                *(("quantities", each, QUANTITIES) for each in quantities)):
        if name not in known:
            raise OptionError(f"{option}={name!r}", value=name, rule=f"one of {', '.join(known)}",
                              fix=suggestion(str(name), known))
    if samples is not None and (not isinstance(samples, int | np.integer) or samples < 1):
        raise OptionError(f"samples={samples!r}", value=samples, rule="samples is a whole number of draws, at least 1",
                          fix="Leave it out to use all draws.")
    if not (isinstance(per, int | float | np.number) and np.isfinite(per) and float(per) > 0):
        raise OptionError(f"per={per!r}", value=per, rule="rates are per a positive amount of exposure",
                          fix="Give per=1000 for events per 1,000, for example.")


def check_seed(seed: object) -> int:
    """Return a seed as an integer; anything that is no whole number >= 0 is refused."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(f"seed={seed!r}", column="seed", value=seed, rule="a seed is a whole number >= 0",
                          fix="Give seed=1, for example.")
    return int(seed)
