"""Store: draws on disk as they come, in a Zarr directory that xarray opens, also after the process that wrote it was killed.

A directory holds one group for each run, ``run_0``, ``run_1``, ..., with groups ``posterior`` and ``sample_stats`` (dims chain,
draw and those of the model), ``state`` (the last unconstrained draws and the step sizes) and ``transport`` (arrays that only the
caller understands). Metadata are consolidated after every write: a reader sees the draws up to the last write that was finished.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.target import Adaptation, Array, Expanded, Target
from bayesglm.errors import EngineError

FORMAT = "bayesglm draws 1"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a stored run stood.

    Attributes
    ----------
    last : array, shape (chain, size)
        Unconstrained last draws of the chains.
    step_size : array, shape (chain,)
        Their step sizes.
    transport : mapping
        Name to array, as handed over by whoever sampled.
    seed : int
        The run's seed.
    """

    last: Array
    step_size: Array
    transport: Mapping[str, NDArray[Any]]
    seed: int


class DrawStore:
    """A run that is being written; see `create`.

    Parameters
    ----------
    run : zarr.Group
        The run's group.
    target : Target
        What is sampled.
    """

    def __init__(self, run: Any, target: Target) -> None:
        self.run, self.target = run, target
        self.groups = {name: run.require_group(name) for name in ("posterior", "sample_stats", "state")}
        self.arrays: dict[tuple[str, str], Any] = {}

    def append(self, start: int, draws: Expanded, stats: Expanded, last: Array) -> None:
        """Write draws from a position on, and the last flat ones.

        Parameters
        ----------
        start : int
            How many draws of each chain stand in the store.
        draws : mapping
            Variable to values of shape (draw, chain, ...).
        stats : mapping
            Statistic to values of shape (draw, chain).
        last : array, shape (chain, size)
            Unconstrained last draws.
        """
        n_draw, n_chain = next(iter(stats.values())).shape
        for group, variables in (("posterior", draws), ("sample_stats", stats)):
            for name, values in variables.items():
                dims = self.target.dims_of(name, values.ndim - 2) if group == "posterior" else ()
                self._write(group, name, np.swapaxes(values, 0, 1), ("chain", "draw", *dims), start)
            self._write(group, "draw", np.arange(start, start + n_draw), ("draw",), start)
            if start == 0:
                self._write(group, "chain", np.arange(n_chain), ("chain",))
        self._write("state", "last", last, ("chain", "coordinate"))
        self._write("state", "step_size", stats["step_size"][-1], ("chain",))
        self._note(draws=start + n_draw)

    def finish(self, *, complete: bool, notes: tuple[str, ...]) -> None:
        """Say that the run has ended, and how."""
        self._note(ended=True, complete=complete, notes=list(notes))

    def _write(self, group: str, name: str, values: NDArray[Any], dims: tuple[str, ...], start: int = 0) -> None:
        """Write values along the dim draw from a position on, or a whole array."""
        if (group, name) not in self.arrays:
            self.arrays[group, name] = _new(self.groups[group], name, values, dims)
        array, ends = self.arrays[group, name], {"draw": start + values.shape[dims.index("draw")] if "draw" in dims else 0}
        shape = tuple(ends.get(dim, n) for dim, n in zip(dims, values.shape, strict=True))
        if array.shape != shape:
            array.resize(shape)
        array[tuple(slice(start, None) if dim == "draw" else slice(None) for dim in dims)] = values

    def _note(self, **attributes: Any) -> None:
        """Write attributes and, last of all and at once, the metadata that readers go by."""
        import zarr

        self.run.attrs.update(attributes)
        zarr.consolidate_metadata(self.run.store, zarr_format=2)


def create(
    path: str | Path, target: Target, *, seed: int, adaptation: Adaptation, transport: Mapping[str, NDArray[Any]] | None = None,
) -> DrawStore:
    """Begin a run in a directory: the first one in a new directory, the next one in a directory of the same target.

    Parameters
    ----------
    path : str or Path
        Directory, usually ``something.zarr``.
    target : Target
        What is sampled: its dims and coordinates are written.
    seed : int
        The run's seed. A later run needs one that no run before it had.
    adaptation : Adaptation
        Settings of the warm-up, for the record.
    transport : mapping, optional
        Name to array: what the caller needs to make the same target again.

    Raises
    ------
    EngineError
        The path holds something else, another target, or a run with this seed.
    """
    import zarr

    path = Path(path)
    if path.exists() and any(path.iterdir()):
        runs = run_names(path)
        for name in runs:
            _check_run(path, name, target, seed)
    else:
        runs = ()
    root = zarr.open_group(path, mode="a", zarr_format=2, use_consolidated=False)
    root.attrs["format"] = FORMAT
    name = f"run_{len(runs)}"
    run = root.create_group(name, attributes={
        "seed": seed, "size": target.size, "draws": 0, "ended": False, "complete": False, "notes": [],
        "adaptation": json.dumps(asdict(adaptation), default=str)})
    place = run.create_group("transport")
    for key, values in (transport or {}).items():
        array = np.asarray(values)
        _new(place, key, array, tuple(f"{key}_dim_{i}" for i in range(array.ndim)))[...] = array
    labels = xr.Dataset(coords={dim: _plain(values) for dim, values in target.coords.items()})
    labels.to_zarr(path, group=f"{name}/posterior", mode="a", zarr_format=2, consolidated=False)
    zarr.consolidate_metadata(root.store, zarr_format=2)
    return DrawStore(run, target)


def run_names(path: str | Path) -> tuple[str, ...]:
    """Return the names of the runs in a directory, in the order they were made.

    Raises
    ------
    EngineError
        The directory holds no draws.
    """
    import zarr

    path = Path(path)
    root: Any = zarr.open_group(path, mode="r", zarr_format=2, use_consolidated=False) if (path / ".zgroup").exists() else None
    if root is None or root.attrs.get("format") != FORMAT:
        raise EngineError(f"{str(path)!r} holds no draws", column="store", value=str(path),
                          rule=f"a store is a directory of {FORMAT}",
                          fix="Give the directory that an earlier run wrote, or one that does not exist.")
    return tuple(sorted(root.group_keys(), key=lambda name: int(name.removeprefix("run_"))))


def read_run(path: str | Path, name: str | None = None) -> xr.DataTree:
    """Return the draws of a run, as far as they were written, loaded lazily.

    Parameters
    ----------
    path : str or Path
        Directory.
    name : str, optional
        Which run; the last one by default.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` and ``sample_stats``; the attributes say whether the run was complete.
    """
    name = name or run_names(path)[-1]
    tree = xr.open_datatree(Path(path), engine="zarr", group=name, consolidated=True)
    found = xr.DataTree.from_dict({group: tree[group].to_dataset() for group in ("posterior", "sample_stats") if group in tree})
    found.attrs = dict(tree.attrs)
    return found


def read_state(path: str | Path, name: str | None = None) -> State:
    """Return where a run stood, to go on from.

    Parameters
    ----------
    path : str or Path
        Directory.
    name : str, optional
        Which run; the last one that has draws by default.

    Raises
    ------
    EngineError
        No run has draws.
    """
    import zarr

    root: Any = zarr.open_consolidated(Path(path), mode="r", zarr_format=2)
    with_draws = [each for each in run_names(path) if root[each].attrs["draws"] and name in (None, each)]
    if not with_draws:
        raise EngineError(f"{str(path)!r} holds no draws to go on from", column="store", value=str(path),
                          rule="chains continue from stored draws", fix="Start a new run in another directory.")
    run = root[with_draws[-1]]
    transport = {key: np.asarray(values[...]) for key, values in run["transport"].arrays()}
    return State(np.asarray(run["state/last"][...]), np.asarray(run["state/step_size"][...]), transport, int(run.attrs["seed"]))


def _check_run(path: Path, name: str, target: Target, seed: int) -> None:
    import zarr

    attributes = zarr.open_group(path, mode="r", zarr_format=2, path=name, use_consolidated=False).attrs
    if attributes["size"] != target.size:
        raise EngineError(f"{name} has {attributes['size']} coordinates, this target {target.size}", column="store",
                          value=str(path), rule="all runs of a store sample the same target",
                          fix="Give a directory that does not exist.")
    if attributes["seed"] == seed:
        raise EngineError(f"seed={seed} is that of {name}", column="seed", value=seed,
                          rule="chains that continue need random numbers of their own", fix="Give another seed.")


def _plain(labels: tuple[Any, ...]) -> NDArray[Any]:
    found = np.asarray(labels)
    return found if found.dtype != object else np.asarray([str(label) for label in labels])


def _new(group: Any, name: str, values: NDArray[Any], dims: tuple[str, ...]) -> Any:
    return group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=tuple(max(1, n) for n in values.shape),
                              compressors=None, fill_value=_fill(values), attributes={"_ARRAY_DIMENSIONS": list(dims)})


def _fill(values: NDArray[Any]) -> float | None:
    """Return what stands where nothing was written: xarray masks it, so no value that a draw can have."""
    return np.nan if np.issubdtype(values.dtype, np.floating) else None
