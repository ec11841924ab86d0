"""A report: the same sections as text, Markdown and one page of HTML."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kinatlas import Report, SimilarityMatrix
from kinatlas.errors import FormatError


class Balance(HTMLParser):
    """Counts open tags; a well-formed page ends with none."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


HOSTILE = '</td><script>alert("x")</script>'


def hostile_report() -> Report:
    matrix = SimilarityMatrix([[0.5, float("nan")]], [HOSTILE], ["a|b", "c_d"], "flatten")
    report = Report(HOSTILE).add_text(HOSTILE, f"{HOSTILE}\n\nsecond paragraph")
    return report.add_table(HOSTILE, matrix, HOSTILE)


def test_hostile_names_never_become_markup() -> None:
    page = hostile_report().to_html()
    checker = Balance()
    checker.feed(page)
    assert checker.open == []
    assert "script" not in checker.seen


def test_the_page_needs_nothing_from_anywhere_else() -> None:
    from matplotlib.figure import Figure

    page = Report("r").add_figure("picture", Figure().add_subplot()).to_html()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    picture = re.search(r"base64,([^\"]+)", page)
    assert picture is not None
    assert base64.b64decode(picture.group(1)).startswith(b"\x89PNG")


def test_all_layouts_hold_every_section() -> None:
    report = Report("Title").add_text("One", "first").add_table("Two", {"score": [0.25]})
    for text in (report.to_text(), report.to_markdown(), report.to_html()):
        for word in ("Title", "One", "first", "Two", "0.2500"):
            assert word in text


def test_adding_a_section_leaves_the_shorter_report_as_it_was() -> None:
    short = Report("Title")
    assert len(short.add_text("One", "first").sections) == 1
    assert short.sections == ()


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    first = hostile_report().save(tmp_path / "one.html").read_bytes()
    assert first == hostile_report().save(tmp_path / "two.html").read_bytes()


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"\.html, \.md, \.txt"):
        Report("r").save(tmp_path / "report.pdf")
