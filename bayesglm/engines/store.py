"""Store: draws on disk as they come, in a Zarr directory that xarray opens, also after the process that wrote it was killed.

A directory holds one group for each run, ``run_0``, ``run_1``, ..., with groups ``posterior`` and ``sample_stats`` (dims chain,
draw and those of the model), ``state`` (``chains``: the last unconstrained draw of each chain, the log density there and the step
size) and ``transport`` (arrays that only the caller understands). Its attributes are ``seed``, ``draws`` of each chain so far,
``ended``, ``complete``, ``notes``, ``model`` (what tells whether another run is of the same model and data), ``continues`` (the
run before), ``adaptation`` and ``versions``. Metadata are consolidated after every write: a reader sees the draws up to the last
write that was finished. One process at a time may write.

A run goes on from the one before it, see `bayesglm.engines.continuation`; here it is written and read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesglm.engines.target import Adaptation, Array, Expanded, Target
from bayesglm.errors import EngineError
from bayesglm.versions import installed_versions

FORMAT = "bayesglm draws 2"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a stored run stood.

    Attributes
    ----------
    path : str
        The directory.
    run : str
        Which run.
    draws : int
        How many draws of each chain are stored; 0 where the run ended in its warm-up, and then the next three are empty.
    last : array, shape (chain, size)
        Unconstrained last draws of the chains.
    log_density : array, shape (chain,)
        The log density there.
    step_size : array, shape (chain,)
        Their step sizes.
    transport : mapping
        Name to array, as handed over by whoever sampled.
    model : mapping
        What tells whether another run is of the same model and data, as handed over.
    adaptation : mapping
        Settings of the warm-up; empty where several raced and none was kept yet.
    """

    path: str
    run: str
    draws: int
    last: Array
    log_density: Array
    step_size: Array
    transport: Mapping[str, NDArray[Any]]
    model: Mapping[str, str]
    adaptation: Mapping[str, Any]


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
        # One array, and so one file, which is there as a whole or not at all.
        self._write("state", "chains", np.column_stack([last, stats["lp"][-1], stats["step_size"][-1]]), ("chain", "entry"))
        self.note(draws=start + n_draw)

    def adapted(self, adaptation: Adaptation) -> None:
        """Say which of several adaptations is kept."""
        kept = json.dumps(asdict(adaptation), default=str)
        if self.run.attrs["adaptation"] != kept:
            self.note(adaptation=kept)

    def finish(self, *, complete: bool, notes: tuple[str, ...]) -> None:
        """Say that the run has ended, and how."""
        self.note(ended=True, complete=complete, notes=list(notes))

    def _write(self, group: str, name: str, values: NDArray[Any], dims: tuple[str, ...], start: int = 0) -> None:
        """Write values along the dim draw from a position on, or a whole array."""
        if (group, name) not in self.arrays:
            self.arrays[group, name] = _new(self.groups[group], name, values, dims)
        array, ends = self.arrays[group, name], {"draw": start + values.shape[dims.index("draw")] if "draw" in dims else 0}
        shape = tuple(ends.get(dim, n) for dim, n in zip(dims, values.shape, strict=True))
        if array.shape != shape:
            array.resize(shape)
        array[tuple(slice(start, None) if dim == "draw" else slice(None) for dim in dims)] = values

    def note(self, **attributes: Any) -> None:
        """Write attributes and, last of all and at once, the metadata that readers go by."""
        import zarr

        self.run.attrs.update(attributes)
        zarr.consolidate_metadata(self.run.store, zarr_format=2)


def create(
    path: str | Path, target: Target, *, seed: int, adaptation: Adaptation | Sequence[Adaptation],
    transport: Mapping[str, NDArray[Any]] | None = None, model: Mapping[str, str] | None = None, continues: str = "",
) -> DrawStore:
    """Begin a run in a directory: the first one in a new directory, the next one in a directory of the same target.

    Parameters
    ----------
    path : str or Path
        Directory, usually ``something.zarr``.
    target : Target
        What is sampled: its dims and coordinates are written.
    seed : int
        The run's seed. A later run needs one that no run with draws before it had.
    adaptation : Adaptation or sequence
        Settings of the warm-up, for the record; of several, the one that is kept is told later.
    transport : mapping, optional
        Name to array: what the caller needs to make the same target again.
    model : mapping, optional
        What tells whether another run is of the same model and data.
    continues : str
        The run before, if its state is where this one begins.

    Raises
    ------
    EngineError
        The path holds something else, another target, or a run with this seed.
    """
    import zarr

    path = Path(path)
    if holds_something(path):
        hold_seed(path, seed)
        _hold_size(path, target)
    root = zarr.open_group(path, mode="a", zarr_format=2, use_consolidated=False)
    root.attrs["format"] = FORMAT
    _cut(path, root)
    name = f"run_{sum(1 for _ in root.group_keys())}"
    form = asdict(adaptation) if isinstance(adaptation, Adaptation) else [asdict(each) for each in adaptation]
    run = root.create_group(name)
    place = run.create_group("transport")
    for key, values in (transport or {}).items():
        array = np.asarray(values)
        _new(place, key, array, tuple(f"{key}_dim_{i}" for i in range(array.ndim)))[...] = array
    labels = xr.Dataset(coords={dim: _plain(values) for dim, values in target.coords.items()})
    labels.to_zarr(path, group=f"{name}/posterior", mode="a", zarr_format=2, consolidated=False)
    begun = DrawStore(run, target)
    begun.note(seed=seed, size=target.size, draws=0, ended=False, complete=False, notes=[], model=dict(model or {}),
               continues=continues, adaptation=json.dumps(form, default=str), versions=installed_versions())
    return begun


def _cut(path: Path, root: Any) -> None:
    """Cut runs that were killed in the middle of a write back to the last one that was finished.

    Until now readers went by the metadata of that time; those that are consolidated next are of the arrays as they are.
    """
    for run in (root[name] for name in run_names(path)):
        for _, array in () if run.attrs["ended"] else (*run["posterior"].arrays(), *run["sample_stats"].arrays()):
            dims = array.attrs["_ARRAY_DIMENSIONS"]
            shape = tuple(run.attrs["draws"] if dim == "draw" else n for dim, n in zip(dims, array.shape, strict=True))
            if array.shape != shape:
                array.resize(shape)


def holds_something(path: str | Path) -> bool:
    """Return whether a directory is there with something in it."""
    return Path(path).exists() and any(Path(path).iterdir())


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
    known: Any = zarr.open_consolidated(path, mode="r", zarr_format=2) if (path / ".zmetadata").exists() else None
    # Where a process was killed while it began a run, nothing is said of it.
    begun = [] if known is None else [name for name in known.group_keys() if "seed" in known[name].attrs]
    return tuple(sorted(begun, key=lambda name: int(name.removeprefix("run_"))))


def read_run(path: str | Path, name: str | None = None) -> xr.DataTree:
    """Return the draws of a run, as far as they were written, loaded lazily.

    Parameters
    ----------
    path : str or Path
        Directory.
    name : str, optional
        Which run, of `run_names`; the last one by default.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` and ``sample_stats``; the attributes say whether the run was complete, and more of it.

    Raises
    ------
    EngineError
        The directory holds no draws, or no such run.
    """
    tree = xr.open_datatree(Path(path), engine="zarr", group=_named(path, name), consolidated=True)
    found = xr.DataTree.from_dict({group: tree[group].to_dataset() for group in ("posterior", "sample_stats") if group in tree})
    found.attrs = dict(tree.attrs)
    return found


def read_runs(path: str | Path) -> xr.DataTree:
    """Return the draws of all runs as one, each chain's one run after the other, in memory.

    A run that continues another begins where that one's chains stood, so that the runs are not independent of each other: what
    they know together, in effective sizes and R-hat, is told by the joined draws and not by a sum over runs.

    Parameters
    ----------
    path : str or Path
        Directory.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` and ``sample_stats``; along draw, a coordinate ``run`` says which run it is from. Attributes ``runs``
        and ``seeds`` for the runs with draws, ``draws`` of each chain, and ``complete``, whether the last run was.

    Raises
    ------
    EngineError
        The directory holds no draws, or its runs have different numbers of chains.

    Examples
    --------
    >>> import tempfile
    >>> import bayesglm as bg
    >>> table = {"errors": [3, 0, 2, 5], "requests": [10.0, 5.0, 10.0, 20.0]}
    >>> model = bg.Model("errors ~ 1", table, "poisson", exposure="requests")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fits = [model.fit(seed=seed, draws=50, store=f"{folder}/draws.zarr", progress=False) for seed in (1, 2)]
    ...     both = read_runs(f"{folder}/draws.zarr")
    >>> both.attrs["runs"], both["posterior"].sizes["draw"]
    (['run_0', 'run_1'], 100)
    """
    runs = {name: tree for name in run_names(path) if (tree := read_run(path, name)).attrs["draws"]}
    chains = {name: tree["posterior"].sizes["chain"] for name, tree in runs.items()}
    if len(set(chains.values())) != 1:
        raise EngineError(f"{str(path)!r} holds runs of {', '.join(map(str, chains.values())) or 'no'} chains", column="store",
                          value=str(path), rule="runs are joined chain by chain", fix="Read one run at a time with read_run.")
    lengths = [tree.attrs["draws"] for tree in runs.values()]
    index = {"draw": np.arange(sum(lengths)), "run": ("draw", np.repeat(list(runs), lengths))}
    joined = {group: xr.concat([tree[group].to_dataset().load() for tree in runs.values()], "draw", data_vars="all",
                               coords="minimal", compat="override", join="override").assign_coords(index)
              for group in ("posterior", "sample_stats")}
    found = xr.DataTree.from_dict(joined)
    last = [*runs.values()][-1].attrs
    found.attrs = {"runs": list(runs), "seeds": [tree.attrs["seed"] for tree in runs.values()], "draws": sum(lengths),
                   "complete": last["complete"]}
    return found


def read_state(path: str | Path, name: str | None = None) -> State:
    """Return where a run stood, to go on from.

    Parameters
    ----------
    path : str or Path
        Directory.
    name : str, optional
        Which run; by default the last one that has draws, else the last one.

    Raises
    ------
    EngineError
        The directory holds no draws, or no such run.
    """
    import zarr

    names = run_names(path)
    last_one = _named(path, name)
    root: Any = zarr.open_consolidated(Path(path), mode="r", zarr_format=2)
    with_draws = [each for each in names if root[each].attrs["draws"] and name in (None, each)]
    found = with_draws[-1] if with_draws else last_one
    run, draws = root[found], int(root[found].attrs["draws"])
    chains = np.asarray(run["state/chains"][...]) if draws else np.empty((0, run.attrs["size"] + 2))
    adaptation = json.loads(run.attrs["adaptation"])
    return State(
        path=str(path), run=found, draws=draws, last=chains[:, :-2].copy(), log_density=chains[:, -2], step_size=chains[:, -1],
        transport={key: np.asarray(values[...]) for key, values in run["transport"].arrays()}, model=dict(run.attrs["model"]),
        adaptation=adaptation if isinstance(adaptation, dict) else {},
    )


def _named(path: str | Path, name: str | None) -> str:
    """Return the name of a run that is there; the last one's by default."""
    names = run_names(path)
    if not names or name not in (None, *names):
        raise EngineError(f"{str(path)!r} has the runs {', '.join(names) or '(none)'}", column="store", value=name,
                          rule="a run is read by its name", fix="Take one of these, or another directory.")
    return name or names[-1]


def hold_seed(path: str | Path, seed: int) -> None:
    """Hold the seed of a new run to be its own.

    A run that ended in its warm-up has no draws, and may be done again with its seed.

    Raises
    ------
    EngineError
        The directory holds no draws, or draws of this seed.
    """
    for name, about in _about(path).items():
        if about["seed"] == seed and about["draws"]:
            raise EngineError(f"seed={seed} is that of {name} in {str(path)!r}", column="seed", value=seed,
                              rule="chains that continue need random numbers of their own", fix="Give another seed.")


def _hold_size(path: str | Path, target: Target) -> None:
    for name, about in _about(path).items():
        if about["size"] != target.size:
            raise EngineError(f"{name} has {about['size']} coordinates, this target {target.size}", column="store",
                              value=str(path), rule="all runs of a store sample the same target",
                              fix="Give a directory that does not exist.")


def _about(path: str | Path) -> dict[str, Mapping[str, Any]]:
    """Return what is said of each run."""
    import zarr

    names = run_names(path)
    root: Any = zarr.open_consolidated(Path(path), mode="r", zarr_format=2) if names else {}
    return {name: root[name].attrs for name in names}


def _plain(labels: tuple[Any, ...]) -> NDArray[Any]:
    found = np.asarray(labels)
    return found if found.dtype != object else np.asarray([str(label) for label in labels])


def _new(group: Any, name: str, values: NDArray[Any], dims: tuple[str, ...]) -> Any:
    return group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=tuple(max(1, n) for n in values.shape),
                              compressors=None, fill_value=_fill(values), attributes={"_ARRAY_DIMENSIONS": list(dims)})


def _fill(values: NDArray[Any]) -> float | None:
    """Return what stands where nothing was written: xarray masks it, so no value that a draw can have."""
    return np.nan if np.issubdtype(values.dtype, np.floating) else None
