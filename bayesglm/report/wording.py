"""Wording: how the sections say names, counts, lists and intervals."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bayesglm.predict import LEVEL

PERCENT = f"{100 * LEVEL:g}%"
INTERVAL = re.compile(r"^(.*?)_?eti([0-9_]+)_(lb|ub)$")


def quoted(name: str) -> str:
    """Return a name of a user's as the page sets names: between backticks.

    Examples
    --------
    >>> quoted("deploy"), quoted("a`b")
    ('`deploy`', '``a`b``')
    """
    return f"``{name}``" if "`" in name else f"`{name}`"


def listed(texts: Sequence[str]) -> str:
    """Return texts as an enumeration.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def counted(count: int, noun: str) -> str:
    """Return a number of things.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def moment(text: str) -> str:
    """Return a time in ISO 8601 for readers, without the parts that are zero.

    Examples
    --------
    >>> moment("2024-05-01T00:00:00.000000"), moment("2024-05-01T06:30:00+00:00")
    ('2024-05-01', '2024-05-01 06:30:00 UTC')
    """
    plain = text.removesuffix(".000000").removesuffix("T00:00:00").replace("T", " ")
    return f"{plain.removesuffix('+00:00')} UTC" if plain.endswith("+00:00") else plain


def sentence(text: str) -> str:
    """Return a text with a capital letter in front and a full stop at the end.

    Examples
    --------
    >>> sentence("no data")
    'No data.'
    """
    stripped = text.strip()
    return stripped if not stripped else f"{stripped[0].upper()}{stripped[1:]}{'' if stripped[-1] in '.!?' else '.'}"


def plain_column(name: str) -> tuple[str, str]:
    """Return a column's heading and name for readers: ends of intervals are said, under the quantity that they bound.

    Examples
    --------
    >>> plain_column("predicted_eti90_lb"), plain_column("eti97_5_ub"), plain_column("p_adjusted")
    (('predicted', '90% from'), ('', '97.5% to'), ('', 'p adjusted'))
    """
    found = INTERVAL.match(name)
    if found is None:
        return "", name.replace("_", " ")
    return found[1].replace("_", " "), f"{found[2].replace('_', '.')}% {'from' if found[3] == 'lb' else 'to'}"
