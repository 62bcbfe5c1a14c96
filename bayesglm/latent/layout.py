"""Layout: a problem as arrays, in the coordinates the structured core works in.

    eta_p = offset_p + X_p r_core + sum_b values_b r_b[level_b],      r = Lambda(theta) w

The field w has a sparse part (levels of groups, nodes of paths) and a dense core (intercepts, coefficients, curves). Without data
each level of a block is standard normal and enters the linear predictor through its factor, r = F_b(theta) w, F_b = D C with D
the scales and C the Cholesky factor of a correlation; a path is w = y in units of its scale with the banded precision K(rho); an
entry of the core has a scale of its own, or 1 where its prior's sd is fixed and folded into its column.

A random walk is known up to a constant (order 2: a line), which the model takes out of it. That would couple all its nodes; here
the intercept (and the line) takes the constant up instead: eta = v' + sd y_t with v' = v - sd mean(y), and it is the prior of v,
one number, that sees the whole path: u_v = w_v + shear(theta) . y.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.design import CodedPredictor, Predictor
from bayesglm.latent.cholesky import Pattern, starts
from bayesglm.latent.hyper import Hyper, hyper_of
from bayesglm.latent.kernel import kernel
from bayesglm.latent.nodes import nodes_of
from bayesglm.log_density import LogDensity
from bayesglm.model import coefficient_parts, column_scale
from bayesglm.priors import LKJ, Beta, Prior
from bayesglm.specification import PredictorPriors, Problem
from bayesglm.terms.term import Basis, Block

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class Layout(NamedTuple):
    """What compiled code reads: arrays only. P predictors, n patterns, C core entries, B blocks, S sparse coordinates."""

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
    position: Index              # entry of L_ss of each (effect, effect) of a pair
    row_pair: Index              # (n, B (B + 1) / 2) which pair the pattern belongs to, -1 for none
    band_row: Index              # entries of K: rows, columns, entry of L_ss, value, kind, rho
    band_column: Index
    band_entry: Index
    band_value: Array
    band_kind: Index
    band_theta: Index
    rho_theta: Index             # (autoregressions,) which theta, and how many innovations are divided by sqrt(1 - rho^2)
    rho_steps: Array
    shear_core: Index            # entries of the shear: core entry, theta, coordinate, value
    shear_theta: Index
    shear_place: Index
    shear_value: Array
    other_core: Index            # core entries whose prior is not normal: density of location + scale u
    other_location: Array
    other_scale: Array
    other_density: Array
    constant_theta: Index        # (constants,) which theta is each constant parameter of the family
    start: Index                 # pattern of L_ss
    row: Index
    target: Index


@kernel
def pattern_of(layout: Layout) -> Pattern:
    """Return the pattern of L_ss."""
    return Pattern(layout.start, layout.row, layout.target)


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """What a core entry is: ``location + sd u`` is an entry of a variable of the model.

    Attributes
    ----------
    variable : str
        The variable, one-dimensional or a scalar.
    position : int
        Which entry of it.
    location, sd : float
        Of its prior where that is normal, else of a normal density that resembles it.
    coefficient : int
        Which column of the predictor's common effects it multiplies, -1 for none.
    other : LogDensity, optional
        The prior where it is not normal.
    """

    variable: str
    position: int
    location: float
    sd: float
    coefficient: int = -1
    other: LogDensity | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Where a block stands in the field.

    Attributes
    ----------
    block : Block
        The block.
    predictor : Predictor
        Whose it is.
    sparse : int array, shape (levels, effects), or None
        Coordinates of the sparse part, -1 where a walk is anchored; None for a curve in the core.
    core : int array, shape (effects,), or None
        Core entries of a curve.
    sd, partial, rho : int arrays
        Which theta are its scales (one for each effect), partial correlations and autocorrelation.
    """

    block: Block
    predictor: Predictor
    sparse: Index | None
    core: Index | None
    sd: Index
    partial: Index
    rho: Index


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
    """

    problem: Problem
    layout: Layout
    hyper: Hyper
    core: tuple[Core, ...]
    placed: tuple[Placed, ...]

    @property
    def gaussian(self) -> bool:
        """Whether every prior given theta is normal."""
        return not len(self.layout.other_core)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of hyperparameters, core entries and sparse coordinates."""
        return self.hyper.size, len(self.layout.columns), len(self.layout.start) - 1


def reason_against(problem: Problem) -> str:
    """Return why the structured core does not know a problem, empty if it does."""
    for predictor in problem.specification.predictors:
        priors = problem.specification.priors.predictors[predictor.parameter]
        joint = next((each for each in priors.coef if each.joint), None)
        if joint is not None:
            return f"the prior {joint} gives every coefficient a scale of its own"
        for block in predictor.blocks:
            path = block.path
            if path is not None and path.order and (path.paths > 1 or not predictor.intercept):
                return f"{block.name} is a walk of several paths, or has no intercept to take up its mean"
    return ""


class _Theta:
    """Collects the priors of the hyperparameters in order, each with whether it belongs to a scale."""

    def __init__(self) -> None:
        self.priors: list[tuple[Prior, bool]] = []

    def add(self, priors: Sequence[Prior], *, scale: bool) -> Index:
        """Take hyperparameters in and return their numbers."""
        begin = len(self.priors)
        self.priors += [(each, scale) for each in priors]
        return np.arange(begin, len(self.priors), dtype=np.int64)


def field_of(problem: Problem) -> Field:
    """Lay a problem out for the structured core; `reason_against` must be empty."""
    specification, rows = problem.specification, problem.patterns.table.rows
    theta, first, offsets = _Theta(), [0], []
    columns: list[Array] = []
    core: list[Core] = []
    core_theta: list[int] = []
    placed: list[Placed] = []
    bases: list[Basis] = []
    for predictor in specification.predictors:
        coded, priors = predictor.code(problem.patterns.table), specification.priors.predictors[predictor.parameter]
        offset = coded.offset.copy()
        for entry, column in common_columns(predictor, coded, priors):
            offset += column * entry.location
            columns.append(column * entry.sd)
            core.append(entry)
            core_theta.append(-1)
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
    constants = theta.add([specification.priors.constants[each.name] for each in specification.constant()], scale=False)
    parameters = tuple(each.parameter for each in specification.predictors)
    sparse, placed = _sparse(placed, bases, parameters, rows)
    layout = Layout(
        offset=np.array(offsets), columns=np.array(columns).reshape(len(core), rows), first=np.array(first),
        core_theta=np.array(core_theta, np.int64), constant_theta=constants,
        **sparse, **_autoregressions(placed), **_shear(placed, core), **_other(core),
    )
    return Field(problem, layout, hyper_of(theta.priors), tuple(core), tuple(placed))


def common_columns(predictor: Predictor, coded: CodedPredictor, priors: PredictorPriors) -> Iterator[tuple[Core, Array]]:
    """Yield the core entry and the column of the intercept and each coefficient, on the scale the model samples."""
    if predictor.intercept:
        assert priors.intercept is not None
        centred = bool(predictor.coef) and not priors.uncentred
        name = predictor.name("Intercept_centered" if centred else "Intercept")
        yield _entry(name, 0, -1, priors.intercept), np.ones(len(coded.offset))
    centre = predictor.centre if predictor.intercept and not priors.uncentred else np.zeros(len(predictor.coef))
    standard = (coded.common - centre) / column_scale(predictor)
    for part in coefficient_parts(predictor, priors) if predictor.coef else ():
        for position, (j, prior) in enumerate(zip(part.members, part.priors, strict=True)):
            yield _entry(part.name, position, j, prior), standard[:, j]


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
            partial = theta.add([Beta(b, b) for b in spread], scale=False)
        elif each.key == "sd":
            sd[:] = theta.add(chosen, scale=True)
        else:
            rho = theta.add(chosen, scale=False)
    inside = np.arange(core, core + effects) if len(block.levels) == 1 and block.path is None else None
    return Placed(block, predictor, None, inside, sd, partial, rho)


def _sparse(
    placed: Sequence[Placed], bases: Sequence[Basis], parameters: tuple[str, ...], rows: int,
) -> tuple[dict[str, Any], list[Placed]]:
    """Return what the layout knows of the blocks of the sparse part, and all blocks with their coordinates there."""
    chosen = [i for i, each in enumerate(placed) if each.core is None]
    blocks = [placed[i] for i in chosen]
    nodes, coordinates = nodes_of([each.block for each in blocks], [bases[i].index for i in chosen],
                                  [int(each.rho[0]) if each.rho.size else -1 for each in blocks], rows)
    sizes = np.array([len(each.block.effects) for each in blocks], np.int64)
    widest = int(sizes.max(initial=1))
    arrays = {
        "block_predictor": np.array([parameters.index(each.predictor.parameter) for each in blocks], np.int64),
        "block_size": sizes, "block_values": starts(sizes)[:-1],
        "block_sd": np.array([np.pad(each.sd, (0, widest - len(each.sd))) for each in blocks], np.int64).reshape(-1, widest),
        "block_partial": np.array([each.partial[0] if each.partial.size else -1 for each in blocks], np.int64),
        "values": np.concatenate([np.zeros((rows, 0)), *(bases[i].values for i in chosen)], axis=1),
    }
    filled = list(placed)
    for i, where in zip(chosen, coordinates, strict=True):
        filled[i] = replace(placed[i], sparse=where)
    return {**arrays, **nodes._asdict()}, filled


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


def _shear(placed: Sequence[Placed], core: Sequence[Core]) -> dict[str, Any]:
    """Return what intercepts and straight lines take up of the walks."""
    entries: list[tuple[Index, Index, Index, Array]] = []
    for each in placed:
        path, predictor = each.block.path, each.predictor
        if path is None or path.order == 0:
            continue
        t = np.arange(path.nodes, dtype=np.float64) - (path.nodes - 1) / 2
        share = np.full(path.nodes, 1.0 / path.nodes)
        if path.order == 2:
            length = float(np.sqrt((t**2).sum()))
            j = predictor.coef.index(path.line)
            line, scale = t / length, column_scale(predictor)[j]
            number = next(i for i, c in enumerate(core) if _is_coefficient(c, predictor, j))
            centre = 0.0 if _uncentred(core, predictor) else predictor.centre[j]
            share = share + line * (path.size * centre + path.middle - (path.nodes - 1) / 2) / length
            entries.append(_taken(number, each, line * path.size / length * scale / core[number].sd))
        names = predictor.name("Intercept"), predictor.name("Intercept_centered")
        number = next(i for i, c in enumerate(core) if c.variable in names)
        entries.append(_taken(number, each, share / core[number].sd))
    return {
        "shear_core": np.concatenate([np.zeros(0, np.int64), *(each[0] for each in entries)]),
        "shear_theta": np.concatenate([np.zeros(0, np.int64), *(each[1] for each in entries)]),
        "shear_place": np.concatenate([np.zeros(0, np.int64), *(each[2] for each in entries)]),
        "shear_value": np.concatenate([np.zeros(0), *(each[3] for each in entries)]),
    }


def _taken(core: int, placed: Placed, values: Array) -> tuple[Index, Index, Index, Array]:
    """Return core entry, theta, coordinate and value for every node of a walk that is not anchored."""
    assert placed.sparse is not None
    place = placed.sparse[:, 0]
    live = place >= 0
    count = int(live.sum())
    return np.full(count, core), np.full(count, placed.sd[0]), place[live], values[live]


def _uncentred(core: Sequence[Core], predictor: Predictor) -> bool:
    return any(each.variable == predictor.name("Intercept") for each in core)


def _is_coefficient(core: Core, predictor: Predictor, j: int) -> bool:
    return core.variable.startswith(predictor.name("beta_scaled")) and core.coefficient == j
