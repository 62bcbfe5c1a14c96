"""Layout: a problem as arrays, in the coordinates the structured core works in.

    eta_p = offset_p + X_p r_core + sum_b values_b r_b[index_b],      r = Lambda(theta) w

The field w has a sparse part (levels of groups, nodes of paths) and a dense core (intercepts, coefficients, curves). Without data
each level of a block is standard normal and enters the linear predictor through its factor, r = F_b(theta) w, F_b = D C with D
the scales and C the Cholesky factor of a correlation; a path is w = y in units of its scale with the banded precision K(rho); an
entry of the core has a scale of its own, or 1 where its prior's sd is fixed and folded into its column.

A random walk is known up to a constant (order 2: a line), which the model takes out of it. That would couple all its nodes; here
the intercept (and the line) takes the constant up instead: eta = v' + sd y_t with v' = v - sd mean(y), and it is the prior of v,
one number, that sees the whole path: u_v = w_v + shear(theta) . y.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bayesglm.design import CodedPredictor, Predictor
from bayesglm.latent.cholesky import Pattern, analyse, eliminate, entry
from bayesglm.latent.hyper import Hyper, hyper_of
from bayesglm.model import coefficient_parts, column_scale
from bayesglm.priors import LKJ, Beta, Prior
from bayesglm.specification import PredictorPriors, Problem
from bayesglm.terms.term import Basis, Block

Array = NDArray[np.float64]
Index = NDArray[np.int64]
# An elimination with more products than this costs more than the likelihood; couplings between factors are left out then.
MOST_PRODUCTS = 8_000_000
CONSTANT, STATIONARY, INTERIOR, BESIDE = 0, 1, 2, 3


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
    index: Index                 # (B, n) the first coordinate each pattern reads, -1 for none
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


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """What a core entry is: ``location + sd u`` is an entry of a variable of the model; which coefficient it is, if any."""

    variable: str
    position: int
    location: float
    sd: float
    coefficient: int = -1


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
    layout : Layout
        The arrays.
    hyper : Hyper
        The hyperparameters.
    names : tuple of str
        Name of each hyperparameter, ``sd_service[Intercept]``.
    core : tuple of Core
        What each core entry is.
    placed : tuple of Placed
        Where each block stands.
    gaussian : bool
        Whether every prior given theta is normal.
    """

    problem: Problem
    layout: Layout
    hyper: Hyper
    names: tuple[str, ...]
    core: tuple[Core, ...]
    placed: tuple[Placed, ...]
    gaussian: bool

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
    """Collects the hyperparameters in order."""

    def __init__(self) -> None:
        self.priors: list[tuple[Prior, bool]] = []
        self.names: list[str] = []

    def add(self, name: str, prior: Prior, *, scale: bool) -> int:
        self.priors.append((prior, scale))
        self.names.append(name)
        return len(self.names) - 1


def field_of(problem: Problem) -> Field:
    """Lay a problem out for the structured core; `reason_against` must be empty."""
    specification = problem.specification
    theta = _Theta()
    coded = [each.code(problem.patterns.table) for each in specification.predictors]
    columns: list[Array] = []
    core: list[Core] = []
    core_theta: list[int] = []
    first = [0]
    offsets: list[Array] = []
    placed: list[Placed] = []
    other: list[tuple[int, float, float, tuple[float, ...]]] = []
    for predictor, each in zip(specification.predictors, coded, strict=True):
        priors = specification.priors.predictors[predictor.parameter]
        offset = each.offset.copy()
        for name, position, coefficient, prior, column in _common(predictor, each, priors):
            terms = prior.log_density()
            sd = terms.reference_sd
            if not terms.gaussian:
                other.append((len(core), terms.location, sd, tuple(terms._replace(constant=terms.constant + np.log(sd)))))
            offset += column * terms.location
            columns.append(column * sd)
            core.append(Core(name, position, terms.location, sd, coefficient))
            core_theta.append(-1)
        for block, basis in zip(predictor.blocks, each.bases, strict=True):
            placed.append(_place(block, basis, predictor, priors, theta, len(core)))
            if placed[-1].core is not None:
                columns.extend(basis.values.T)
                core.extend(Core(predictor.name(f"z_{block.name}"), a, 0.0, 1.0) for a in range(len(block.effects)))
                core_theta.extend(placed[-1].sd.tolist())
        first.append(len(core))
        offsets.append(offset)
    constants = [theta.add(each.name, specification.priors.constants[each.name], scale=False) for each in specification.constant()]
    hyper = hyper_of(theta.priors)
    bases = [basis for each in coded for basis in each.bases]
    numbers = {each.parameter: p for p, each in enumerate(specification.predictors)}
    sparse, placed = _sparse(placed, bases, numbers, problem.patterns.table.rows)
    layout = Layout(
        offset=np.array(offsets), columns=np.array(columns).reshape(len(core), -1) if core else np.zeros((0, problem.patterns.table.rows)),
        first=np.array(first), core_theta=np.array(core_theta, np.int64), constant_theta=np.array(constants, np.int64),
        other_core=np.array([each[0] for each in other], np.int64), other_location=np.array([each[1] for each in other]),
        other_scale=np.array([each[2] for each in other]), other_density=np.array([each[3] for each in other]).reshape(-1, 9),
        **sparse, **_shear(placed, core),
    )
    return Field(problem, layout, hyper, tuple(theta.names), tuple(core), tuple(placed), not other)


def _common(
    predictor: Predictor, coded: CodedPredictor, priors: PredictorPriors,
) -> list[tuple[str, int, int, Prior, Array]]:
    """Return (variable, position, coefficient, prior, column) of the intercept and each coefficient, on the scale the model samples."""
    found: list[tuple[str, int, int, Prior, Array]] = []
    if predictor.intercept:
        assert priors.intercept is not None
        centred = bool(predictor.coef) and not priors.uncentred
        name = predictor.name("Intercept_centered" if centred else "Intercept")
        found.append((name, 0, -1, priors.intercept, np.ones(len(coded.offset))))
    centre = predictor.centre if predictor.intercept and not priors.uncentred else np.zeros(len(predictor.coef))
    standard = (coded.common - centre) / column_scale(predictor)
    for part in coefficient_parts(predictor, priors) if predictor.coef else ():
        found += [(part.name, position, j, prior, standard[:, j])
                  for position, (j, prior) in enumerate(zip(part.members, part.priors, strict=True))]
    return found


def _place(
    block: Block, basis: Basis, predictor: Predictor, priors: PredictorPriors, theta: _Theta, core: int,
) -> Placed:
    """Register a block's hyperparameters; a curve with one level goes to the core, everything else to the sparse part."""
    effects = len(block.effects)
    sd, partial, rho = np.zeros(effects, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for each in block.hyperparameters:
        chosen, name = priors.hyper[each.name], predictor.name(each.name)
        if each.key == "cor":
            assert isinstance(chosen[0], LKJ)
            spread, _ = chosen[0].spread(len(each.labels))
            partial = np.array([theta.add(f"{predictor.name(f'partial_{block.name}')}[{i}]", Beta(b, b), scale=False)
                                for i, b in enumerate(spread)], np.int64)
        elif each.key == "sd" and each.labels:
            sd = np.array([theta.add(f"{name}[{label}]", prior, scale=True)
                           for label, prior in zip(each.labels, chosen, strict=True)], np.int64)
        elif each.key == "sd":
            sd[:] = theta.add(name, chosen[0], scale=True)
        else:
            rho = np.array([theta.add(name, chosen[0], scale=False)], np.int64)
    inside = np.arange(core, core + effects) if len(block.levels) == 1 and block.path is None else None
    del basis
    return Placed(block, predictor, None, inside, sd, partial, rho)


def _sparse(
    placed: Sequence[Placed], bases: Sequence[Basis], numbers: Mapping[str, int], rows: int,
) -> tuple[dict[str, Array], list[Placed]]:
    """Order the nodes, find the pattern of the factor, and number every entry that is ever written."""
    chosen = [i for i, each in enumerate(placed) if each.core is None]
    blocks = [placed[i] for i in chosen]
    skip = [0 if each.block.path is None else each.block.path.order for each in blocks]
    counts = [len(each.block.levels) - s for each, s in zip(blocks, skip, strict=True)]
    base = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    nodes = int(base[-1])
    # Node of each pattern in each block; a walk's first nodes are 0 and no nodes.
    node = np.full((len(blocks), rows), -1, np.int64)
    for b, i in enumerate(chosen):
        level = bases[i].index.astype(np.int64) - skip[b]
        node[b] = np.where(level >= 0, base[b] + level, -1)
    bands = [_band(each, int(base[b])) for b, each in enumerate(blocks)]
    sizes = np.concatenate([np.full(n, len(each.block.effects)) for n, each in zip(counts, blocks, strict=True)]
                           ) if blocks else np.zeros(0, np.int64)
    pairs, row_pair = _pairs(node)
    coupled = np.ones(len(blocks), np.bool_)
    order, below = eliminate(_adjacent(nodes, pairs, bands))
    if _products(below, sizes[order].astype(np.int64)) > MOST_PRODUCTS:
        block_of = np.repeat(np.arange(len(blocks)), counts)
        largest = int(np.argmax([n * len(each.block.effects) for n, each in zip(counts, blocks, strict=True)]))
        coupled = np.arange(len(blocks)) == largest
        kept = (block_of[pairs[:, 0]] == block_of[pairs[:, 1]])
        renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
        pairs, row_pair = pairs[kept], np.where(row_pair >= 0, renumbered[row_pair], -1)
        order, below = eliminate(_adjacent(nodes, pairs, bands))
    place = np.argsort(order).astype(np.int64)
    begin, pattern = analyse(below, sizes[order].astype(np.int64))
    block_of = np.repeat(np.arange(len(blocks)), counts).astype(np.int64)
    first = begin[place] if nodes else np.zeros(0, np.int64)
    widest = max([len(each.block.effects) for each in blocks], default=1)
    arrays = {
        "block_predictor": np.array([numbers[each.predictor.parameter] for each in blocks], np.int64),
        "block_size": np.array([len(each.block.effects) for each in blocks], np.int64),
        "block_values": np.concatenate([[0], np.cumsum([len(each.block.effects) for each in blocks])[:-1]]).astype(np.int64)
        if blocks else np.zeros(0, np.int64),
        "block_coupled": coupled.astype(np.int64),
        "values": np.ascontiguousarray(np.hstack([bases[i].values for i in chosen])) if blocks else np.zeros((rows, 0)),
        "index": np.where(node >= 0, first[np.maximum(node, 0)], -1) if nodes else np.zeros((0, rows), np.int64),
        "block_sd": np.array([np.pad(each.sd, (0, widest - len(each.sd))) for each in blocks], np.int64).reshape(-1, widest),
        "block_partial": np.array([each.partial[0] if each.partial.size else -1 for each in blocks], np.int64),
        "node_begin": begin, "node_block": block_of[order], "row_pair": row_pair,
        **_positions(pairs, place, block_of, begin, sizes, order, pattern), **_bands(bands, first, pattern, blocks),
        "start": pattern.start, "row": pattern.row, "target": pattern.target,
    }
    filled = list(placed)
    for b, i in enumerate(chosen):
        levels, effects = len(blocks[b].block.levels), len(blocks[b].block.effects)
        where = np.full((levels, effects), -1, np.int64)
        where[skip[b]:] = first[base[b]:base[b + 1], None] + np.arange(effects)
        filled[i] = Placed(blocks[b].block, blocks[b].predictor, where, None, blocks[b].sd, blocks[b].partial, blocks[b].rho)
    return arrays, filled


def _pairs(node: Index) -> tuple[Index, Index]:
    """Return the distinct pairs of nodes that a pattern reads together, and which pair each pattern has for two blocks."""
    blocks, rows = node.shape
    found: list[Index] = []
    row_pair = np.full((rows, blocks * (blocks + 1) // 2), -1, np.int64)
    total = column = 0
    for b in range(blocks):
        for a in range(b + 1):
            together = np.flatnonzero((node[a] >= 0) & (node[b] >= 0))
            codes = node[a][together] * (node.max(initial=0) + 1) + node[b][together]
            distinct, inverse = np.unique(codes, return_inverse=True)
            row_pair[together, column] = total + inverse.reshape(-1)
            found.append(np.stack(np.divmod(distinct, node.max(initial=0) + 1), axis=1))
            total += len(distinct)
            column += 1
    return (np.concatenate(found) if found else np.zeros((0, 2), np.int64)), row_pair


class _Band(NamedTuple):
    """Entries of K of one block between nodes, lower triangle."""

    row: Index
    column: Index
    value: Array
    kind: Index


def _band(placed: Placed, base: int) -> _Band:
    """Return K: the identity between levels, C' C along a path."""
    path = placed.block.path
    levels = np.arange(len(placed.block.levels) - (path.order if path else 0))
    if path is None:
        return _Band(base + levels, base + levels, np.ones(len(levels)), np.full(len(levels), CONSTANT))
    if path.order:
        weights = {1: (1.0, -1.0), 2: (1.0, -2.0, 1.0)}[path.order]
        step = sp.diags_array(weights, offsets=[-k for k in range(path.order + 1)], shape=(len(levels), len(levels)))
        lower = sp.coo_array(sp.tril(sp.csc_array(step.T @ step)))
        return _Band(base + lower.row, base + lower.col, lower.data, np.full(lower.nnz, CONSTANT))
    node = levels % path.nodes
    inner, later = levels[(node > 0) & (node < path.nodes - 1)], levels[node > 0]
    return _Band(base + np.concatenate([levels, inner, later]), base + np.concatenate([levels, inner, later - 1]),
                 np.ones(len(levels) + len(inner) + len(later)),
                 np.repeat([STATIONARY, INTERIOR, BESIDE], [len(levels), len(inner), len(later)]))


def _adjacent(nodes: int, pairs: Index, bands: Sequence[_Band]) -> sp.csc_array:
    rows = np.concatenate([pairs[:, 0], *(band.row for band in bands)])
    columns = np.concatenate([pairs[:, 1], *(band.column for band in bands)])
    return sp.csc_array((np.ones(2 * len(rows)), (np.concatenate([rows, columns]), np.concatenate([columns, rows]))),
                        shape=(nodes, nodes))


def _products(below: Sequence[Index], sizes: Index) -> float:
    """Return how many products a numeric factor takes."""
    reach = np.array([sizes[each].sum() for each in below], np.float64)
    return float(sum(((reach + k) * (reach + k + 1) / 2 * (sizes > k)).sum() for k in range(int(sizes.max(initial=0)))))


def _positions(
    pairs: Index, place: Index, block_of: Index, begin: Index, sizes: Index, order: Index, pattern: Pattern,
) -> dict[str, Index]:
    """Return both blocks of each pair, the later node first, and the entry of every (effect, effect)."""
    later = np.where(place[pairs[:, 0]] >= place[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    earlier = pairs.sum(axis=1) - later
    height, width = sizes[later].astype(np.int64), sizes[earlier].astype(np.int64)
    first = np.concatenate([[0], np.cumsum(height * width)]).astype(np.int64)
    within = np.arange(first[-1]) - np.repeat(first[:-1], height * width)
    wide = np.repeat(width, height * width)
    row = np.repeat(begin[place[later]], height * width) + within // np.maximum(wide, 1)
    column = np.repeat(begin[place[earlier]], height * width) + within % np.maximum(wide, 1)
    del order
    return {
        "pair_row": block_of[later], "pair_column": block_of[earlier], "pair_first": first[:-1],
        "pair_begin": np.stack([begin[place[later]], begin[place[earlier]]], axis=1).reshape(-1, 2),
        "position": entry(pattern, np.maximum(row, column), np.minimum(row, column)),
    }


def _bands(bands: Sequence[_Band], first: Index, pattern: Pattern, blocks: Sequence[Placed]) -> dict[str, Array]:
    """Spread the entries of K over the effects of each node, in the order of elimination."""
    rows, columns, values, kinds, rhos = [], [], [], [], []
    for band, placed in zip(bands, blocks, strict=True):
        effects = np.arange(len(placed.block.effects))
        rows.append((first[band.row][:, None] + effects).ravel())
        columns.append((first[band.column][:, None] + effects).ravel())
        values.append(np.repeat(band.value, len(effects)))
        kinds.append(np.repeat(band.kind, len(effects)))
        rhos.append(np.full(len(rows[-1]), placed.rho[0] if placed.rho.size else -1))
    if not blocks:
        rows, columns, values, kinds, rhos = [[np.zeros(0, np.int64)] for _ in range(5)]
    a, b = np.concatenate(rows), np.concatenate(columns)
    row, column = np.maximum(a, b), np.minimum(a, b)
    regressions = [each for each in blocks if each.rho.size]
    return {
        "band_row": row, "band_column": column, "band_entry": entry(pattern, row, column),
        "band_value": np.concatenate(values).astype(np.float64), "band_kind": np.concatenate(kinds).astype(np.int64),
        "band_theta": np.concatenate(rhos).astype(np.int64),
        "rho_theta": np.array([each.rho[0] for each in regressions], np.int64),
        "rho_steps": np.array([_steps(each.block) for each in regressions], np.float64),
    }


def _steps(block: Block) -> int:
    assert block.path is not None
    return block.path.paths * (block.path.nodes - 1)


def _shear(placed: Sequence[Placed], core: Sequence[Core]) -> dict[str, Array]:
    """Return what intercepts and straight lines take up of the walks."""
    entries: list[tuple[Index, Index, Index, Array]] = []
    for each in placed:
        path = each.block.path
        if path is None or path.order == 0:
            continue
        predictor = each.predictor
        assert each.sparse is not None
        t = np.arange(path.nodes, dtype=np.float64) - (path.nodes - 1) / 2
        share = np.full(path.nodes, 1.0 / path.nodes)
        if path.order == 2:
            length = float(np.sqrt((t**2).sum()))
            j = predictor.coef.index(path.line)
            line, scale = t / length, column_scale(predictor)[j]
            number = next(i for i, c in enumerate(core) if _is_coefficient(c, predictor, j))
            centre = 0.0 if _uncentred(core, predictor) else predictor.centre[j]
            share = share + line * (path.size * centre + path.middle - (path.nodes - 1) / 2) / length
            entries.append(_entries(number, each, line * path.size / length * scale / core[number].sd))
        number = next(i for i, c in enumerate(core) if c.variable in (predictor.name("Intercept"), predictor.name("Intercept_centered")))
        entries.append(_entries(number, each, share / core[number].sd))
    parts = zip(*entries, strict=True) if entries else ([np.zeros(0, np.int64)],) * 3 + ([np.zeros(0)],)
    return dict(zip(("shear_core", "shear_theta", "shear_place", "shear_value"), map(np.concatenate, parts), strict=True))


def _entries(core: int, placed: Placed, values: Array) -> tuple[Index, Index, Index, Array]:
    assert placed.sparse is not None
    place = placed.sparse[:, 0]
    live = place >= 0
    count = int(live.sum())
    return np.full(count, core), np.full(count, placed.sd[0]), place[live], values[live]


def _uncentred(core: Sequence[Core], predictor: Predictor) -> bool:
    return any(each.variable == predictor.name("Intercept") for each in core)


def _is_coefficient(core: Core, predictor: Predictor, j: int) -> bool:
    return core.variable.startswith(predictor.name("beta_scaled")) and core.coefficient == j
