"""Save and load: a fit to one file and back.

Keys of the manifest: ``format`` and ``format_version`` of the file; ``version`` and ``saved_with``, the software that
wrote it; ``content``, a SHA-256 that changes if and only if the fit does, and ``members``, one for each other member
of the archive; ``created``, ``engine``, ``seed``, ``settings``, ``versions`` and the like, how the fit was made;
``data_fingerprint`` and ``time_range`` of its data; ``metrics`` of its draws; and the model: ``schema``, ``audit``,
``specification``. ``data`` is null, or what the data's arrays do not say; ``arrays``, where each lies in
``draws.nc``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bayesglm.data.audit import Audit
from bayesglm.data.schema import Schema
from bayesglm.engines.verdict import Verdict
from bayesglm.errors import StorageError
from bayesglm.families.family import Family
from bayesglm.fitted import Fitted
from bayesglm.newdata import predictor_columns
from bayesglm.storage.archive import MANIFEST, read_archive, write_archive
from bayesglm.storage.arrays import Variable, attributes_of, digest, pack, tree_of, unpack, variables_of
from bayesglm.storage.document import read_specification, specification_document
from bayesglm.storage.plain import dumps, loads, plain
from bayesglm.storage.problem import GROUPS, problem_document, problem_variables, read_problem
from bayesglm.storage.withheld import withhold
from bayesglm.summary import diagnostics, line_draws, lines
from bayesglm.versions import installed_versions

FORMAT = "bayesglm fit"
FORMAT_VERSION = 1
DRAWS = "draws.nc"
# Groups of the draws that hold no data; only these are in a file without data.
LEARNT = ("posterior", "sample_stats")
_RUN = ("engine", "exact", "kind", "settings", "seed", "seconds", "complete", "notes", "modes", "versions", "created")
_CONTENT = (*_RUN, "verdict", "schema", "audit", "specification", "data", "attributes")

Manifest = dict[str, Any]


def save(fitted: Fitted, path: str | os.PathLike[str], *, data: bool = False) -> None:
    """Write a fit to one file.

    Without data, neither the response, the exposure, the trials nor the labels of a single row are in the file, and
    of the other columns only what predictions need: levels and ranges of the columns that the formulas read, knots,
    means and scales. **The levels of groups and factors are names of effects and stay in the file**, and so do the
    levels of a categorical response.

    Parameters
    ----------
    fitted : Fitted
        The fit.
    path : path
        The file; one that is there is replaced, at once or not at all.
    data : bool
        Whether to put the data in, so that checks and plots of the fitted rows work after `load`.

    Raises
    ------
    StorageError
        The path is a folder, or in no folder.
    OptionError
        ``data=True`` for a fit that was itself saved without its data.

    Examples
    --------
    >>> save(fit, "incidents.bglm")  # doctest: +SKIP
    >>> load("incidents.bglm").notes  # doctest: +SKIP
    ()
    """
    kept = None if data else LEARNT
    variables = variables_of(fitted.draws, kept) + (problem_variables(fitted.data()) if data else [])
    content, records = pack(variables)
    about = {**_about(fitted, data=data), "attributes": attributes_of(fitted.draws, kept)}
    manifest = {
        "format": FORMAT, "format_version": FORMAT_VERSION, "version": installed_versions()["bayesglm"],
        "content": _content_hash(about, variables),
        "members": {DRAWS: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}},
        "data_fingerprint": fitted.audit.fingerprint, "time_range": fitted.audit.time_range,
        "metrics": _metrics(fitted), **about, "saved_with": installed_versions(), "arrays": records,
    }
    write_archive(Path(path), {MANIFEST: dumps(manifest).encode("ascii"), DRAWS: content})


def _about(fitted: Fitted, *, data: bool) -> Manifest:
    schema, audit = fitted.schema, fitted.audit
    if not data:
        schema, audit = withhold(schema, audit, fitted.specification.roles, predictor_columns(fitted))
    return {
        **{name: plain(getattr(fitted, name)) for name in _RUN},
        "verdict": None if fitted.verdict is None else plain(fitted.verdict.to_dict()),
        "schema": schema.to_dict(), "audit": audit.to_dict(),
        "specification": specification_document(fitted.specification),
        "data": problem_document(fitted.data()) if data else None,
    }


def _content_hash(about: Mapping[str, Any], variables: Sequence[Variable]) -> str:
    """Return the SHA-256 of a fit, whatever software wrote it and where its arrays lie."""
    text = dumps([[about[name] for name in _CONTENT], digest(variables)])
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _metrics(fitted: Fitted) -> dict[str, float | int | None]:
    """Return how well the coefficients, scales and constants are known: the worst of each."""
    found = [diagnostics(line_draws(fitted, line)) for line in lines(fitted) if line.convert is None and fitted.exact]
    chains, draws = fitted.shape
    stats: Mapping[str, Any] = fitted.draws.children.get("sample_stats", {})
    return {
        "chains": chains, "draws": draws,
        "divergences": int(stats["diverging"].sum()) if "diverging" in stats else None,
        "r_hat_max": _worst([each["r_hat"] for each in found], largest=True),
        "ess_bulk_min": _worst([each["ess_bulk"] for each in found], largest=False),
        "ess_tail_min": _worst([each["ess_tail"] for each in found], largest=False),
    }


def _worst(values: Sequence[float], *, largest: bool) -> float | None:
    known = np.array([value for value in values if np.isfinite(value)])
    return None if known.size == 0 else float(known.max() if largest else known.min())


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Return what a file says of its fit, without the draws.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    StorageError
        The file is damaged, foreign, or from a newer version.

    Examples
    --------
    >>> read_manifest("incidents.bglm")["metrics"]["r_hat_max"]  # doctest: +SKIP
    1.003
    """
    return _manifest(Path(path), read_archive(Path(path), only=MANIFEST)[MANIFEST])


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        manifest = loads(content.decode("ascii"))
        name, version = manifest["format"], manifest["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_fit(path, error) from error
    if name != FORMAT:
        raise StorageError(f"{path} is of the format {name!r}", value=name,
                           rule=f"a saved fit is of the format {FORMAT!r}", fix="Give a file that Fit.save wrote.")
    if version != FORMAT_VERSION:
        raise StorageError(f"{path} is of format version {version}, written by bayesglm {manifest.get('version')}",
                           value=version, rule=f"this bayesglm reads format version {FORMAT_VERSION}",
                           fix="Upgrade bayesglm: pip install --upgrade bayesglm.")
    return dict(manifest)


def load(path: str | os.PathLike[str], *, family: Family | None = None) -> Fitted:
    """Read a fit that `save` wrote; nothing in the file is ever executed.

    Parameters
    ----------
    path : path
        The file.
    family : Family, optional
        The family record, for a fit made with one of your own: the file holds its name and no code.

    Returns
    -------
    Fitted
        The same draws and predictions; ``problem`` is None if it was saved without data. A note says if the libraries
        are others than those of the fit.

    Raises
    ------
    StorageError
        The file is damaged, foreign or from a newer version, or needs a family, prior or term that is not known here.
    """
    place = Path(path)
    members = read_archive(place)
    if MANIFEST not in members:
        raise _no_fit(place, f"no {MANIFEST}")
    manifest = _manifest(place, members[MANIFEST])
    try:
        _check_members(place, members, manifest)
        return _fitted(place, manifest, unpack(members[DRAWS], manifest["arrays"]), family)
    except StorageError as error:
        if str(place) in error.problem:
            raise
        raise StorageError(f"{place}: {error.problem}", value=error.value, rule=error.rule, fix=error.fix) from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError, RuntimeError) as error:
        raise _no_fit(place, error) from error


def _no_fit(path: Path, reason: object) -> StorageError:
    return StorageError(f"{path} has no readable fit in it ({reason})", value=str(reason),
                        rule="a saved fit holds what Fit.save writes", fix="Save the fit again, or upgrade bayesglm.")


def _check_members(path: Path, members: Mapping[str, bytes], manifest: Manifest) -> None:
    listed = manifest["members"]
    if set(members) != {MANIFEST, *listed} or DRAWS not in listed:
        raise StorageError(f"{path} holds the members {', '.join(sorted(members))}", value=sorted(members),
                           rule=f"its manifest lists {', '.join(sorted({MANIFEST, *listed}))}",
                           fix="Save the fit again.")
    for name, about in listed.items():
        found = {"sha256": hashlib.sha256(members[name]).hexdigest(), "bytes": len(members[name])}
        if found != about:
            raise StorageError(f"{path} has another {name} than its manifest says", value=found["sha256"],
                               rule=f"{name} has {about['bytes']} bytes and the SHA-256 {about['sha256'][:12]}...",
                               fix="Take the file from a backup, or save the fit again.")


def _fitted(path: Path, manifest: Manifest, variables: Sequence[Variable], family: Family | None) -> Fitted:
    if _content_hash(manifest, variables) != manifest["content"]:
        raise StorageError(f"{path} does not hold the fit that was saved", value=manifest["content"],
                           rule="the content has the SHA-256 in the manifest", fix="Save the fit again.")
    specification = read_specification(manifest["specification"], family)
    rows = [each for each in variables if each.group in GROUPS]
    draws = tree_of([each for each in variables if each.group not in GROUPS], manifest["attributes"])
    fitted = Fitted(
        specification=specification, draws=draws, schema=Schema.from_dict(manifest["schema"]),
        audit=Audit.from_dict(manifest["audit"]),
        problem=None if manifest["data"] is None else read_problem(manifest["data"], rows, specification),
        verdict=None if manifest["verdict"] is None else Verdict.from_dict(manifest["verdict"]),
        **{name: manifest[name] for name in _RUN},
    )
    return replace(fitted, notes=_notes(fitted))


def _notes(fitted: Fitted) -> tuple[str, ...]:
    """Return the notes of the fit, with one on libraries whose version is another here."""
    here = installed_versions()
    others = [name for name, version in fitted.versions.items() if name in here and here[name] != version]
    notes = tuple(fitted.notes)
    if others:
        then, now = (", ".join(f"{name} {each[name]}" for name in others) for each in (fitted.versions, here))
        note = f"fitted with {then}; read with {now}"
        notes += () if note in notes else (note,)
    return notes
