"""Columns: which component describes which columns, and the numbers it sees of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayesglm.data.faults import first_rows, raise_where
from bayesglm.data.table import Column, Table
from bayesglm.errors import ColumnTypeError, LevelError, OptionError, unknown
from bayesglm.mixtures.ascent import Block
from bayesglm.mixtures.component import Array, Component, Latent, Layout
from bayesglm.mixtures.expectation import Hidden, Rows
from bayesglm.registry import discover

PACKAGE = "bayesglm.mixtures.components"
TRANSFORMS = ("log",)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Columns that one component describes, and how they become numbers.

    Attributes
    ----------
    component : Component
        What describes them.
    layout : Layout
        Names, levels and scales.
    missing : bool
        Whether values may be missing.
    """

    component: Component
    layout: Layout
    missing: bool = False

    @property
    def latent(self) -> Latent | None:
        """What stands for the features where rows have variables that nobody observed."""
        return self.component.latent or (self.component.marginal if self.missing else None)

    def numbers(self, table: Table) -> Array:
        """Return what the component sees of a table, shape (row, feature)."""
        if self.layout.levels:
            return _codes(table[self.layout.names[0]], self.layout.levels)[:, None]
        raw = raw_numbers(table, self.layout.names, frozenset(np.array(self.layout.names)[self.layout.log].tolist()))
        return np.asarray((raw - self.layout.center) / self.layout.scale)

    def log_jacobian(self, numbers: Array) -> Array:
        """Return the log of d number / d value for each row: a density of numbers plus this is one in original units."""
        logs = (self.layout.center + self.layout.scale * numbers)[:, self.layout.log].sum(axis=1)
        return np.asarray(-np.log(self.layout.scale).sum() - logs)

    def block(self, numbers: Array) -> Block:
        """Return the block of an ascent, with the prior that these numbers give."""
        levels = len(self.layout.levels)
        return Block(self.component, self.component.prior(numbers, levels), levels, self.width)

    @property
    def width(self) -> int:
        """Number of features of a row, expected ones included."""
        if self.latent is not None:
            return self.latent.width(len(self.layout.names))
        row = np.zeros((1, len(self.layout.names)))
        return int(self.component.features(row, len(self.layout.levels)).shape[1])


def rows_of(parts: Sequence[Part], numbers: Sequence[Array]) -> Rows:
    """Return what coordinate ascent sees of the numbers of each part."""
    whole = [np.ones((len(numbers[0]), 1))]
    hidden = []
    for place, (part, held) in enumerate(zip(parts, numbers, strict=True)):
        if part.latent is None:
            whole.append(part.component.features(held, len(part.layout.levels)))
        else:
            hidden.append(Hidden(part.latent, place, held))
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


def parts_of(columns: Sequence[str], table: Table, components: Mapping[str, Component],
             transform: Mapping[str, str]) -> tuple[Part, ...]:
    """Return the parts of a row: the joint columns of each component together, the others one by one.

    Parts with unobserved variables stand last.

    Raises
    ------
    BayesGLMError
        A transform that is unknown or does not go with its column, or a column that cannot be described.
    """
    _check_transform(columns, components, transform)
    groups: dict[str, list[str]] = {}
    for name in columns:
        each = components[name]
        groups.setdefault(each.name if each.joint else f"{each.name} {name}", []).append(name)
    parts = [_part(components[names[0]], tuple(names), table, frozenset(transform)) for names in groups.values()]
    return tuple(sorted(parts, key=lambda part: part.latent is not None))  # as an ascent wants its blocks


def _check_transform(columns: Sequence[str], components: Mapping[str, Component], transform: Mapping[str, str]) -> None:
    for name, how in transform.items():
        if name not in columns:
            raise unknown("column in transform=", name, columns)
        if how not in TRANSFORMS:
            raise unknown("transform", how, TRANSFORMS)
        if not components[name].scaled:
            raise OptionError(f"transform={how!r} for a {components[name].name} component", column=name, value=how,
                              rule="only columns with a scale of their own are transformed", fix="Leave the transform out.")


def _part(component: Component, names: tuple[str, ...], table: Table, logs: frozenset[str]) -> Part:
    size = len(names)
    plain = Layout(names, (), np.zeros(size, np.bool_), np.zeros(size), np.ones(size))
    if not component.joint:
        column = table[names[0]]
        levels = ("False", "True") if column.kind == "boolean" else column.as_category().levels
        codes = _codes(column, levels)
        component.check(names[0], codes)
        return Part(component, Layout(names, levels, plain.log, plain.center, plain.scale))
    raw = raw_numbers(table, names, logs)
    for j, name in enumerate(names):
        component.check(name, raw[:, j])
    if not component.scaled:
        return Part(component, plain)
    log = np.array([name in logs for name in names])
    return Part(component, Layout(names, (), log, raw.mean(axis=0), raw.std(axis=0)))


def raw_numbers(table: Table, names: Sequence[str], logs: frozenset[str]) -> Array:
    """Return columns side by side, those in ``logs`` on the log scale."""
    found = np.empty((table.rows, len(names)))
    for j, name in enumerate(names):
        values = table[name].values.astype(np.float64)
        if name in logs:
            raise_where(values <= 0, ColumnTypeError, "{} values at or below 0", column=name, values=values,
                        rule="a logarithm needs values above 0",
                        fix=f"Drop the rows, or leave {name!r} out of transform=.")
            values = np.log(values)
        found[:, j] = values
    return found


def _codes(column: Column, levels: tuple[str, ...]) -> Array:
    """Return the codes of a column by the levels of the fit."""
    held = column.as_category()
    place = {level: code for code, level in enumerate(levels)}
    codes = np.array([place.get(level, -1) for level in held.levels], dtype=np.float64)[held.values]
    if (codes < 0).any():
        rows = first_rows(codes < 0)
        raise LevelError(f"{int((codes < 0).sum())} rows with levels the fit has not seen", column=column.name,
                         value=held.levels[held.values[rows[0]]], rows=rows,
                         rule="a categorical component knows the levels of its fit", fix="Drop the rows, or fit again.")
    return np.asarray(codes)
