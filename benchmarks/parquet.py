"""Parquet: large simulated tables, written a block of rows at a time, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def write_blocks(path: Path, rows: int, block: int, simulate: Callable[[int, int], dict[str, NDArray[Any]]]) -> None:
    """Write a table in blocks.

    Parameters
    ----------
    path : Path
        The Parquet file; it is left alone if it is there.
    rows, block : int
        Rows of the table and of a block.
    simulate : callable
        ``simulate(start, n)`` gives the columns of ``n`` rows from row ``start`` on.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished, writer = path.with_suffix(".part"), None
    for start in range(0, rows, block):
        table = pa.table(simulate(start, min(block, rows - start)))
        writer = writer or pq.ParquetWriter(unfinished, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    unfinished.rename(path)
