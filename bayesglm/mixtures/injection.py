"""Injection: synthetic anomalies of known kind and size in a clean table, and how many of them are found.

Sizes are in sds of each column (of its logarithm where the fit takes it). To add a kind, write its function and name it in
`KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesglm.data.door import read_table
from bayesglm.errors import ColumnTypeError, OptionError, unknown
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.thresholds import by_rate, share
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
           log: Sequence[str] = ()) -> Injected:
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
    log : sequence of str
        Columns that are changed on the log scale.

    Returns
    -------
    Injected
        Whole numbers stay whole and at or above 0 where they were.

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
    table, _ = read_table(data, list(columns))
    for name in columns:
        if table[name].kind != "numeric":
            raise ColumnTypeError(f"the column holds a {table[name].kind}", column=name, value=table[name].kind,
                                  rule="only numbers can be moved by a size", fix=f"Leave {name!r} out of the columns.")
    raw = np.column_stack([table[name].values.astype(np.float64) for name in columns])
    logs = np.array([name in log for name in columns])
    if (raw[:, logs] <= 0).any():
        raise OptionError("values at or below 0 in a column of log=", rule="a logarithm needs values above 0",
                          fix="Leave it out.")
    x = np.where(logs, np.log(np.where(logs, raw, 1.0)), raw)
    center, spread = x.mean(axis=0), x.std(axis=0)
    rng = np.random.default_rng(check_seed(seed))
    held = _rows(table.rows, rows, KINDS[kind], rng)
    changed = center + spread * KINDS[kind].change((x - center) / np.where(spread > 0, spread, 1.0), held, float(size), rng)
    back = np.where(logs, np.exp(changed), changed)
    counts = np.array([table[name].integer for name in columns])
    back = np.where(counts, np.where(raw.min(axis=0) >= 0, np.maximum(np.round(back), 0), np.round(back)), back)
    whole = raw.copy()
    whole[held] = back
    labels = np.zeros(table.rows, np.int64)
    labels[held] = 1 if KINDS[kind].together else np.arange(1, len(held) + 1)
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
    layouts = {name: bool(part.layout.log[j]) for part in fit.parts for j, name in enumerate(part.layout.names)
               if not part.layout.levels}
    if fit.projection is not None:
        others = {name: log for name, log in layouts.items() if name not in fit.projection.names}
        layouts = {**dict(zip(fit.projection.columns, fit.projection.log, strict=True)), **others}
    if not layouts:
        raise OptionError("the mixture has no numeric column", rule="anomalies are injected into numbers",
                          fix="Add a numeric column.")
    columns, log = list(layouts), [name for name, on_log in layouts.items() if on_log]
    clean = _frame(fit, data)
    threshold = by_rate(fit.tail_probability(data, seed=seed), rate)
    low, high = interval_names("detected", LEVEL)
    lines = []
    for kind in kinds:
        for size in sizes:
            found = inject(clean, columns, kind, size=size, seed=seed, rows=rows, log=log)
            changed = clean.assign(**{name: found.data[name].to_numpy() for name in columns})
            hit = threshold.flags(fit.tail_probability(changed[found.labels > 0], seed=seed))
            told = share(int(hit.sum()), len(hit))
            lines.append({"kind": kind, "size": float(size), "rows": len(hit), "detected": told.value, low: told.low,
                          high: told.high})
    return pd.DataFrame(lines)


def _frame(fit: FittedMixture, data: Any) -> pd.DataFrame:
    table = fit.read(data)
    return pd.DataFrame({name: table[name].labels() for name in fit.columns})
