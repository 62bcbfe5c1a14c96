"""Columns: which component describes which columns, and the numbers it sees of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesglm.data.door import read_table
from bayesglm.data.faults import first_rows, raise_where
from bayesglm.data.missing import KEEP
from bayesglm.data.schema import Schema
from bayesglm.data.table import Column, Table
from bayesglm.errors import (
    ColumnTypeError,
    ExposureError,
    LevelError,
    MissingValueError,
    NegativeExposureError,
    ZeroExposureError,
    unknown,
)
from bayesglm.mixtures.ascent import Block
from bayesglm.mixtures.component import Array, Component, Layout
from bayesglm.mixtures.expectation import Hidden, Rows
from bayesglm.mixtures.scorer.transforms import IDENTITY, Transform, log_slopes
from bayesglm.mixtures.transforms import transformed
from bayesglm.registry import discover

PACKAGE = "bayesglm.mixtures.components"
_FURTHEST = 1e100
MISSING = ("refuse", "marginalise")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Columns that one component describes, and how they become numbers.

    Attributes
    ----------
    component : Component
        What describes them.
    layout : Layout
        Names, levels and scales.
    """

    component: Component
    layout: Layout

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that are read, exposures included."""
        return tuple(dict.fromkeys([*self.layout.names, *(name for name in self.layout.exposure if name)]))

    def numbers(self, table: Table) -> Array:
        """Return what the component sees of a table, shape (row, column), NaN where a value is missing."""
        layout = self.layout
        if layout.levels:
            found = _codes(table[layout.names[0]], layout.levels)[:, None]
        else:
            raw = transformed(table, layout.names, dict(zip(layout.names, layout.transforms, strict=True)))
            for name, values in zip(layout.names, raw.T, strict=True):
                self.component.check_values(name, values)
            found = np.asarray((raw - layout.center) / layout.scale)
            _refuse_far(layout, raw, found)
        if not layout.missing:
            _refuse_missing(layout.names, found, fitted=True)
        return np.hstack([found, exposures(table, layout) / layout.exposure_unit]) if self.component.exposed else found

    def log_jacobian(self, numbers: Array) -> Array:
        """Return the log of d number / d value for each row: a density of numbers plus this is one in original units."""
        values = numbers[:, :len(self.layout.names)]
        held = ~np.isnan(values)
        of_scale = (held * np.log(self.layout.scale)).sum(axis=1)
        return np.asarray(log_slopes(self.layout.transforms, self.layout.center + self.layout.scale * values) - of_scale)

    def block(self, numbers: Array) -> Block:
        """Return the block of an ascent, with the prior that these numbers give."""
        levels = len(self.layout.levels)
        return Block(self.component, self.component.prior(numbers, levels), levels, self.width)

    @property
    def width(self) -> int:
        """Number of features of a row, expected ones included."""
        size = len(self.layout.names)
        if self.component.latent is not None:
            return self.component.latent.width(size)
        row = np.ones((1, 2 * size if self.component.exposed else size))
        return int(self.component.features(row, len(self.layout.levels)).shape[1])


def rows_of(parts: Sequence[Part], numbers: Sequence[Array]) -> Rows:
    """Return what coordinate ascent sees of the numbers of each part."""
    whole = [np.ones((len(numbers[0]), 1))]
    hidden = []
    for place, (part, held) in enumerate(zip(parts, numbers, strict=True)):
        if part.component.latent is None:
            whole.append(part.component.features(held, len(part.layout.levels)))
        else:
            hidden.append(Hidden(part.component.latent, place, held))
    return Rows(np.hstack(whole), tuple(hidden))


def components_of(columns: Sequence[str], table: Table, given: str | Mapping[str, str]) -> dict[str, Component]:
    """Return the component of each column: what the user says, else by its kind.

    Raises
    ------
    BayesGLMError
        An unknown component or column, or a component that cannot describe the column.
    """
    known = discover(PACKAGE, Component)
    named = {} if isinstance(given, str) else dict(given)
    for name in named:
        if name not in columns:
            raise unknown("column in component=", name, columns)
    numeric = given if isinstance(given, str) else "gaussian"
    found: dict[str, Component] = {}
    for name in columns:
        usual = numeric if table[name].kind == "numeric" else "categorical"
        chosen = named.get(name, usual)
        if chosen not in known:
            raise unknown("component", chosen, known)
        found[name] = known[chosen]
        _check_kind(table[name], found[name])
    return found


def _check_kind(column: Column, component: Component) -> None:
    if column.kind not in component.kinds:
        raise ColumnTypeError(f"the column holds a {column.kind}", column=column.name, value=column.kind,
                              rule=f"a {component.name} component describes columns of kind {' or '.join(component.kinds)}",
                              fix="Describe it by another component, turn it into a number, or leave it out.")


def members() -> Mapping[str, Component]:
    """Return every component by its name, with those for columns with missing values."""
    known = discover(PACKAGE, Component)
    twins = [each.missing for each in known.values() if each.missing is not None]
    return {**known, **{each.name: each for each in twins}}


def parts_of(columns: Sequence[str], table: Table, components: Mapping[str, Component], transforms: Mapping[str, Transform],
             exposure: Mapping[str, str] | None = None, *, missing: bool = False) -> tuple[Part, ...]:
    """Return the parts of a row: the joint columns of each component together, the others one by one.

    Parts with unobserved variables stand last.

    Parameters
    ----------
    columns : sequence of str
        The columns to describe.
    table : Table
        The rows that give scales and levels.
    components : mapping
        Component of each column.
    transforms : mapping
        Of the columns that have one.
    exposure : mapping, optional
        Column of counts to the column that multiplies its mean.
    missing : bool
        Whether values may be missing.

    Raises
    ------
    BayesGLMError
        An exposure that is unknown or does not go with its column, or a column that cannot be described.
    """
    exposure = exposure or {}
    _check_exposure(columns, components, exposure)
    groups: dict[str, list[str]] = {}
    for name in columns:
        each = components[name]
        groups.setdefault(each.name if each.joint else f"{each.name} {name}", []).append(name)
    parts = [_part(components[names[0]], tuple(names), table, transforms, exposure, missing=missing)
             for names in groups.values()]
    return tuple(sorted(parts, key=lambda part: part.component.latent is not None))  # as an ascent wants its blocks


def exposure_of(given: str | Mapping[str, str] | None, components: Mapping[str, Component]) -> Mapping[str, str]:
    """Return the exposure of each column of counts: a name stands for all of them.

    Raises
    ------
    ExposureError
        A name, and no column is described by counts.
    """
    if not isinstance(given, str):
        return dict(given or {})
    found = {name: given for name, each in components.items() if each.exposed}
    if not found:
        raise ExposureError("no column takes it", column=given, value=given, rule="exposure multiplies the mean of counts",
                            fix="Give component={'column': 'poisson'} or 'negative_binomial', or leave exposure= out.")
    return found


def columns_of(columns: Sequence[str], exposure: str | Mapping[str, str] | None) -> tuple[str, ...]:
    """Return the columns to read: those to describe, then exposures."""
    given = [exposure] if isinstance(exposure, str) else list(dict(exposure or {}).values())
    return tuple(dict.fromkeys([*columns, *given]))


def read_rows(frame: object, names: Sequence[str]) -> tuple[Table, Schema]:
    """Read columns; missing values stay, for the parts to refuse or to integrate out."""
    return read_table(frame, names, missing=dict.fromkeys(names, KEEP))


def _check_exposure(columns: Sequence[str], components: Mapping[str, Component], exposure: Mapping[str, str]) -> None:
    for name, column in exposure.items():
        if name not in columns:
            raise unknown("column in exposure=", name, columns)
        if not components[name].exposed:
            raise ExposureError(f"given an exposure, {column!r}", column=name, value=column,
                                rule=f"a {components[name].name} component takes none: exposure multiplies the mean of counts",
                                fix="Leave it out, or describe the column by 'poisson' or 'negative_binomial'.")
        if column in columns:
            raise ExposureError("described and used as exposure", column=column, value=column,
                                rule="an exposure is given, it is not described", fix="Leave it out of the columns.")


def _part(component: Component, names: tuple[str, ...], table: Table, transforms: Mapping[str, Transform],
          exposure: Mapping[str, str], *, missing: bool) -> Part:
    size = len(names)
    described = component.missing if missing and component.missing is not None else component
    plain = Layout(names, (), tuple(transforms.get(name, IDENTITY) for name in names), np.zeros(size), np.ones(size),
                   missing)
    if not component.joint:
        column = table[names[0]]
        levels = ("False", "True") if column.kind == "boolean" else _held(column).as_category().levels
        codes = _codes(column, levels)
        _checked(component, names, codes[:, None], missing=missing)
        return Part(described, replace(plain, levels=levels))
    raw = transformed(table, names, transforms)
    _checked(component, names, raw, missing=missing)
    if component.exposed:
        exposed = replace(plain, exposure=tuple(exposure.get(name, "") for name in names))
        return Part(described, replace(exposed, exposure_unit=_usual(exposures(table, exposed), exposed)))
    if not component.scaled:
        return Part(described, plain)
    return Part(described, replace(plain, center=np.nanmean(raw, axis=0), scale=np.nanstd(raw, axis=0)))


def _checked(component: Component, names: Sequence[str], raw: Array, *, missing: bool) -> None:
    if not missing:
        _refuse_missing(names, raw, fitted=False)
    for j, name in enumerate(names):
        component.check_values(name, raw[:, j])
        component.check(name, raw[:, j])


def _refuse_missing(names: Sequence[str], raw: Array, *, fitted: bool) -> None:
    way = "fit again with" if fitted else "give"
    for j, name in enumerate(names):
        raise_where(np.isnan(raw[:, j]), MissingValueError, "{} missing values", column=name,
                    values=np.full(len(raw), None, object), rule="a value is needed in every row",
                    fix=f"Drop the rows, or {way} missing='marginalise' to integrate missing values out.")


def _refuse_far(layout: Layout, raw: Array, found: Array) -> None:
    for j, name in enumerate(layout.names):
        raise_where(np.abs(found[:, j]) > _FURTHEST, ColumnTypeError, f"{{}} numbers further than {_FURTHEST:g} from the center",
                    column=name, values=raw[:, j], rule="in sds of the fitted rows, squares of distances must be finite",
                    fix="Correct the rows.")


def _usual(values: Array, layout: Layout) -> Array:
    """Return the mean exposure of each column."""
    for column, any_ in zip(layout.exposure, values.any(axis=0), strict=True):
        if not any_:
            raise ZeroExposureError("every exposure is 0", column=column, value=0, rule="some row must have been exposed",
                                    fix="Check the join that brought the exposure in.")
    return np.asarray(values.mean(axis=0))


def exposures(table: Table, layout: Layout) -> Array:
    """Return the exposures of a table's rows, 1 for columns without, shape (row, column).

    Raises
    ------
    ExposureError
        One that is negative or missing, or 0 where something was counted.
    """
    found = np.ones((table.rows, len(layout.names)))
    for j, (name, column) in enumerate(zip(layout.names, layout.exposure, strict=True)):
        if not column:
            continue
        values = table[column].values.astype(np.float64)
        raise_where(np.isnan(values), MissingValueError, "{} missing values", column=column, values=values,
                    rule="every row needs an exposure", fix="Drop the rows.")
        raise_where(values < 0, NegativeExposureError, "{} negative values", column=column, values=values,
                    rule="an exposure must be >= 0", fix="Correct the rows or drop them.")
        raise_where((values == 0) & (table[name].values > 0), ZeroExposureError, "{} rows with a count and no exposure",
                    column=name, values=table[name].values, rule="nothing is counted where nothing is exposed",
                    fix=f"Check the join that brought {column!r} in.")
        found[:, j] = values
    return found


def _held(column: Column) -> Column:
    """Return the column without its missing values."""
    values = column.values
    return column.take(np.flatnonzero(values >= 0 if column.kind == "category" else ~np.isnan(values)))


def _codes(column: Column, levels: tuple[str, ...]) -> Array:
    """Return the codes of a column by the levels of the fit, NaN where a value is missing."""
    values = column.values
    there = values >= 0 if column.kind == "category" else ~np.isnan(values)
    held = column.take(np.flatnonzero(there)).as_category()
    place = {level: code for code, level in enumerate(levels)}
    codes = np.full(len(values), np.nan)
    codes[there] = np.array([place.get(level, -1) for level in held.levels], dtype=np.float64)[held.values]
    unseen = codes < 0
    if unseen.any():
        rows = first_rows(unseen)
        raise LevelError(f"{int(unseen.sum())} rows with levels the fit has not seen", column=column.name,
                         value=column.labels()[rows[0]], rows=rows,
                         rule="a categorical component knows the levels of its fit", fix="Drop the rows, or fit again.")
    return codes
