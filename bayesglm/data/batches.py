"""Batches: a table that need not fit in memory, read piece by piece as often as it is needed.

Structure is searched on a sample, and the posterior is then climbed over all pieces; both see what a `Batches` reads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from bayesglm.data.schema import Schema
from bayesglm.errors import EmptyTableError, NotATableError, OptionError

_BYTES = 32e6  # of the features of a piece
_MOST, _LEAST = 131_072, 1024
_FEW = 1_000
_FORMATS = {".csv": "csv", ".feather": "feather", ".arrow": "feather", ".orc": "orc"}


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """A table in pieces.

    Attributes
    ----------
    read : callable
        ``read(rows)`` gives the pieces as data frames of at most about that many rows, the same ones every time.
    """

    read: Callable[[int], Iterator[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What one pass over all pieces found.

    Attributes
    ----------
    sample : data frame
        Rows drawn at random, in their order, and one row of each level that would be missing.
    random : bool array, shape (sample row,)
        Which of them were drawn at random.
    rows : int
        Rows in all.
    ranges : mapping
        Smallest and largest value of each numeric column.
    """

    sample: Any
    random: NDArray[np.bool_]
    rows: int
    ranges: dict[str, tuple[float, float]]

    def complete(self, schema: Schema) -> Schema:
        """Return the sample's schema with the rows and ranges of the whole table; the fingerprint is the sample's."""
        ranged = {name for name, each in schema.columns.items()
                  if name in self.ranges and each.kind == "numeric" and each.lower is not None}
        columns = {name: replace(each, lower=self.ranges[name][0], upper=self.ranges[name][1]) if name in ranged else each
                   for name, each in schema.columns.items()}
        return replace(schema, columns=columns, rows=self.rows)


def piece_rows(width: int) -> int:
    """Return how many rows of so many features a piece may have.

    Examples
    --------
    >>> piece_rows(66), piece_rows(10**6)
    (60606, 1024)
    """
    return int(min(max(_BYTES / (8 * width), _LEAST), _MOST))


def batches_of(data: Any, columns: Sequence[str]) -> Batches | None:
    """Return a table in pieces, or None where the data are an ordinary data frame.

    Parameters
    ----------
    data : path, pyarrow Dataset, Polars LazyFrame or sequence of data frames
        A file or folder of Parquet (or CSV, Feather, ORC by its ending), or something that is read in pieces.
    columns : sequence of str
        The columns that are read.

    Raises
    ------
    TableError
        A path where there is nothing, or pyarrow is not installed.
    """
    if isinstance(data, str | os.PathLike):
        return _of_dataset(_opened(Path(data)), columns)
    if _is(data, "pyarrow.dataset", "Dataset"):
        return _of_dataset(data, columns)
    if _is(data, "polars", "LazyFrame") and hasattr(data, "collect_batches"):
        return Batches(lambda rows: iter(data.collect_batches(chunk_size=rows, maintain_order=True)))
    if isinstance(data, list | tuple) and data:
        return Batches(lambda rows: (piece for frame in data for piece in _cut(frame, rows)))
    return None


def _is(data: Any, module: str, name: str) -> bool:
    """Whether data are of a class of a module that nothing here needs to import."""
    return module in sys.modules and isinstance(data, getattr(sys.modules[module], name))


def _opened(path: Path) -> Any:
    try:
        import pyarrow.dataset
    except ImportError as error:
        raise OptionError("pyarrow is not installed", value=str(path), rule="files are read by pyarrow",
                          fix="pip install pyarrow, or hand in a data frame.") from error
    try:
        return pyarrow.dataset.dataset(path, format=_FORMATS.get(path.suffix, "parquet"))
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise NotATableError(f"{path} cannot be read: {error}", value=str(path),
                             rule="a path names a file or folder of Parquet, CSV, Feather or ORC",
                             fix="Mend the path.") from error


def _of_dataset(dataset: Any, columns: Sequence[str]) -> Batches:
    known = [name for name in columns if name in dataset.schema.names]
    chosen = known if len(known) == len(columns) else None  # with all its columns, the first piece says which are there

    def read(rows: int) -> Iterator[Any]:
        import pyarrow
        from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

        # Without this a whole file is read ahead, however small the pieces.
        parquet = isinstance(getattr(dataset, "format", None), ParquetFileFormat)
        careful = ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False) if parquet else None
        for piece in dataset.to_batches(columns=chosen, batch_size=rows, batch_readahead=1, fragment_readahead=1,
                                        use_threads=False, fragment_scan_options=careful):
            if piece.num_rows:
                yield pyarrow.Table.from_batches([piece])

    return Batches(read)


def _cut(frame: Any, rows: int) -> Iterator[Any]:
    whole = nw.from_dict(frame, backend="pandas") if isinstance(frame, dict) else nw.from_native(frame, eager_only=True)
    for start in range(0, len(whole), rows):
        yield whole[start:start + rows].to_native()


def survey(
    batches: Batches, columns: Sequence[str], size: int, seed: int, rows: int = _MOST, *, labels: Collection[str] = (),
    ends: Collection[str] = (), free: Collection[str] = (),
) -> Survey:
    """Read all pieces once: draw a sample of rows, each as likely as any other, and find levels and ranges.

    Parameters
    ----------
    batches : Batches
        The table.
    columns : sequence of str
        The columns to read.
    size : int
        Rows to draw; those that are needed come beside them.
    seed : int
        For the draw.
    rows : int
        Most rows of a piece.
    labels : collection of str
        Columns that name something, numbers included: every value of them has a row in the sample.
    ends : collection of str
        Columns whose smallest and largest value have one; those of them that hold few whole numbers are labels.
    free : collection of str
        Columns of text whose values need no row.

    Raises
    ------
    TableError
        No rows, or pieces that do not fit together.

    Examples
    --------
    >>> import pandas as pd
    >>> pieces = batches_of([pd.DataFrame({"x": [1.0, 5.0]}), pd.DataFrame({"x": [3.0]})], ["x"])
    >>> found = survey(pieces, ["x"], size=2, seed=1)
    >>> len(found.sample), found.rows, found.ranges
    (2, 3, {'x': (1.0, 5.0)})
    """
    rng = np.random.default_rng(seed)
    drawn = _Drawn([], np.empty(0), np.empty(0, np.bool_))
    seen: dict[str, set[Any]] = {}
    extremes: dict[str, tuple[Any, Any]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    total = 0
    for piece in batches.read(rows):
        frame = nw.from_native(piece, eager_only=True)
        if all(name in frame.columns for name in columns):
            frame = frame.select(*columns)
        keys, needed = rng.random(len(frame)), np.zeros(len(frame), np.bool_)
        needed[_new_levels(frame.drop(*free, strict=False), seen, labels, ends)] = True
        needed[_new_ends(frame, extremes, ends)] = True
        _widen(ranges, frame)
        drawn = drawn.with_rows(frame, keys, needed, size)
        total += len(frame)
    if total == 0:
        raise EmptyTableError("the table has no rows", value=0, rule="there must be at least one row", fix="Check the path.")
    return Survey(*drawn.frame(size), total, ranges)


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Rows with the smallest keys so far, uniform numbers, and those that are needed."""

    frames: list[Any]
    keys: NDArray[np.float64]
    needed: NDArray[np.bool_]

    def with_rows(self, frame: Any, keys: NDArray[np.float64], needed: NDArray[np.bool_], size: int) -> _Drawn:
        """Return what is drawn after one more piece."""
        taken = np.flatnonzero(needed | (keys <= _limit(self.keys, size)))
        if len(taken) == 0:
            return self
        longer = _Drawn([*self.frames, frame[taken.tolist()]], np.concatenate([self.keys, keys[taken]]),
                        np.concatenate([self.needed, needed[taken]]))
        return longer.kept(size) if len(longer.keys) > 2 * (size + int(longer.needed.sum())) else longer

    def kept(self, size: int) -> _Drawn:
        """Return the rows that are still drawn or needed."""
        kept = self.needed | (self.keys <= _limit(self.keys, size))
        return _Drawn([_joined(self.frames).filter(kept.tolist())], self.keys[kept], self.needed[kept])

    def frame(self, size: int) -> tuple[Any, NDArray[np.bool_]]:
        """Return the rows, in their order, and which of them were drawn at random."""
        last = self.kept(size)
        return last.frames[0].to_native(), last.keys <= _limit(last.keys, size)


def _limit(keys: NDArray[np.float64], size: int) -> float:
    return float(np.partition(keys, size - 1)[size - 1]) if len(keys) > size else np.inf


def _joined(frames: list[Any]) -> Any:
    try:
        return nw.concat(frames, how="vertical") if len(frames) > 1 else frames[0]
    except Exception as error:  # each backend has its own
        raise NotATableError(f"pieces that do not fit together: {error}", value=[each.columns for each in frames[:2]],
                             rule="all pieces have the same columns with the same types", fix="Cast them first.") from error


def _new_levels(
    frame: Any, seen: dict[str, set[Any]], labels: Collection[str], ends: Collection[str],
) -> NDArray[np.intp]:
    """Return the first row of each level that no piece before had, and note that it was seen."""
    found: set[int] = set()
    for name in frame.columns:
        series = frame[name]
        named = name in labels or not (series.dtype.is_numeric() or series.dtype.is_temporal())
        whole = not named and name in ends and series.dtype.is_integer()
        known = seen.setdefault(name, set())
        if not named and (not whole or len(known) > _FEW):
            continue
        first = series.is_first_distinct()
        for row, level in zip(first.arg_true().to_list(), series.filter(first).to_list(), strict=True):
            if level is not None and level not in known and (named or len(known) <= _FEW):
                found.add(int(row))
                known.add(level)
    return np.array(sorted(found), np.intp)


def _new_ends(frame: Any, extremes: dict[str, tuple[Any, Any]], ends: Collection[str]) -> NDArray[np.intp]:
    """Return the rows of values below or above all that was seen before, and note them."""
    found: list[int] = []
    for name in ends:
        series = frame[name] if name in frame.columns else None
        if series is None or not (series.dtype.is_numeric() or series.dtype.is_temporal()) or series.count() == 0:
            continue
        low, high = series.min(), series.max()
        before = extremes.get(name, (high, low))
        if name not in extremes or low < before[0]:
            found.append(int(series.arg_min()))
        if name not in extremes or high > before[1]:
            found.append(int(series.arg_max()))
        extremes[name] = (min(low, before[0]), max(high, before[1]))
    return np.array(found, np.intp)


def _widen(ranges: dict[str, tuple[float, float]], frame: Any) -> None:
    for name in frame.columns:
        if frame[name].dtype.is_numeric():
            low, high = frame[name].min(), frame[name].max()
            if low is not None and high is not None:
                before = ranges.get(name, (np.inf, -np.inf))
                ranges[name] = (min(before[0], float(low)), max(before[1], float(high)))
