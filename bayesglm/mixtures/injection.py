"""Injection: synthetic anomalies of known kind and size in a clean table, and how many of them are found.

Sizes are in sds of each column, after its transform where the fit has one. To add a kind, write its function and name it in
`KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesglm.errors import ColumnTypeError, OptionError, unknown
from bayesglm.mixtures.columns import read_rows
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.scorer.transforms import IDENTITY, Transform, inverse
from bayesglm.mixtures.thresholds import by_rate, share
from bayesglm.mixtures.transforms import transformed, transforms_of
from bayesglm.predict import LEVEL, check_seed, interval_names

Recipe = Callable[[Array, NDArray[np.intp], float, np.random.Generator], Array]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of anomaly.

    Attributes
    ----------
    name : str
        The name users write.
    meaning : str
        What it does, in words.
    together : bool
        Whether the rows follow each other (one event) or are scattered (each its own).
    change : callable
        ``change(z, rows, size, rng)`` gives the changed rows of standardised numbers z, shape (len(rows), column).
    """

    name: str
    meaning: str
    together: bool
    change: Recipe


def _shift(z: Array, rows: NDArray[np.intp], size: float, rng: np.random.Generator) -> Array:
    """Add the size with a random sign for each column."""
    return np.asarray(z[rows] + size * rng.choice([-1.0, 1.0], (len(rows), z.shape[1])))


def _new_mode(z: Array, rows: NDArray[np.intp], size: float, rng: np.random.Generator) -> Array:
    """Draw around one new centre, the size away from the middle in a random direction."""
    direction = rng.standard_normal(z.shape[1])
    return np.asarray(size * direction / np.linalg.norm(direction) + 0.3 * rng.standard_normal((len(rows), z.shape[1])))


def _scale(z: Array, rows: NDArray[np.intp], size: float, rng: np.random.Generator) -> Array:  # noqa: ARG001 - the contract's
    """Stretch the distance from the middle: 1 + size times as far."""
    return np.asarray((1 + size) * z[rows])


def _drift(z: Array, rows: NDArray[np.intp], size: float, rng: np.random.Generator) -> Array:  # noqa: ARG001 - the contract's
    """Rise in a straight line from nothing to the size."""
    return np.asarray(z[rows] + np.linspace(0, size, len(rows) + 1)[1:, None])


def _burst(z: Array, rows: NDArray[np.intp], size: float, rng: np.random.Generator) -> Array:  # noqa: ARG001 - the contract's
    """Add the size to a stretch of rows at once."""
    return np.asarray(z[rows] + size)


KINDS: Mapping[str, Kind] = {each.name: each for each in (
    Kind("shift", "scattered rows, each column moved by the size up or down", together=False, change=_shift),
    Kind("new_mode", "scattered rows around one new centre, the size from the middle", together=False, change=_new_mode),
    Kind("scale", "scattered rows, 1 + size times as far from the middle", together=False, change=_scale),
    Kind("drift", "a stretch of rows that rises to the size in a straight line", together=True, change=_drift),
    Kind("burst", "a stretch of rows, all moved up by the size at once", together=True, change=_burst),
)}


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """A table with synthetic anomalies.

    Attributes
    ----------
    data : pandas.DataFrame
        The named columns, with the changed rows.
    labels : int array, shape (row,)
        0 for rows that were left alone, else the number of the event; as `threshold` and `detection` take them.
    """

    data: pd.DataFrame
    labels: NDArray[np.int64]


def inject(data: Any, columns: Sequence[str], kind: str, *, size: float, seed: int, rows: int | None = None,
           transform: Mapping[str, str | Transform] | None = None) -> Injected:
    """Return a table with synthetic anomalies of one kind.

    Parameters
    ----------
    data : data frame
        Clean rows, in the order of time.
    columns : sequence of str
        Numeric columns to change; others are not in the result.
    kind : {"shift", "new_mode", "scale", "drift", "burst"}
        See `KINDS`.
    size : float
        In sds of each column, at least 0.
    seed : int
        Same seed, same rows and directions.
    rows : int, optional
        How many rows are changed; one in a hundred without it, at least one.
    transform : mapping, optional
        Column to the scale on which it is changed, as for `Mixture`.

    Returns
    -------
    Injected
        Whole numbers stay whole, at or above 0 where they were, and 1 where their transform does not take what they would be.
        What is missing stays missing.

    Examples
    --------
    >>> clean = {"x": np.arange(100.0)}
    >>> found = inject(clean, ["x"], "burst", size=10, seed=1, rows=3)
    >>> int((found.labels > 0).sum()), bool((found.data["x"][found.labels > 0] > 200).all())
    (3, True)
    """
    if kind not in KINDS:
        raise unknown("kind of anomaly", kind, KINDS)
    if not 0 <= size < np.inf:
        raise OptionError(f"size={size!r}", value=size, rule="it is a number of sds, at least 0", fix="3 is a usual size.")
    table, _ = read_rows(data, list(columns))
    for name in columns:
        if table[name].kind != "numeric":
            raise ColumnTypeError(f"the column holds a {table[name].kind}", column=name, value=table[name].kind,
                                  rule="only numbers can be moved by a size", fix=f"Leave {name!r} out of the columns.")
    given = transforms_of(transform or {}, columns)
    raw, x = transformed(table, columns, {}), transformed(table, columns, given)
    scales = [given.get(name, IDENTITY) for name in columns]
    center, spread = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    rng = np.random.default_rng(check_seed(seed))
    held = _rows(table.rows, rows, KINDS[kind], rng)
    changed = center + spread * KINDS[kind].change((x - center) / np.where(spread > 0, spread, 1.0), held, float(size), rng)
    back = inverse(scales, changed)
    counts = np.array([table[name].integer for name in columns])
    rounded = np.where(np.nanmin(raw, axis=0) >= 0, np.maximum(np.round(back), 0), np.round(back))
    taken = np.column_stack([how.holds(rounded[:, j]) for j, how in enumerate(scales)])
    back = np.where(counts, np.where(taken, rounded, 1.0), back)
    whole = raw.copy()
    whole[held] = np.where(np.isnan(raw[held]), np.nan, back)
    labels = np.zeros(table.rows, np.int64)
    labels[held] = 1 if KINDS[kind].together else np.arange(1, len(held) + 1)
    counts &= ~np.isnan(raw).any(axis=0)
    frame = pd.DataFrame({name: whole[:, j].astype(np.int64) if counts[j] else whole[:, j] for j, name in enumerate(columns)})
    return Injected(frame, labels)


def _rows(total: int, wanted: int | None, kind: Kind, rng: np.random.Generator) -> NDArray[np.intp]:
    count = max(1, total // 100) if wanted is None else wanted
    if not 1 <= count <= total:
        raise OptionError(f"rows={count!r}", value=count, rule=f"at least one of the {total} rows is changed",
                          fix="Leave it out.")
    if kind.together:
        start = int(rng.integers(0, total - count + 1))
        return np.arange(start, start + count)
    return np.sort(rng.choice(total, count, replace=False))


def detection_rates(fit: FittedMixture, data: Any, *, sizes: Sequence[float], kinds: Sequence[str], rate: float, seed: int,
                    rows: int | None) -> pd.DataFrame:
    """Return how many injected rows are flagged; see `MixtureFit.detection_rates`."""
    scales = {name: how for part in fit.parts if not part.layout.levels
              for name, how in zip(part.layout.names, part.layout.transforms, strict=True)}
    if fit.projection is not None:
        others = {name: how for name, how in scales.items() if name not in fit.projection.names}
        scales = {**fit.projection.by_column, **others}
    if not scales:
        raise OptionError("the mixture has no numeric column", rule="anomalies are injected into numbers",
                          fix="Add a numeric column.")
    columns = list(scales)
    clean = _frame(fit, data)
    threshold = by_rate(fit.tail_probability(data, seed=seed), rate)
    low, high = interval_names("detected", LEVEL)
    lines = []
    for kind in kinds:
        for size in sizes:
            found = inject(clean, columns, kind, size=size, seed=seed, rows=rows, transform=scales)
            changed = clean.assign(**{name: found.data[name].to_numpy() for name in columns})
            hit = threshold.flags(fit.tail_probability(changed[found.labels > 0], seed=seed))
            told = share(int(hit.sum()), len(hit))
            lines.append({"kind": kind, "size": float(size), "rows": len(hit), "detected": told.value, low: told.low,
                          high: told.high})
    return pd.DataFrame(lines)


def _frame(fit: FittedMixture, data: Any) -> pd.DataFrame:
    table = fit.read(data)
    return pd.DataFrame({name: table[name].labels() for name in fit.columns})
