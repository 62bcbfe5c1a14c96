"""Scorer: an exported mixture, read from its file, and the scores of rows, with NumPy alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Block, Given, Projection, alike  # noqa: TID252 - the folder is copied as it is
from .forms import FORMS  # noqa: TID252
from .students import log_sum  # noqa: TID252
from .surfaces import THREADS  # noqa: TID252
from .transforms import transform  # noqa: TID252

Array = NDArray[np.float64]

FORMAT = "bayesglm scorer 3"
_MANY = 4096  # rows for which densities are made ready, and that are scored by several threads
_ROWS = 1024  # at most at once: what they need stays in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """An exported mixture.

    Attributes
    ----------
    columns : tuple of str
        The columns, in the order of arrays that are scored.
    ids : tuple of int
        Ids of the components.
    log_weights : array, shape (component,)
        Logs of the mean weights.
    blocks : tuple of Block
        The parts of a row.
    projection : Projection, optional
        How columns become scores, where they do.
    """

    columns: tuple[str, ...]
    ids: tuple[int, ...]
    log_weights: Array
    blocks: tuple[Block, ...]
    projection: Projection | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scorer:
        """Read what `MixtureFit.export` wrote; nothing in the file is executed.

        Raises
        ------
        ValueError
            Another file.
        """
        with np.load(path, allow_pickle=False) as held:
            if "about" not in held or (about := json.loads(str(held["about"])))["format"] != FORMAT:
                raise ValueError(f"{os.fspath(path)} is no scorer of the format {FORMAT!r}. Give a file that "
                                 "MixtureFit.export wrote.")
            blocks = tuple(_block(each, {name: held[f"{place}_{name}"] for name in each["arrays"]})
                           for place, each in enumerate(about["blocks"]))
            return cls(tuple(about["columns"]), tuple(about["ids"]), held["log_weights"], blocks,
                       _projection(about["projection"], held))

    def score(self, rows: Any) -> Array:
        """Return the log predictive density of each row in original units, shape (row,), as ``fit.score`` does.

        Missing values are NaN, or None among texts; they are integrated out where the fit does so.

        Parameters
        ----------
        rows : array, shape (row, column), or mapping
            Numbers in the order of ``columns``; or columns by name, as where some are texts.

        Raises
        ------
        ValueError
            Missing values where the fit takes none, infinite ones, a level that the fit has not seen, a value that its
            transform does not take, or another number of columns.
        """
        given, jacobian = self._given(rows), np.zeros(1)
        if self.projection is not None:
            scores, jacobian = self.projection.scores(given)
            given = {**given, **scores}
        columns = [block.read(given) for block in self.blocks]
        found = np.empty(len(columns[0][0]))
        for place, parts in alike(self.blocks, columns):
            found[place] = self._log_density(parts, len(found[place]))
        return found + jacobian

    def _log_density(self, parts: Sequence[tuple[Block, list[Array]]], rows: int) -> Array:
        if rows >= _MANY:
            parts = [(block.made_ready(columns), columns) for block, columns in parts]

        def of(start: int) -> Array:
            place = slice(start, min(start + _ROWS, rows))
            logs, jacobian = np.tile(self.log_weights, (place.stop - start, 1)), np.zeros(1)
            for block, columns in parts:
                z, of_scale = block.standardised(np.stack([each[place] for each in columns], axis=1))
                logs, jacobian = logs + block.density(z), jacobian + of_scale
            return log_sum(logs) + jacobian

        starts = range(0, rows, _ROWS)
        if rows < _MANY:
            return np.concatenate([of(start) for start in starts])
        with ThreadPoolExecutor(THREADS) as threads:
            return np.concatenate(list(threads.map(of, starts)))

    def _given(self, rows: Any) -> Given:
        if not isinstance(rows, np.ndarray):
            return {name: np.asarray(rows[name]) for name in self.columns}
        if rows.ndim != 2 or rows.shape[1] != len(self.columns):
            raise ValueError(f"rows of shape {rows.shape}: the columns are {', '.join(self.columns)}. Give an array of shape "
                             f"(row, {len(self.columns)}), or columns by name.")
        return dict(zip(self.columns, rows.T, strict=True))


def _block(about: Mapping[str, Any], arrays: Mapping[str, Array]) -> Block:
    form = FORMS[about["form"]]
    density = form.density(arrays)
    return Block(
        names=tuple(about["names"]), levels=tuple(about["levels"]), transforms=tuple(map(transform, about["transforms"])),
        center=np.array(about["center"]), scale=np.array(about["scale"]), missing=about["missing"],
        exposure=tuple(about["exposure"]), exposure_unit=np.array(about["exposure_unit"]),
        density=density, marginal=form.marginal(arrays), ready=None if form.ready is None else partial(form.ready, density))


def _projection(about: Mapping[str, Any] | None, held: Mapping[str, Array]) -> Projection | None:
    if about is None:
        return None
    arrays = {name: held[f"projection_{name}"] for name in about["arrays"]}
    return Projection(tuple(about["columns"]), tuple(map(transform, about["transforms"])), **arrays)
