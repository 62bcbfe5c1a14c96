"""Saving: a fitted mixture to one sealed file and back, and its export for the scorer; no row and no code is in either.

The file is an archive with a manifest in JSON and the arrays in netCDF. Components and the weights' prior are saved by name:
nothing in a file is executed.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from bayesglm.data.schema import Schema
from bayesglm.errors import OptionError, StorageError, suggestion
from bayesglm.mixtures.ascent import Block, Climb, Posterior, Problem
from bayesglm.mixtures.columns import PACKAGE, Part
from bayesglm.mixtures.component import Array, Component, Layout, Params
from bayesglm.mixtures.expectation import Rows
from bayesglm.mixtures.fitted import FittedMixture
from bayesglm.mixtures.identity import Change, Identity, Refresh
from bayesglm.mixtures.projection import Projection
from bayesglm.mixtures.sampled import Sampled
from bayesglm.mixtures.scorer import FORMAT as SCORER
from bayesglm.mixtures.scorer.transforms import TRANSFORMS, Transform, has_name, transform
from bayesglm.mixtures.search import Found
from bayesglm.mixtures.weights import WEIGHTS
from bayesglm.registry import discover
from bayesglm.storage.archive import MANIFEST, read_archive, write_archive
from bayesglm.storage.arrays import Variable, pack, tree_of, unpack, variables_of
from bayesglm.storage.plain import dumps, loads
from bayesglm.versions import installed_versions

FORMAT = "bayesglm mixture"
FORMAT_VERSION = 2
ARRAYS = "arrays.nc"
_WRONG = "Give a file that MixtureFit.save wrote."
_POSTERIOR = ("counts", "natural", "sums", "kept")
_SAMPLED = "sampled "  # in front of the groups of draws
_PROJECTED = ("center", "scale", "loadings", "sd")
_OF_SCORES = ("center", "scale", "loadings", "sd", "explained")
_OF_DRAWS = ("engine", "relabelled", "k_hat", "reliable", "seconds")

Manifest = Mapping[str, Any]


def save(fit: FittedMixture, path: str | os.PathLike[str]) -> None:
    """Write a fitted mixture to one file.

    No row is in it: of the columns it holds names, levels, ranges and scales.

    Parameters
    ----------
    fit : FittedMixture
        The fit.
    path : path
        The file; one that is there is replaced, at once or not at all.

    Raises
    ------
    StorageError
        The path is a folder, or in no folder.
    """
    posterior, climb = fit.posterior, fit.found.climb
    variables = [*(_variable("posterior", name, getattr(posterior, name)) for name in _POSTERIOR),
                 *_variables("weights", posterior.weights), _variable("climb", "bounds", np.array(climb.bounds))]
    for place, (block, params) in enumerate(zip(fit.priors.blocks, posterior.params, strict=True)):
        variables += [*_variables(f"prior_{place}", block.prior), *_variables(f"params_{place}", params)]
    if fit.projection is not None:
        variables += [_variable("projection", name, getattr(fit.projection, name)) for name in _OF_SCORES]
    if fit.sampled is not None:
        variables += [replace(each, group=_SAMPLED + each.group) for each in variables_of(fit.sampled.tree)]
    content, records = pack(variables)
    manifest = {
        "format": FORMAT, "format_version": FORMAT_VERSION, "version": installed_versions()["bayesglm"],
        "seed": fit.seed, "schema": fit.schema.to_dict(), "divergence": posterior.divergence,
        "weights": fit.prior.name, "concentration": fit.priors.concentration, "limit": fit.priors.limit,
        "converged": climb.converged, "ends": {name: list(end) for name, end in fit.found.ends.items()},
        "subsample": fit.found.subsample, "identity": _identity_document(fit.identity),
        "parts": [_part_document(part, block) for part, block in zip(fit.parts, fit.priors.blocks, strict=True)],
        "sampled": None if fit.sampled is None else {name: getattr(fit.sampled, name) for name in _OF_DRAWS},
        "projection": None if fit.projection is None else {
            "columns": fit.projection.columns, "transforms": _names(fit.projection.by_column)},
        "arrays": records,
    }
    write_archive(Path(path), {MANIFEST: dumps(manifest).encode("ascii"), ARRAYS: content})


def _variable(group: str, name: str, values: Array) -> Variable:
    values = np.asarray(values)
    return Variable(group, name, tuple(f"{name}_axis_{axis}" for axis in range(values.ndim)), values)


def _variables(group: str, params: Params) -> list[Variable]:
    return [_variable(group, name, values) for name, values in params.items()]


def _part_document(part: Part, block: Block) -> dict[str, Any]:
    layout = {each.name: getattr(part.layout, each.name) for each in fields(Layout)}
    layout["transforms"] = _names(dict(zip(part.layout.names, part.layout.transforms, strict=True)))
    return {"component": part.component.name, "layout": layout, "levels": block.levels, "width": block.width}


def _identity_document(identity: Identity) -> dict[str, Any]:
    """Return plain values; JSON has texts for keys, so mappings by id are lists of pairs."""
    return {"ids": identity.ids, "last": identity.last, "changes": [asdict(each) for each in identity.changes],
            "refreshes": [asdict(each) for each in identity.refreshes],
            **{name: sorted(getattr(identity, name).items()) for name in ("names", "runbooks", "below")}}


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the fields of the fit that `save` wrote.

    Raises
    ------
    StorageError
        The file is damaged, foreign or from a newer version, or names a component that is not known here.
    """
    place = Path(path)
    members = read_archive(place)
    try:
        manifest = loads(members[MANIFEST].decode("ascii"))
        if (manifest["format"], manifest["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise StorageError(f"{place} is of the format {manifest['format']!r}, version {manifest['format_version']}",
                               value=manifest["format"], rule=f"this reads {FORMAT!r}, version {FORMAT_VERSION}",
                               fix=f"{_WRONG} Or upgrade bayesglm.")
        return _fields(manifest, unpack(members[ARRAYS], manifest["arrays"]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError, RuntimeError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{place} has no readable mixture in it ({error})", value=str(error),
                           rule="a saved mixture holds what MixtureFit.save writes", fix=_WRONG) from error


def _fields(manifest: Manifest, variables: Sequence[Variable]) -> dict[str, Any]:
    held: dict[str, dict[str, Array]] = {}
    for each in variables:
        held.setdefault(each.group, {})[each.name] = each.values
    parts = tuple(_part(each) for each in manifest["parts"])
    blocks = tuple(Block(part.component, held[f"prior_{place}"], each["levels"], each["width"])
                   for place, (part, each) in enumerate(zip(parts, manifest["parts"], strict=True)))
    prior = WEIGHTS[manifest["weights"]]
    posterior = Posterior(
        params=tuple(held[f"params_{place}"] for place in range(len(parts))), weights=held["weights"],
        divergence=manifest["divergence"], **{name: held["posterior"][name] for name in _POSTERIOR})
    climb = Climb(posterior, tuple(held["climb"]["bounds"].tolist()), manifest["converged"])
    ends = {name: (int(size), float(bound)) for name, (size, bound) in manifest["ends"].items()}
    return {
        "schema": Schema.from_dict(manifest["schema"]), "parts": parts, "prior": prior,
        "found": Found(climb, ends, manifest["subsample"]), "seed": manifest["seed"],
        "priors": Problem(blocks, prior, manifest["concentration"], manifest["limit"], Rows(np.empty((0, 1))), 0.0),
        "identity": _identity(manifest["identity"]), "sampled": _sampled(manifest["sampled"], variables),
        "projection": _projection(manifest["projection"], held.get("projection", {})),
    }


def _projection(saved: Manifest | None, arrays: Mapping[str, Array]) -> Projection | None:
    if saved is None:
        return None
    transforms = tuple(map(_transform, saved["transforms"]))
    return Projection(tuple(saved["columns"]), transforms, **{name: arrays[name] for name in _OF_SCORES})


def _sampled(saved: Manifest | None, variables: Sequence[Variable]) -> Sampled | None:
    if saved is None:
        return None
    drawn = [replace(each, group=each.group.removeprefix(_SAMPLED)) for each in variables if each.group.startswith(_SAMPLED)]
    return Sampled(tree_of(drawn, {}), **{name: saved[name] for name in _OF_DRAWS})


def _part(saved: Manifest) -> Part:
    members = discover(PACKAGE, Component).values()
    known = {each.name: each for member in members for each in (member, member.missing) if each is not None}
    name = saved["component"]
    if name not in known:
        raise StorageError(f"the component {name!r} is not known here", value=name,
                           rule="a saved mixture names its components and never holds their code",
                           fix=f"{suggestion(name, known)} Upgrade bayesglm.")
    return Part(known[name], _layout(saved["layout"]))


def _names(transforms: Mapping[str, Transform]) -> list[str]:
    """Return the names of transforms that are found by them again."""
    for column, how in transforms.items():
        if not has_name(how):
            raise OptionError(f"a transform of your own, {how.name!r}", column=column, value=how.name,
                              rule="transforms are saved by name, never as code",
                              fix=f"Give one of {', '.join(TRANSFORMS)} or 'power:0.25'.")
    return [how.name for how in transforms.values()]


def _transform(name: str) -> Transform:
    try:
        return transform(name)
    except (KeyError, ValueError):
        raise StorageError(f"the transform {name!r} is not known here", value=name,
                           rule="a saved mixture names its transforms and never holds their code",
                           fix=f"{suggestion(name, TRANSFORMS)} Upgrade bayesglm.") from None


def _layout(saved: Manifest) -> Layout:
    """Return a layout: texts as tuples, numbers as arrays."""
    made = {}
    for each in fields(Layout):
        value = saved[each.name]
        if each.type == "tuple[Transform, ...]":
            value = tuple(map(_transform, value))
        elif each.type == "tuple[str, ...]":
            value = tuple(value)
        elif each.type != "bool":
            value = np.array(value, np.float64)
        made[each.name] = value
    return Layout(**made)


def _identity(saved: Manifest) -> Identity:
    return Identity(
        ids=tuple(saved["ids"]), last=saved["last"], changes=tuple(Change(**each) for each in saved["changes"]),
        refreshes=tuple(Refresh(**each) for each in saved["refreshes"]),
        **{name: {int(own): value for own, value in saved[name]} for name in ("names", "runbooks", "below")})


def export(fit: FittedMixture, path: str | os.PathLike[str]) -> None:
    """Write what `scorer.Scorer` needs to one ``npz`` file: weights, means, Cholesky factors, scales and levels.

    Parameters
    ----------
    fit : FittedMixture
        The fit.
    path : path
        The file, replaced if it is there.

    Raises
    ------
    OptionError
        A component whose density the scorer has no form for, or a transform of your own.
    """
    blocks, arrays, projection = [], {"log_weights": np.log(fit.weights)}, None
    if fit.projection is not None:
        arrays |= {f"projection_{name}": getattr(fit.projection, name) for name in _PROJECTED}
        projection = {"columns": fit.projection.columns, "transforms": _names(fit.projection.by_column), "arrays": _PROJECTED}
    for place, (part, params) in enumerate(zip(fit.parts, fit.posterior.params, strict=True)):
        component, layout = part.component, part.layout
        if component.exported is None:
            raise OptionError(f"a {component.name} component", column=layout.names[0], value=component.name,
                              rule="it has no form that the scorer knows (exported=)", fix="Score with MixtureFit.score.")
        form, held = component.exported(params, layout)
        arrays |= {f"{place}_{name}": values for name, values in held.items()}
        blocks.append({"form": form, "arrays": list(held), "names": layout.names, "levels": layout.levels,
                       "transforms": _names(dict(zip(layout.names, layout.transforms, strict=True))),
                       "center": layout.center.tolist(), "scale": layout.scale.tolist(), "missing": layout.missing,
                       "exposure": layout.exposure, "exposure_unit": layout.exposure_unit.tolist()})
    about = {"format": SCORER, "columns": fit.columns, "ids": fit.ids, "blocks": blocks, "projection": projection}
    content = io.BytesIO()
    np.savez(content, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    try:
        Path(path).write_bytes(content.getvalue())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}", value=str(path),
                           rule="the folder must take a new file", fix="Choose another folder.") from error
