"""Prepared workloads: the table as a Parquet file, and the model as plain arrays and numbers, for programs that are not ours.

A peer reads `Ingredients` and writes its model from them without importing this package, so that its time is its own and its
priors are the very numbers of ours. Written by `prepare` before anything is timed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from bayesglm.design import CodedPredictor, Predictor
    from bayesglm.specification import PredictorPriors, Specification
    from bayesglm.terms.term import Basis, Block

Numbers = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GroupOrWalk:
    """A block of the linear predictor: effects of a group's levels, or the nodes of a random walk.

    Attributes
    ----------
    name, sd : str
        Its name, and that of its standard deviations.
    role : str
        ``group`` or ``walk``.
    levels : int
        Levels, or nodes.
    effects : tuple of str
        ``Intercept``, or the coefficient whose column it multiplies.
    priors : tuple of mapping
        Prior of each effect's standard deviation.
    """

    name: str
    sd: str
    role: str
    levels: int
    effects: tuple[str, ...]
    priors: tuple[Numbers, ...]


@dataclass(frozen=True, slots=True)
class LinearPredictor:
    """A linear predictor as numbers.

    Attributes
    ----------
    parameter, prefix, link : str
        What it predicts, how its variables are called, through which link.
    intercept : mapping
        Prior of the intercept at the predictors' means.
    coef : tuple of str
        Names of the columns.
    centre, scale : tuple of float
        Mean and sd of each column.
    priors : tuple of mapping
        Prior of each coefficient per unit of its column; a horseshoe's is per sd.
    blocks : tuple of GroupOrWalk
        Groups and walks.
    """

    parameter: str
    prefix: str
    link: str
    intercept: Numbers
    coef: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    priors: tuple[Numbers, ...]
    blocks: tuple[GroupOrWalk, ...]


@dataclass(frozen=True, slots=True)
class Ingredients:
    """A model without the program that it came from.

    Attributes
    ----------
    family, response : str
        The family and the response column.
    predictors : tuple of LinearPredictor
        The mean's first.
    constants : mapping
        Prior of each parameter without a formula.
    counted : tuple of str
        The variables whose effective sample size counts: intercepts, coefficients, standard deviations, dispersion.
    arrays : mapping
        ``y``, ``log_exposure`` and, for each predictor, ``<prefix>X`` (row, coef) in original units, ``<prefix><block>_index``
        and ``<prefix><block>_values`` (row, effect).
    """

    family: str
    response: str
    predictors: tuple[LinearPredictor, ...]
    constants: Mapping[str, Numbers]
    counted: tuple[str, ...]
    arrays: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write everything to one ``.npz`` file."""
        plain = {key: value for key, value in asdict(self).items() if key != "arrays"}
        np.savez(path, allow_pickle=False, __plain__=np.array(json.dumps(plain)), **self.arrays)

    @classmethod
    def load(cls, path: Path) -> Ingredients:
        """Read what `save` wrote."""
        with np.load(path) as file:
            plain = json.loads(str(file["__plain__"]))
            arrays = {name: file[name] for name in file.files if name != "__plain__"}
        predictors = tuple(
            LinearPredictor(**{**each, "blocks": tuple(GroupOrWalk(**{**block, "effects": tuple(block["effects"])})
                                                       for block in each["blocks"])})
            for each in plain["predictors"]
        )
        return cls(**{**plain, "predictors": predictors, "counted": tuple(plain["counted"])}, arrays=arrays)


def ingredients(workload_model: Any) -> Ingredients:
    """Take a `bayesglm.Model` apart.

    Raises
    ------
    ValueError
        Correlated group effects, smooths, or a prior on the intercept at zero: no peer's model is written for them.
    """
    from bayesglm.model import likelihood_units

    problem = workload_model.problem
    specification, units = problem.specification, likelihood_units(problem, "obs")
    arrays: dict[str, np.ndarray[Any, Any]] = {"y": units.response}
    if units.exposure is not None:
        arrays["log_exposure"] = np.log(units.exposure)
    predictors = []
    for each in specification.predictors:
        coded = each.code(problem.patterns.table)
        predictors.append(_predictor(each, specification.priors.predictors[each.parameter]))
        arrays.update(_arrays(each, coded, units.pattern))
    constants = {name: prior.to_dict() for name, prior in specification.priors.constants.items()}
    return Ingredients(specification.family.name, specification.roles.response, tuple(predictors), constants,
                       counted(specification), arrays)


def counted(specification: Specification) -> tuple[str, ...]:
    """Return the variables whose effective sample size counts: all but effects of single levels and nodes."""
    names: list[str] = []
    for each in specification.predictors:
        names += [each.name("Intercept")] * each.intercept + [each.name("beta")] * bool(each.coef)
        names += [each.name(hyper.name) for block in each.blocks for hyper in block.hyperparameters]
    return (*names, *specification.priors.constants)


def _predictor(predictor: Predictor, priors: PredictorPriors) -> LinearPredictor:
    if priors.intercept is None or priors.uncentred:
        raise ValueError(f"{predictor.formula}: peers' models need an intercept with its default prior")
    return LinearPredictor(
        predictor.parameter, predictor.prefix, predictor.link, priors.intercept.to_dict(), predictor.coef,
        tuple(predictor.centre.tolist()), tuple(predictor.scale.tolist()), tuple(each.to_dict() for each in priors.coef),
        tuple(_block(block, priors) for block in predictor.blocks),
    )


def _block(block: Block, priors: PredictorPriors) -> GroupOrWalk:
    if [each.key for each in block.hyperparameters] != ["sd"] or block.role not in ("group", "walk"):
        raise ValueError(f"{block.name}: peers' models are written for uncorrelated groups and random walks")
    (sd,) = block.hyperparameters
    return GroupOrWalk(block.name, sd.name, block.role, len(block.levels), block.effects,
                       tuple(each.to_dict() for each in priors.hyper[sd.name]))


def _arrays(
    predictor: Predictor, coded: CodedPredictor, pattern: np.ndarray[Any, Any],
) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {predictor.name("X"): coded.common[pattern]} if predictor.coef else {}
    for block, basis in zip(predictor.blocks, coded.bases, strict=True):
        arrays.update(_basis(predictor.name(block.name), basis, pattern))
    return arrays


def _basis(name: str, basis: Basis, pattern: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {f"{name}_index": basis.index[pattern], f"{name}_values": basis.values[pattern]}


def prepare(name: str, directory: Path) -> Path:
    """Write the table and the ingredients of a workload, unless they are there, and return their folder."""
    folder = directory / name
    if not (folder / "ingredients.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        workload = WORKLOADS[name]
        table = workload.table()
        table.to_parquet(folder / "table.parquet", index=False)
        ingredients(workload.model(table)).save(folder / "ingredients.npz")
    return folder
