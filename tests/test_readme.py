"""The example that people read first runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bayesglm.checks.convergence import diagnostics

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), found)
    # The sd is 0.215 with some 3,400 effective draws: 0.02 is five Monte Carlo errors.
    assert found["fit"].summary().to_frame().loc["period[1975-79]", "mean"] == pytest.approx(0.352, abs=0.02)
    stands = diagnostics(found["fit"])
    assert stands["r_hat"].max() < 1.01
    assert stands["ess_bulk"].min() > 400
    assert int(found["fit"].draws["sample_stats"]["diverging"].sum()) == 0
    assert "<html" in (tmp_path / "ship_incidents.html").read_text(encoding="utf-8")
