"""Names nobody planned for stay names in every layout, and hashes follow all that an input says."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from kinatlas import Report, SimilarityMatrix, TransferTable, rank_sources
from kinatlas.report import content_hash

ODD = {"source": ["[MASK]", "*", "<b>|x", "two\n\nlines"], "score": [0.5, 0.25, 0.0, 1.0]}


def test_latex_takes_no_name_for_an_option_and_prints_angles_and_bars() -> None:
    page = Report("a\n\nb").add_text("c\n\nd", "e").add_table("t", ODD).to_latex()
    rows = page.split(r"\hline")[2].strip().splitlines()
    assert rows == [
        r"{[}MASK] & 0.5000 \\",
        r"{*} & 0.2500 \\",
        r"\textless{}b\textgreater{}\textbar{}x & 0.0000 \\",
        r"two lines & 1.0000 \\",
    ]
    # A blank line would end the paragraph inside the braces.
    assert r"\section{a b}" in page
    assert r"\subsection{c d}" in page


def test_markdown_passes_no_tag_on_and_keeps_headings_on_a_line() -> None:
    page = Report("<i>a\nb").add_text("<u>c\nd", "<script>x</script>").add_table("t", ODD)
    lines = page.to_markdown().splitlines()
    assert lines[0] == r"# \<i>a b"
    assert lines[2:5] == [r"## \<u>c d", "", r"\<script>x\</script>"]
    assert lines[-2:] == [r"| \<b>\|x | 0.0000 |", "| two lines | 1.0000 |"]


def test_text_keeps_a_row_on_a_line() -> None:
    assert Report("r").add_table("t", ODD).to_text().splitlines()[-1] == "two lines  1.0000"


def test_a_hash_knows_units_unmeasured_names_and_the_target() -> None:
    half = np.full((1, 1, 1), 0.5)
    percent, fraction = (
        TransferTable(half, ("t",), ("a",), units=units) for units in ("percent", "fraction")
    )
    assert content_hash(percent) != content_hash(fraction)
    wider = TransferTable(np.array([[[0.5], [np.nan]]]), ("t",), ("a", "b"))
    assert content_hash(wider) != content_hash(fraction)
    again = TransferTable(half.copy(), ("t",), ("a",), units="fraction")
    assert content_hash(again) == content_hash(fraction)
    matrix = SimilarityMatrix([[1.0, 2.0]] * 2, ["t", "u"], ["a", "b"], "k")
    first, second = (rank_sources(matrix, target) for target in ("t", "u"))
    assert content_hash(first) != content_hash(second)


def test_a_hash_of_objects_is_the_same_in_another_session() -> None:
    code = (
        "import numpy as np; from kinatlas.report import content_hash; "
        "print(content_hash(np.array(['a' + str(n) for n in range(3)], dtype=object)))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
            for _ in range(2)]  # fmt: skip
    names = np.array([f"a{n}" for n in range(3)], dtype=object)
    assert runs[0].stdout == runs[1].stdout == f"{content_hash(names)}\n".encode()
