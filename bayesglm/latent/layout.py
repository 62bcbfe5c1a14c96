"""Layout: a problem as arrays, in the coordinates the structured core works in.

    eta_p = offset_p + X_p r_core + sum_b values_b r_b[level_b],      r = Lambda(theta) w

The field w has a sparse part (levels of groups, nodes of paths) and a dense core (intercepts, coefficients, curves). Without data
each level of a block is standard normal and enters the linear predictor through its factor, r = F_b(theta) w, F_b = D C with D
the scales and C the Cholesky factor of a correlation; a path is w = y in units of its scale with the banded precision K(rho); an
entry of the core has a scale of its own, or 1 where its prior's sd is fixed and folded into its column.

A random walk is known up to a constant (order 2: a line), which the model takes out of it. That would couple all its nodes; here
the intercept (and the line) takes the constant up instead: eta = v' + sd y_t with v' = v - sd mean(y), and it is the prior of v,
one number, that sees the whole path: u_v = w_v + shear(theta) . y. Where there is no intercept, or several paths, each path has
its level as one coordinate more, tied to it: eta = sd (y_t + l) with l + mean(y) = 0 (`bayesglm.latent.ties`).

A coefficient with a scale of its own is a coordinate that every row reads, r_j = s_j(theta) w_j (`bayesglm.latent.scales`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.design import CodedPredictor, Predictor
from bayesglm.latent.elimination import starts
from bayesglm.latent.hyper import Hyper, hyper_of
from bayesglm.latent.nodes import Alike, Tied, live, nodes_of
from bayesglm.latent.owned import Own, own_arrays
from bayesglm.latent.placed import Core, Placed
from bayesglm.latent.record import record
from bayesglm.latent.walks import level_reads, shear, taken_up, unit_line
from bayesglm.model import coefficient_parts, column_scale
from bayesglm.priors import LKJ, Beta, Prior
from bayesglm.specification import PredictorPriors, Problem, Specification
from bayesglm.terms.term import Basis, Block

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@record
class Layout(NamedTuple):
    """What compiled code reads: arrays only. P predictors, n patterns, C core entries, B blocks, S sparse coordinates.

    Levels of walks are blocks too, and what is tied comes last in the sparse part. A coefficients have scales of their own.
    """

    offset: Array                # (P, n)
    columns: Array               # (C, n), grouped by predictor
    first: Index                 # (P + 1,) where each predictor's columns begin
    core_theta: Index            # (C,) which theta scales the entry, -1 for none
    block_predictor: Index       # (B,)
    block_size: Index            # (B,) effects of each level
    block_values: Index          # (B,) where its multipliers begin
    block_coupled: Index         # (B,) whether the transport knows its coupling with other blocks and the core
    values: Array                # (n, Q) multipliers
    coordinate: Index            # (B, n) the first coordinate each pattern reads, -1 for none
    block_sd: Index              # (B, widest) which theta scales each effect
    block_partial: Index         # (B,) the first of its partial correlations, -1 for none
    node_begin: Index            # (nodes,) first coordinate of each node, in the order of elimination
    node_block: Index            # (nodes,)
    pair_row: Index              # (pairs,) block of the later node of a coupled pair
    pair_column: Index           # (pairs,) block of the earlier one
    pair_begin: Index            # (pairs, 2) first coordinates of both
    pair_first: Index            # (pairs,) where its entries begin in `position`
    pair_stretch: Index          # where pairs of the same two blocks begin, and last where all end
    position: Index              # entry of L_ss of each (effect, effect) of a pair
    row_pair: Index              # (n, B (B + 1) / 2) which pair the pattern belongs to, -1 for none
    band_row: Index              # entries of K: rows, columns, entry of L_ss, value, kind, rho
    band_column: Index
    band_entry: Index
    band_value: Array
    band_kind: Index
    band_theta: Index
    band_stretch: Index          # where entries of one kind and rho begin, on or off the diagonal, and last where all end
    rho_theta: Index             # (autoregressions,) which theta, and how many innovations are divided by sqrt(1 - rho^2)
    rho_steps: Array
    shear_core: Index            # entries of the shear: core entry, theta, coordinate, value
    shear_theta: Index
    shear_place: Index
    shear_value: Array
    shear_stretch: Index         # where entries of the same core entry and theta begin, and last where all end
    tie_first: Index             # (ties,) where the entries of each tie begin and end: coordinate and value
    tie_last: Index
    tie_place: Index
    tie_value: Array
    own_place: Index             # (A,) coordinates of coefficients with scales of their own
    own_predictor: Index         # (A,)
    own_columns: Array           # (A, n)
    own_constant: Array          # (A,) of the logarithm of the scale before the slab
    own_slab: Index              # (A,) which theta is the precision of the slab, -1 for none
    own_begin: Index             # (A,) where the factors of each scale begin and end: theta, its power and that of 1 - theta
    own_end: Index
    own_theta: Index
    own_power: Array
    own_other: Array
    other_core: Index            # core entries whose prior is not normal: density of location + scale u
    other_location: Array
    other_scale: Array
    other_density: Array
    constant_theta: Index        # (constants,) which theta is each constant parameter of the family
    start: Index                 # pattern of L_ss
    row: Index
    column: Index
    target: Index
    last: Index


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """The latent field of a problem.

    Attributes
    ----------
    problem : Problem
        The problem.
    layout : Layout
        The arrays.
    hyper : Hyper
        The hyperparameters.
    core : tuple of Core
        What each core entry is.
    placed : tuple of Placed
        Where each block stands.
    own : tuple of Own
        Coefficients with scales of their own.
    """

    problem: Problem
    layout: Layout
    hyper: Hyper
    core: tuple[Core, ...]
    placed: tuple[Placed, ...]
    own: tuple[Own, ...]

    @property
    def gaussian(self) -> bool:
        """Whether every prior given theta is normal."""
        return not len(self.layout.other_core)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of hyperparameters, core entries and sparse coordinates that are not tied."""
        return self.hyper.size, len(self.layout.columns), len(self.layout.start) - 1 - len(self.layout.tie_first)


def reason_against(problem: Problem) -> str:
    """Return why no approximation around a mode fits a problem, empty if one may."""
    for predictor in problem.specification.predictors:
        priors = problem.specification.priors.predictors[predictor.parameter]
        joint = next((each for each in priors.coef if each.joint), None)
        if joint is not None:
            return f"the prior {joint} gives every coefficient a scale of its own"
    return ""


class _Theta:
    """Collects the priors of the hyperparameters in order, each with whether it belongs to a scale."""

    def __init__(self) -> None:
        self.priors: list[tuple[Prior, bool]] = []
        self.held: list[bool] = []
        self.units: list[float] = []

    def add(self, priors: Sequence[Prior], *, units: Sequence[float] = (), held: bool = False) -> Index:
        """Take hyperparameters in, scales with their units, and return their numbers."""
        begin = len(self.priors)
        self.priors += [(each, bool(units)) for each in priors]
        self.held += [held] * len(priors)
        self.units += units or [1.0] * len(priors)
        return np.arange(begin, len(self.priors), dtype=np.int64)


def field_of(problem: Problem) -> Field:
    """Lay a problem out for the structured core."""
    specification, rows = problem.specification, problem.patterns.table.rows
    theta, first, offsets = _Theta(), [0], []
    columns: list[Array] = []
    core: list[Core] = []
    core_theta: list[int] = []
    placed: list[Placed] = []
    bases: list[Basis] = []
    own: list[Own] = []
    for number, predictor in enumerate(specification.predictors):
        coded, priors = predictor.code(problem.patterns.table), specification.priors.predictors[predictor.parameter]
        offset = coded.offset.copy()
        for entry, column in common_columns(predictor, coded, priors):
            offset += column * entry.location
            columns.append(column * entry.sd)
            core.append(entry)
            core_theta.append(-1)
        for part in coefficient_parts(predictor, priors) if predictor.coef else ():
            if part.priors[0].joint:
                scales, begin = part.priors[0].own_scales(len(part.members)), len(theta.priors)
                theta.add(scales.priors, held=True)
                own.append(Own(part.name, scales, begin, number, standard(predictor, coded, priors)[:, list(part.members)].T,
                               np.arange(len(part.members))))
        for block, basis in zip(predictor.blocks, coded.bases, strict=True):
            place = _place(block, predictor, priors, theta, len(core))
            if place.core is not None:
                columns.extend(basis.values.T)
                core.extend(Core(predictor.name(f"z_{block.name}"), a, 0.0, 1.0) for a in range(len(block.effects)))
                core_theta.extend(place.sd.tolist())
            placed.append(place)
            bases.append(basis)
        first.append(len(core))
        offsets.append(offset)
    constants = theta.add([specification.priors.constants[each.name] for each in specification.constant()])
    sparse, placed, own = _sparse(placed, bases, specification, rows, own)
    layout = Layout(
        offset=np.array(offsets), columns=np.array(columns).reshape(len(core), rows), first=np.array(first),
        core_theta=np.array(core_theta, np.int64), constant_theta=constants,
        **sparse, **own_arrays(own, rows), **_autoregressions(placed), **shear(placed, core), **_other(core),
    )
    return Field(problem, layout, hyper_of(theta.priors, theta.held, theta.units), tuple(core), tuple(placed), tuple(own))


def standard(predictor: Predictor, coded: CodedPredictor, priors: PredictorPriors) -> Array:
    """Return the common columns on the scale the model samples their coefficients on, shape (rows, coef)."""
    centre = predictor.centre if predictor.intercept and not priors.uncentred else np.zeros(len(predictor.coef))
    return np.asarray((coded.common - centre) / column_scale(predictor))


def common_columns(predictor: Predictor, coded: CodedPredictor, priors: PredictorPriors) -> Iterator[tuple[Core, Array]]:
    """Yield the core entry and the column of the intercept and each coefficient that has a prior of its own."""
    if predictor.intercept:
        assert priors.intercept is not None
        centred = bool(predictor.coef) and not priors.uncentred
        name = predictor.name("Intercept_centered" if centred else "Intercept")
        yield _entry(name, 0, -1, priors.intercept), np.ones(len(coded.offset))
    columns = standard(predictor, coded, priors)
    for part in coefficient_parts(predictor, priors) if predictor.coef else ():
        for position, (j, prior) in enumerate(zip(part.members, part.priors, strict=True)):
            if not prior.joint:
                yield _entry(part.name, position, j, prior), columns[:, j]


def _entry(variable: str, position: int, coefficient: int, prior: Prior) -> Core:
    terms = prior.log_density()
    return Core(variable, position, terms.location, terms.reference_sd, coefficient, None if terms.gaussian else terms)


def _place(block: Block, predictor: Predictor, priors: PredictorPriors, theta: _Theta, core: int) -> Placed:
    """Register a block's hyperparameters; a curve with one level goes to the core, everything else to the sparse part."""
    effects = len(block.effects)
    sd, partial, rho = (np.zeros(size, np.int64) for size in (effects, 0, 0))
    for each in block.hyperparameters:
        chosen = priors.hyper[each.name]
        if each.key == "cor":
            assert isinstance(chosen[0], LKJ)
            spread, _ = chosen[0].spread(len(each.labels))
            partial = theta.add([Beta(b, b) for b in spread])
        elif each.key == "sd":
            sd[:] = theta.add(chosen, units=[default.log_density().reference_sd for default in each.scaled(priors.unit)])
        else:
            rho = theta.add(chosen)
    inside = np.arange(core, core + effects) if len(block.levels) == 1 and block.path is None else None
    return Placed(block, predictor, None, inside, sd, partial, rho, np.zeros((0, 0), np.int64))


def _sparse(
    placed: Sequence[Placed], bases: Sequence[Basis], specification: Specification, rows: int, own: Sequence[Own],
) -> tuple[dict[str, Any], list[Placed], list[Own]]:
    """Return what the layout knows of the sparse part, and blocks and coefficients with their coordinates there."""
    parameters = tuple(each.parameter for each in specification.predictors)
    kinds: list[Alike] = []
    values, blocks, kind_of = [np.zeros((rows, 0))], list[Placed](), dict[int, int]()
    for i, (each, basis) in enumerate(zip(placed, bases, strict=True)):
        if each.core is None:
            kind_of[i] = len(kinds)
            for kind, multipliers in _kinds(each, basis, specification.priors.predictors[each.predictor.parameter], len(kinds)):
                kinds.append(kind)
                values.append(multipliers)
                blocks.append(each)
    alone = sum(len(each.place) for each in own)
    nodes, coordinates = nodes_of([*kinds, Alike(alone, 1, None)], rows)
    sizes = np.array([kind.effects for kind in kinds], np.int64)
    widest = int(sizes.max(initial=1))
    arrays = {
        "block_predictor": np.array([parameters.index(each.predictor.parameter) for each in blocks], np.int64),
        "block_size": sizes, "block_values": starts(sizes)[:-1],
        "block_sd": np.array([np.pad(each.sd, (0, widest - len(each.sd))) for each in blocks], np.int64).reshape(-1, widest),
        "block_partial": np.array([each.partial[0] if each.partial.size else -1 for each in blocks], np.int64),
        "values": np.concatenate(values, axis=1),
    }
    filled = list(placed)
    for i, k in kind_of.items():
        number = live(placed[i].block)
        levels = [coordinates[m].T for m, kind in enumerate(kinds) if kind.tied is not None and kind.tied.to == k]
        filled[i] = replace(placed[i], sparse=np.where(number[:, None] >= 0, coordinates[k][np.maximum(number, 0)], -1),
                            levels=np.concatenate(levels) if levels else placed[i].levels)
    ends = np.cumsum([0, *(len(each.place) for each in own)])
    return {**arrays, **nodes._asdict()}, filled, [
        replace(each, place=coordinates[-1][low:high, 0]) for each, low, high in zip(own, ends[:-1], ends[1:], strict=True)]


def _kinds(placed: Placed, basis: Basis, priors: PredictorPriors, to: int) -> Iterator[tuple[Alike, Array]]:
    """Yield the nodes of a block and those of its levels, with what each row multiplies those it reads by."""
    block, path, number = placed.block, placed.block.path, live(placed.block)
    rho = int(placed.rho[0]) if placed.rho.size else -1
    yield Alike(int((number >= 0).sum()), len(block.effects), number[basis.index], path, rho), basis.values
    if path is not None and path.order and not taken_up(path, placed.predictor, priors):
        for k, (row, values) in enumerate(level_reads(path, basis)):
            share = np.full(path.nodes, 1.0 / path.nodes) if k == 0 else unit_line(path)
            yield Alike(path.paths, 1, row, path, tied=Tied(to, share[path.order:])), values


def _autoregressions(placed: Sequence[Placed]) -> dict[str, Any]:
    """Return which theta are autocorrelations, and how many innovations each divides by sqrt(1 - rho^2)."""
    found = [(each.rho[0], each.block.path.paths * (each.block.path.nodes - 1))
             for each in placed if each.rho.size and each.block.path is not None]
    return {"rho_theta": np.array([k for k, _ in found], np.int64), "rho_steps": np.array([n for _, n in found], np.float64)}


def _other(core: Sequence[Core]) -> dict[str, Any]:
    """Return the priors of core entries that are not normal, as densities of u in units of sd."""
    found = [(i, each, each.other) for i, each in enumerate(core) if each.other is not None]
    terms = [each._replace(constant=each.constant + np.log(entry.sd)) for _, entry, each in found]
    return {
        "other_core": np.array([i for i, _, _ in found], np.int64),
        "other_location": np.array([entry.location for _, entry, _ in found]),
        "other_scale": np.array([entry.sd for _, entry, _ in found]), "other_density": np.array(terms).reshape(-1, 9),
    }
