"""Intervals: what posterior draws say of every parameter of the components, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd
import xarray as xr

from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.scorer.transforms import changed
from bayesglm.predict import interval_names


def parameter_table(posterior: xr.Dataset, parts: Sequence[Part], level: float) -> pd.DataFrame:
    """Return mean, sd and interval of every quantity of some draws; see `FittedMixture.parameters`.

    Parameters
    ----------
    posterior : Dataset
        Draws with dims chain, draw, component and those of each quantity.
    parts : sequence of Part
        What describes the columns, for their transforms.
    level : float
        Probability of the intervals.
    """
    low, high = interval_names("value", level)
    scales = {part.layout.names[j]: how.name for part in parts for j, how in changed(part.layout.transforms)}
    lines = []
    for name, variable in posterior.drop_vars("component_order", errors="ignore").data_vars.items():
        drawn = variable.stack(sample=("chain", "draw")).transpose("component", ..., "sample")
        columns = any(str(dim).endswith(("feature", "feature_other")) for dim in drawn.dims)
        for place, of in _places(drawn):
            values = drawn[dict(zip(drawn.dims[1:-1], place, strict=True))].to_numpy()
            ends = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=1)
            scale = next((scales[each] for each in of if columns and each in scales), "")
            lines.append(pd.DataFrame({
                "id": drawn["component"].to_numpy(), "quantity": str(name), "of": ", ".join(of), "scale": scale,
                "value": values.mean(axis=1), "sd": values.std(axis=1, ddof=1), low: ends[0], high: ends[1]}))
    return pd.concat(lines).sort_values("id", kind="stable").reset_index(drop=True)


def center_table(posterior: xr.Dataset, parts: Sequence[Part], level: float) -> pd.DataFrame:
    """Return the center of each numeric column in each component, in original units, with its interval, by (id, column).

    The center is the column's mean, location or rate at the mean exposure; where the column is transformed, what its inverse
    makes of the mean.

    Parameters
    ----------
    posterior, parts, level
        As in `parameter_table`.
    """
    units = {name: float(part.layout.exposure_unit[j]) if len(part.layout.exposure_unit) else 1.0
             for part in parts for j, name in enumerate(part.layout.names)}
    inverses = {part.layout.names[j]: how.inverse for part in parts for j, how in changed(part.layout.transforms)}
    found: dict[tuple[int, str], list[float]] = {}
    for variable in posterior.data_vars.values():
        rest = [dim for dim in variable.dims if dim not in ("chain", "draw", "component")]
        if len(rest) != 1 or not str(rest[0]).endswith("feature"):
            continue
        ends = variable.quantile([0.5, (1 - level) / 2, (1 + level) / 2], ("chain", "draw")).transpose("component", rest[0], ...)
        for id, lines in zip(variable["component"].values.tolist(), ends.to_numpy(), strict=True):
            for name, values in zip(variable[rest[0]].values.tolist(), lines, strict=True):
                found.setdefault((id, name), inverses.get(name, np.asarray)(values * units[name]).tolist())
    low, high = interval_names("center", level)
    index = pd.MultiIndex.from_tuples(list(found), names=["id", "column"])
    return pd.DataFrame(list(found.values()), index=index, columns=["center", low, high])


def _places(drawn: xr.DataArray) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
    """Yield the places of a quantity's numbers and their labels; a symmetric matrix by its lower triangle."""
    dims = [str(dim) for dim in drawn.dims[1:-1]]
    square = len(dims) == 2 and dims[1] == f"{dims[0]}_other"
    for place in product(*(range(drawn.sizes[dim]) for dim in dims)):
        if not square or place[1] <= place[0]:
            labels = tuple(str(drawn[dim].to_numpy()[at]) for dim, at in zip(dims, place, strict=True))
            yield place, tuple(dict.fromkeys(labels)) if square else labels
