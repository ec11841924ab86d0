"""A report: the same sections as text, Markdown and one page of HTML."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from kinatlas import Atlas, Report, SimilarityMatrix
from kinatlas.errors import DTypeError, FormatError
from kinatlas.report import content_hash
from kinatlas.report.page import _BOXES


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
    pages = (report.to_text(), report.to_markdown(), report.to_html(), report.to_latex())
    for text in pages:
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
    with pytest.raises(FormatError, match=r"\.html, \.md, \.txt, \.tex, \.json"):
        Report("r").save(tmp_path / "report.pdf")


def test_latex_prints_every_name_as_it_is() -> None:
    page = hostile_report().to_latex()
    assert r"c\_d" in page
    assert not re.search(r"(?<!\\)[_%$#]", page.replace(r"\\", ""))


def test_json_holds_numbers_in_full_and_null_for_nan() -> None:
    page = json.loads(hostile_report().add_table("one", {"score": [1 / 3]}).to_json())
    assert page["title"] == HOSTILE
    assert page["sections"][1]["columns"] == {
        "target": [HOSTILE, HOSTILE],
        "source": ["a|b", "c_d"],
        "score": [0.5, None],
    }
    assert page["sections"][2]["columns"]["score"] == [1 / 3]
    assert page["record"] is None


def test_the_record_names_versions_seeds_conventions_and_hashes(tmp_path: Path) -> None:
    matrix = SimilarityMatrix([[0.5]], ["rte"], ["mnli"], "flatten")
    report = Report("r").add_record(
        inputs={"matrix": matrix}, conventions={"gain": "linear"}, seeds=[0, 1]
    )
    record = json.loads(report.save(tmp_path / "r.json").read_text(encoding="utf-8"))["record"]
    assert record["versions"]["numpy"] == np.__version__
    assert (record["seeds"], record["conventions"]) == ([0, 1], {"gain": "linear"})
    assert record["inputs"]["matrix"]["sha256"] == content_hash(matrix)
    for page in (report.to_text(), report.to_html(), report.to_latex()):
        assert content_hash(matrix) in page


def test_a_hash_follows_content_and_nothing_else(tmp_path: Path) -> None:
    tokens = np.arange(6.0).reshape(2, 3)
    atlas = Atlas.from_arrays({"a": tokens, "b": tokens[:1]}, space="t5")
    assert content_hash(atlas) == content_hash(
        Atlas.from_arrays({"a": tokens.T.copy().T, "b": tokens[:1].tolist()}, space="t5")
    )
    others = [
        Atlas.from_arrays({"a": tokens, "b": tokens[:1]}, space="t6"),
        Atlas.from_arrays({"a": tokens[:1], "b": tokens}, space="t5"),
        Atlas.from_arrays({"b": tokens[:1], "a": tokens}, space="t5"),
        Atlas.from_arrays({"a": np.float32(tokens), "b": np.float32(tokens[:1])}, space="t5"),
        tokens,
        tokens.T,
        [1, 2],
        [[1], 2],
        "[1, 2]",
        {"a": 1, "b": 2},
        {"a": 2, "b": 1},
        None,
        True,
        1.0,
    ]
    hashes = [content_hash(content) for content in [atlas, *others]]
    assert len(set(hashes)) == len(hashes)
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("target,source,score", encoding="utf-8")
    assert content_hash(tmp_path / "one.csv") == content_hash(tmp_path / "two.csv")
    with pytest.raises(DTypeError, match="got object"):
        content_hash(object())


@pytest.mark.parametrize("text", [None, 3, b"bytes"])
def test_text_that_is_none_is_refused_by_name(text):
    with pytest.raises(DTypeError, match="text 'Why'"):
        Report("r").add_text("Why", text)


def test_labels_in_a_script_without_a_font_are_boxes_and_said_to_be():
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    axes.set_title("任務の転移")
    lacking = Report("r").add_figure("picture", axes, "Two tasks.").sections[0]
    assert lacking.image.startswith(b"\x89PNG")
    # On a machine with such a font nothing is missing and nothing is said.
    assert lacking.text in ("Two tasks.", f"Two tasks. {_BOXES}")
    axes.set_title("tasks")
    assert Report("r").add_figure("picture", axes, "Two.").sections[0].text == "Two."
    with pytest.raises(DTypeError, match="figure 'picture': got NoneType"):
        Report("r").add_figure("picture", None)
