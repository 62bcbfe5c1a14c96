"""Arrays: the draws, and the data where asked, as one netCDF file and back, bit by bit.

netCDF and HDF5 know neither every name (a slash parts folders) nor every dtype. So the manifest keeps a record of
each array: its true name, dims and dtype, and where it lies. Plain names stay: any netCDF reader finds
``posterior/beta``.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.errors import StorageError
from bayesglm.storage.plain import dumps, plain

Values = NDArray[Any]
Record = Mapping[str, Any]
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_NUMBERS = frozenset(("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"))
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_STRING = "string"
_KINDS = {"number": "iuf", "truth": "b", "time": "mM", "text": "OUT", "json": "OUT"}
_FOREIGN = "Give a file that Fit.save wrote."


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """One array with its name.

    Attributes
    ----------
    group, name : str
        Where it belongs: ``posterior``, ``beta``.
    dims : tuple of str
        Its dimensions.
    values : array
        Numbers, booleans, texts or times.
    coord : bool
        Whether it labels its dimensions.
    attrs : mapping
        What is said of it.
    """

    group: str
    name: str
    dims: tuple[str, ...]
    values: Values
    coord: bool = False
    attrs: Mapping[str, Any] = field(default_factory=dict)


def variables_of(tree: xr.DataTree, groups: Collection[str] | None = None) -> list[Variable]:
    """Return the arrays of a tree, of all its groups or of some."""
    found = []
    for node in tree.subtree:
        group, dataset = node.path.strip("/"), node.to_dataset()
        if groups is None or group in groups:
            found += [Variable(group, str(name), tuple(map(str, each.dims)), each.to_numpy(), name in dataset.coords,
                               _attributes(each.attrs)) for name, each in dataset.variables.items()]
    return found


def attributes_of(tree: xr.DataTree, groups: Collection[str] | None = None) -> dict[str, Any]:
    """Return what is said of each group."""
    named = {node.path.strip("/"): node.attrs for node in tree.subtree}
    kept = {group: attrs for group, attrs in named.items() if attrs and (groups is None or group in groups)}
    return {group: _attributes(attrs) for group, attrs in kept.items()}


def _attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    kept = {}
    for key, value in attrs.items():
        try:
            kept[str(key)] = plain(value)
        except StorageError:
            kept[str(key)] = str(value)
    return kept


def tree_of(variables: Sequence[Variable], attributes: Mapping[str, Any]) -> xr.DataTree:
    """Return the tree that `variables_of` and `attributes_of` read."""
    groups: dict[str, list[Variable]] = {}
    for each in variables:
        groups.setdefault(each.group, []).append(each)
    return xr.DataTree.from_dict({
        f"/{group}": xr.Dataset(_labelled(members, coord=False), _labelled(members, coord=True), attributes.get(group))
        for group, members in groups.items()
    })


def _labelled(members: Sequence[Variable], *, coord: bool) -> dict[str, xr.Variable]:
    return {each.name: xr.Variable(each.dims, each.values, dict(each.attrs)) for each in members if each.coord == coord}


def digest(variables: Sequence[Variable]) -> str:
    """Return the SHA-256 of names, dims, dtypes and values."""
    total = hashlib.sha256()
    for each in variables:
        form, stored = _encoded(each)
        head = [each.group, each.name, each.dims, each.values.shape, _dtype_name(each.values.dtype), each.coord]
        total.update(dumps(head).encode())
        total.update(dumps(each.values.tolist()).encode() if form in ("text", "json") else stored.tobytes())
    return total.hexdigest()


def _dtype_name(dtype: np.dtype[Any]) -> str:
    return _STRING if isinstance(dtype, np.dtypes.StringDType) else dtype.newbyteorder("<").str


def _encoded(variable: Variable) -> tuple[str, Values]:
    """Return (form, what netCDF can hold)."""
    values, kind = variable.values, variable.values.dtype.kind
    if kind == "b":
        return "truth", values.astype("i1")
    if kind in "mM":
        return "time", np.asarray(values.astype(values.dtype.newbyteorder("<")), order="C").view("<i8")
    if values.dtype.str[1:] in _NUMBERS:
        return "number", np.asarray(values, dtype=values.dtype.newbyteorder("<"), order="C")
    texts = values.ravel().tolist()
    strange = [text for text in texts if not isinstance(text, str)]
    if strange or kind not in "OUT":
        raise StorageError(f"values such as {strange[:1]} of dtype {values.dtype}", column=variable.name, value=strange[:1],
                           rule="a saved array holds real numbers, booleans, times or texts", fix="Convert it first.")
    form = "text" if _holdable("".join(texts)) else "json"
    stored = np.empty(values.shape, dtype=object)
    stored.ravel()[:] = texts if form == "text" else [json.dumps(text) for text in texts]
    return form, stored


def _holdable(text: str) -> bool:
    """Whether netCDF can hold a text: UTF-8 without NUL."""
    return "\0" not in text and not re.search("[\ud800-\udfff]", text)


def pack(variables: Sequence[Variable]) -> tuple[bytes, list[dict[str, Any]]]:
    """Return the netCDF file of some arrays, and the record of each."""
    import h5netcdf

    names = _stored_names(variables)
    records, file = [], io.BytesIO()
    with h5netcdf.File(file, "w") as root:
        for each in variables:
            form, stored = _encoded(each)
            at = None
            if stored.size:
                home = names[each.group]
                group = root[home] if home in root.groups else root.create_group(home)
                at = [home, _written(group, each, tuple(names[dim] for dim in each.dims), form, stored, names)]
            records.append({"group": each.group, "name": each.name, "dims": each.dims, "shape": each.values.shape,
                            "dtype": _dtype_name(each.values.dtype), "form": form, "at": at, "coord": each.coord,
                            "attrs": dict(each.attrs)})
    return file.getvalue(), records


def _written(
    group: Any, variable: Variable, dims: tuple[str, ...], form: str, stored: Values, names: Mapping[str, str],
) -> str:
    """Write one array; returns its name in the file."""
    import h5py

    for dim, size in zip(dims, stored.shape, strict=True):
        if dim not in group.dimensions:
            group.dimensions[dim] = size
    name = names[variable.name]
    if name in group.dimensions and dims != (name,):
        name = _unused(set(names.values()) | set(group.variables) | set(group.dimensions))
    if stored.dtype == object:
        written = group.create_variable(name, dims, h5py.string_dtype())
        written[...] = stored
    else:
        written = group.create_variable(name, dims, data=stored)
    for key, value in _foreign_attributes(variable, name, form).items():
        written.attrs[key] = value
    return name


def _foreign_attributes(variable: Variable, name: str, form: str) -> dict[str, str]:
    """Return what other netCDF readers need to know."""
    found = {}
    if name != variable.name and _holdable(variable.name):
        found["long_name"] = variable.name
    if form == "truth":
        found["dtype"] = "bool"
    unit = _UNITS.get(np.datetime_data(variable.values.dtype)[0]) if form == "time" else None
    if unit is not None:
        found["units"] = f"{unit} since 1970-01-01" if variable.values.dtype.kind == "M" else unit
    return found


def _stored_names(variables: Sequence[Variable]) -> dict[str, str]:
    """Return plain names as they are, others numbered."""
    every = dict.fromkeys(name for each in variables for name in (each.group, each.name, *each.dims))
    names = {name: name for name in every if _PLAIN_NAME.fullmatch(name)}
    for name in every:
        if name not in names:
            names[name] = _unused(set(names.values()) | set(every))
    return names


def _unused(used: Collection[str]) -> str:
    number = len(used)
    while f"renamed_{number}" in used:
        number += 1
    return f"renamed_{number}"


def unpack(content: bytes, records: Sequence[Record]) -> list[Variable]:
    """Return the arrays of a netCDF file by their records.

    Raises
    ------
    StorageError
        The file does not hold what the records say.
    """
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:
        return [_read(file, record, len(content)) for record in records]


def _read(file: Any, record: Record, limit: int) -> Variable:
    shape, form = tuple(record["shape"]), record["form"]
    dtype = np.dtypes.StringDType() if record["dtype"] == _STRING else np.dtype(record["dtype"])
    if dtype.kind not in _KINDS.get(form, "") or (record["at"] is None and 0 not in shape):
        raise StorageError(f"an array of form {form!r} and dtype {record['dtype']!r}", column=record["name"],
                           value=form, rule=f"an array is one of {', '.join(_KINDS)}", fix=_FOREIGN)
    stored = np.empty(shape, dtype=object) if record["at"] is None else _dataset(file, record, shape, limit)
    values = _DECODERS[form](stored, dtype)
    name, dims = record["name"], tuple(record["dims"])
    return Variable(record["group"], name, dims, values, record["coord"], record["attrs"])


def _dataset(file: Any, record: Record, shape: tuple[int, ...], limit: int) -> Values:
    """Read one dataset that lies in the file itself and is not compressed: nothing else is written, or trusted."""
    import h5py

    place, name = record["at"]
    group = file[place]
    links = (file.get(place, getlink=True), group.get(name, getlink=True))
    found = group[name]
    here = all(isinstance(link, h5py.HardLink) for link in links) and isinstance(found, h5py.Dataset)
    if not here or found.external or found.is_virtual or found.chunks or found.shape != shape or found.nbytes > limit:
        raise StorageError(f"an array other than its record in {place}/{name}", column=record["name"], value=shape,
                           rule="the arrays of a saved fit lie in it as its manifest says", fix=_FOREIGN)
    return np.asarray(found.asstr()[()] if found.dtype == object else found[()])


def _text(stored: Values, dtype: np.dtype[Any]) -> Values:
    values = np.empty(stored.shape, dtype=dtype)
    values.ravel()[:] = stored.ravel().tolist()
    return values


def _escaped(stored: Values, dtype: np.dtype[Any]) -> Values:
    texts = np.empty(stored.shape, dtype=object)
    texts.ravel()[:] = [json.loads(text) for text in stored.ravel().tolist()]
    return _text(texts, dtype)


_DECODERS: Mapping[str, Callable[[Values, np.dtype[Any]], Values]] = {
    "number": lambda stored, dtype: stored.astype(dtype),
    "truth": lambda stored, dtype: stored.astype(dtype),
    "time": lambda stored, dtype: stored.astype("<i8").view(dtype),
    "text": _text,
    "json": _escaped,
}
