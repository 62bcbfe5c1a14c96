"""Transforms: what users write of them, and columns on the scale on which their components are described.

The records themselves are `bayesglm.mixtures.scorer.transforms`, which exported scorers share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayesglm.data.faults import raise_where
from bayesglm.data.table import Table
from bayesglm.errors import ColumnTypeError, OptionError, unknown
from bayesglm.mixtures.component import Array, Component
from bayesglm.mixtures.scorer.transforms import IDENTITY, TRANSFORMS, WITH_NUMBER, Transform, transform

Given = Mapping[str, str | Transform]


def transforms_of(given: Given, columns: Sequence[str]) -> dict[str, Transform]:
    """Return the transform of each column that has one.

    Parameters
    ----------
    given : mapping
        What users write: column to a name, or to a record of their own.
    columns : sequence of str
        The columns there are.

    Raises
    ------
    BayesGLMError
        An unknown column or transform.
    """
    found = {}
    for name, how in given.items():
        if name not in columns:
            raise unknown("column in transform=", name, columns)
        found[name] = how if isinstance(how, Transform) else _by_name(name, how)
    return found


def check_scaled(transforms: Mapping[str, Transform], components: Mapping[str, Component]) -> None:
    """Raise where a column is transformed whose component has no scale."""
    for name, how in transforms.items():
        if not components[name].scaled:
            raise OptionError(f"transform={how.name!r} for a {components[name].name} component", column=name, value=how.name,
                              rule="only columns with a scale of their own are transformed", fix="Leave the transform out.")


def _by_name(column: str, how: str) -> Transform:
    try:
        return transform(str(how))
    except KeyError:
        raise unknown("transform", how, [*TRANSFORMS, *(f"{each}:0.25" for each in WITH_NUMBER)]) from None
    except ValueError:
        raise OptionError(f"transform={how!r}", column=column, value=how, rule="the number in it is finite and above 0",
                          fix="Write 'power:0.25' for the fourth root.") from None


def transformed(table: Table, names: Sequence[str], transforms: Mapping[str, Transform]) -> Array:
    """Return columns side by side, shape (row, column), each on its scale.

    Raises
    ------
    ColumnTypeError
        A value that a transform does not take.
    """
    found = np.empty((table.rows, len(names)))
    for j, name in enumerate(names):
        how, values = transforms.get(name, IDENTITY), table[name].values.astype(np.float64)
        raise_where(~how.holds(values), ColumnTypeError, f"{{}} {how.wrong}", column=name, values=values, rule=how.rule,
                    fix=f"Drop the rows, {how.fix}, or leave {name!r} out of transform=.")
        found[:, j] = how.forward(values)
    return found
