"""Standing: whether the numbers of a report may be used, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bayesglm.checks.check import Check, CheckResult, Verdict
from bayesglm.registry import discover

WATERMARK = "Diagnostics failed: do not use these numbers"


@dataclass(frozen=True, slots=True)
class Panel:
    """The checks that are put to one kind of fit.

    Attributes
    ----------
    folder : str
        The package whose members they are.
    diagnostics : str
        What the decisive ones are called together.
    """

    folder: str
    diagnostics: str


REGRESSION = Panel("bayesglm.checks", "sampling diagnostics")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the checks say together.

    Attributes
    ----------
    verdict : {"pass", "warn", "fail", "not applicable"}
        The worst of them; "not applicable" where nothing was checked.
    sentence : str
        The verdict in one sentence.
    watermark : str
        What is written over every page; empty unless a decisive check failed.
    """

    verdict: Verdict
    sentence: str
    watermark: str = ""


def title_of(name: str) -> str:
    """Return a check's name as words.

    Examples
    --------
    >>> title_of("zero_share")
    'zero share'
    """
    return name.replace("_", " ")


def decisive(results: Sequence[CheckResult], panel: Panel = REGRESSION) -> list[CheckResult]:
    """Return the results of decisive checks: those whose failure means that no number can be trusted."""
    known = discover(panel.folder, Check)
    return [each for each in results if each.name in known and known[each.name].decisive]


def question_of(result: CheckResult, panel: Panel = REGRESSION) -> str:
    """Return what a check asks, in words; empty for a check that is not in the folder."""
    known = discover(panel.folder, Check)
    return known[result.name].question if result.name in known else ""


def standing(results: Sequence[CheckResult], panel: Panel = REGRESSION) -> Standing:
    """Return what the checks say together.

    Parameters
    ----------
    results : sequence of CheckResult
        The check results of a report.
    panel : Panel
        The checks they come from.

    Examples
    --------
    >>> standing([]).sentence
    'Nothing was checked: treat these numbers as provisional.'
    """
    failed, warned = (_named(results, verdict) for verdict in ("fail", "warn"))
    diagnostics = f"The {panel.diagnostics}"
    fatal = _named(decisive(results, panel), "fail")
    if fatal:
        return Standing("fail", f"{WATERMARK} ({fatal} failed).", WATERMARK)
    if all(each.verdict == "not applicable" for each in results):
        return Standing("not applicable", "Nothing was checked: treat these numbers as provisional.")
    ran = [each for each in decisive(results, panel) if each.verdict != "not applicable"]
    doubted = _named(ran, "warn")
    numbers = (f"{diagnostics} gave a warning ({doubted})" if doubted else
               f"{diagnostics} found no fault" if ran else f"{diagnostics} did not apply")
    if failed:
        but = "and" if doubted else "but"
        return Standing("fail", f"{numbers}, {but} the model misses something in the data: {failed} failed.")
    if warned:
        return Standing("warn", f"Usable with care: no check failed, but {warned} gave a warning.")
    if not ran:
        return Standing("warn", f"{numbers}; no other check found a fault.")
    return Standing("pass", f"{diagnostics} and all other checks passed." if len(results) > len(ran)
                    else f"{diagnostics} passed; the model was not checked against the data.")


def _named(results: Sequence[CheckResult], verdict: Verdict) -> str:
    names = [title_of(each.name) for each in results if each.verdict == verdict]
    return names[0] if len(names) == 1 else " and ".join([", ".join(names[:-1]), names[-1]]) if names else ""
