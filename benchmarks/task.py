"""Task: what one process is asked to run, as text on its command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Task:
    """One run of one contender.

    Attributes
    ----------
    workload, contender : str
        What to run on what.
    folder : Path
        Where the prepared workload lies.
    seed : int
        Of the sampler; the table has its own.
    draws : int, optional
        Kept draws of each chain; None for the contender's default.
    tune : int, optional
        Tuning draws of each chain; None for the contender's default.
    budget : float
        Seconds after which the process is ended.
    """

    workload: str
    contender: str
    folder: Path
    seed: int = 1
    draws: int | None = None
    tune: int | None = None
    budget: float = 300.0

    def lengths(self) -> dict[str, int]:
        """Return the draws and tune that are asked for, by name."""
        return {name: value for name, value in (("draws", self.draws), ("tune", self.tune)) if value is not None}

    def to_text(self) -> str:
        """Return the task as JSON."""
        return json.dumps({**asdict(self), "folder": str(self.folder)})

    @classmethod
    def from_text(cls, text: str) -> Task:
        """Read what `to_text` wrote."""
        plain = json.loads(text)
        return cls(**{**plain, "folder": Path(plain["folder"])})
