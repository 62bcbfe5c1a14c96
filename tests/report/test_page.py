"""The page: one file that runs and loads nothing, says what the fit says, and warns where it must."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import bayesglm.report
from bayesglm.checks.check import CheckResult
from bayesglm.errors import OptionError
from bayesglm.predict import interval_names
from bayesglm.report.cells import clean
from bayesglm.report.page import render, sections, write_report
from bayesglm.report.section import Section
from bayesglm.report.standing import WATERMARK, standing
from bayesglm.summary import summarise_fit

VOID = {"meta", "input", "br"}
TAGS = {
    "html", "head", "meta", "title", "style", "body", "a", "div", "span", "p", "header", "h1", "h2", "h3", "nav", "ol", "li",
    "main", "section", "dl", "dt", "dd", "strong", "figure", "figcaption", "table", "thead", "tbody", "tr", "th", "td",
    "code", "bdi", "footer", "svg", "g", "path", "defs", "clippath", "use", "rect",
}


class Reader(HTMLParser):
    """Takes a page apart as a browser does: elements with their attributes, and the text outside of the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def test_known_elements_only_and_all_closed(page):
    reader = Reader(page)
    assert reader.open == []
    assert {tag for tag, _ in reader.elements} <= TAGS
    assert page.startswith("<!DOCTYPE html>")


def test_nothing_runs_and_nothing_is_loaded(page):
    assert not re.search(r"https?:|javascript:|@import|@font-face", page)
    for tag, attributes in Reader(page).elements:
        assert not any(name.startswith("on") for name in attributes)
        assert "src" not in attributes
        assert "srcset" not in attributes
        href = attributes.get("href", attributes.get("xlink:href"))
        assert href is None or href.startswith("#"), tag
        for value in attributes.values():
            assert not re.search(r"url\((?!#)|data:|//", value or "")


def test_the_policy_forbids_all_but_the_own_style(page):
    policy = Reader(page).named("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_readers_find_their_way(page):
    reader = Reader(page)
    assert reader.named("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in reader.elements if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in reader.elements:
        for name in ("aria-labelledby", "href"):
            if attributes.get(name):
                assert attributes[name].lstrip("#") in ids
    for picture in reader.named("svg"):
        assert picture["role"] == "img"
        assert len(picture["aria-label"]) > 20


def test_tables_name_their_columns_and_lines(page):
    reader = Reader(page)
    assert reader.named("table")
    assert {each["scope"] for each in reader.named("th")} <= {"col", "row", "colgroup"}
    assert len(reader.named("figcaption")) == len(reader.named("table")) + len(reader.named("svg"))


def test_the_same_fit_gives_the_same_text(name, material_of, page_of):
    assert render(material_of(name)) == page_of(name)


def test_every_section_stands_in_order(name, fit_of, page_of):
    shown = [each["id"] for each in Reader(page_of(name)).named("section")]
    order = [each.name for each in sections()]
    assert shown == [each for each in order if each in shown]
    assert {"asked", "data", "model", "coefficients", "diagnostics", "caveats"} <= set(shown)
    has_blocks = any(each.blocks for each in fit_of(name).specification.predictors)
    assert ("groups" in shown) == has_blocks


def test_a_section_without_content_is_left_out(material_of):
    empty = Section("empty", "Nothing to say", 1, lambda material: [])
    page = render(material_of("plain"), [empty])
    assert "Nothing to say" not in page
    assert Reader(page).named("section") == []


def test_the_watermark_stands_where_a_decisive_check_failed(name, material_of, page_of):
    page = page_of(name)
    failed = any(each.verdict == "fail" and each.name == "convergence" for each in material_of(name).checks)
    assert failed == (name == "failed")
    assert (WATERMARK in page) == failed
    assert ('<div class="watermark"' in page) == failed
    assert ('role="alert"' in page) == failed
    sections_shown = len(Reader(page).named("section"))
    assert page.count('<p class="void">') == (sections_shown if failed else 0)


def test_a_failed_fit_is_not_summed_up(page_of):
    assert "What the data say" in page_of("plain")
    assert "What the data say" not in page_of("failed")


def test_hostile_names_are_text(page_of, hostile):
    page = page_of("hostile")
    reader = Reader(page)
    assert not reader.named("script", "img")
    words = "".join(reader.words)
    for level in hostile:
        assert clean(level) in words
    assert "".join(hostile[:2]) in words
    assert "{{ 7 * 7 }}" in words
    assert "\u202e" not in page


def numbers_of(page: str) -> list[float]:
    texts = re.findall(r'<td class="number[^"]*">([^<]*)</td>', page)
    return [float(unescape(text).replace("−", "-").replace(",", "").lstrip("<> ")) for text in texts if text != "–"]


def shown_lines(page: str, section: str) -> dict[str, list[str]]:
    """Return the table lines of a section: the text of the first cell to the texts of the others."""
    part = page[page.index(f'<section id="{section}"'):]
    part = part[: part.index("</section>")]
    lines = {}
    for line in re.findall(r"<tr><th scope=\"row\".*?</tr>", part, flags=re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, flags=re.DOTALL)
        cells = [unescape(re.sub(r"<[^>]+>", "", cell)) for cell in cells]
        lines[cells[0]] = cells[1:]
    return lines


def same(shown: str, value: float) -> bool:
    """Whether a number is what the text shows, to half of its last digit."""
    if np.isnan(value):
        return shown == "–"
    plain = shown.replace("−", "-").replace(",", "")
    places = len(plain.partition(".")[2])
    return abs(float(plain) - value) <= 0.5001 * 10.0**-places


@pytest.mark.parametrize("name", ["grouped", "plain", "zero_inflated", "categories"])
def test_the_numbers_are_those_of_the_summary(name, fit_of, page_of):
    table = summarise_fit(fit_of(name))
    lines = shown_lines(page_of(name), "coefficients")
    low, high = (each.lstrip("_") for each in interval_names("", 0.9))
    ratio_low, ratio_high = interval_names("ratio", 0.9)
    found = 0
    for coefficient, row in table.iterrows():
        if not row["ratio_kind"]:
            continue
        shown = lines[coefficient]
        wanted = [row["ratio"], row[ratio_low], row[ratio_high], row["mean"], row["sd"], row[low], row[high]]
        assert all(same(text, value) for text, value in zip(shown[1:8], wanted, strict=True)), coefficient
        assert shown[8] == f"{row['P(effect > 0)']:.3f}" or shown[8][0] in "<>"
        found += 1
    assert found


def test_a_changed_draw_changes_the_page(fit_of, material_of, page_of):
    fitted = fit_of("plain")
    posterior = fitted.draws["posterior"].to_dataset()
    draws = fitted.draws.copy()
    draws["posterior"] = type(fitted.draws)(posterior.assign(beta=posterior["beta"] + 0.5))
    other = render(replace(material_of("plain"), fitted=replace(fitted, draws=draws)))
    assert shown_lines(other, "coefficients")["x"] != shown_lines(page_of("plain"), "coefficients")["x"]


def test_the_report_says_method_level_engine_and_verdict(fit_of, page_of):
    page, priors = page_of("grouped"), len(fit_of("grouped").specification.priors.lines)
    texts = [
        "90% equal-tailed intervals", "<code><bdi>nuts</bdi></code>", "Convergence", "rate ratio", "hours of service",
        "rows with exposure 0", "2024-01-01 to 2024-03-30", fit_of("grouped").audit.fingerprint, "variance mu + mu^2 / k",
        f"Given by the user: 1 of {priors} priors", "Rootogram", "(PIT)", "maximum", "variance", "zeros",
    ]
    for text in texts:
        assert text in page, text


def test_approximations_and_unfinished_runs_are_named(page_of):
    page = page_of("approximate")
    for text in ("approximates the posterior", "stopped before it had all its draws", "One mode of two."):
        assert text in page
        assert text not in page_of("plain")


def test_the_sign_of_the_zero_part_is_told(page_of):
    text = "above 0 means a higher probability of a structural zero"
    assert text in page_of("zero_inflated")
    assert text not in page_of("grouped")


def test_the_report_does_not_claim_causes():
    folder = Path(bayesglm.report.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in [*folder.rglob("*.py"), *folder.rglob("*.html")]]
    assert not any(re.search(r"\b(caus(e|es|ed|ing)|because of|due to)\b", text) for text in texts)


def test_a_report_is_written_to_a_file(tmp_path, material_of, page_of):
    path = write_report(material_of("plain"), tmp_path / "report.html")
    assert path.read_bytes().decode("utf-8") == page_of("plain")
    with pytest.raises(OptionError, match="folder"):
        write_report(material_of("plain"), tmp_path / "nowhere" / "report.html")


@pytest.mark.parametrize(("verdicts", "worst", "said"), [
    ({"convergence": "pass", "zeros": "pass"}, "pass", "all other checks passed"),
    ({"convergence": "pass"}, "pass", "not checked against the data"),
    ({"convergence": "warn", "zeros": "pass"}, "warn", "convergence gave a warning"),
    ({"convergence": "pass", "zeros": "fail"}, "fail", "misses something in the data: zeros failed"),
    ({"convergence": "warn", "zeros": "fail"}, "fail", "gave a warning (convergence), and"),
    ({"convergence": "not applicable", "zeros": "pass"}, "warn", "did not apply"),
    ({"convergence": "fail", "zeros": "pass"}, "fail", WATERMARK),
    ({"zeros": "not applicable"}, "not applicable", "Nothing was checked"),
    ({"of_my_own": "fail"}, "fail", "of my own failed"),
])
def test_the_standing_is_the_worst_of_all(verdicts, worst, said):
    found = standing([CheckResult(name, verdict, "found") for name, verdict in verdicts.items()])
    assert found.verdict == worst
    assert said in found.sentence
    assert bool(found.watermark) == (verdicts.get("convergence") == "fail")


def luminance(colour: str) -> float:
    parts = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_text_stands_out_from_its_ground(scheme):
    style = (Path(bayesglm.report.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)[scheme]))
    pairs = [(text, "paper") for text in ("ink", "soft", "accent", "pass", "warn", "fail", "none")]
    pairs += [(text, f"{text}-tint") for text in ("pass", "warn", "fail", "none")] + [("ink", "raised")]
    for text, ground in pairs:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
