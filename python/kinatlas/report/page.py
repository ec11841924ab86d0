"""A report is a title and sections of text, tables and pictures, laid out in several ways."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kinatlas._frames import Columns, Tabular
from kinatlas.errors import DTypeError, FormatError, ShapeError
from kinatlas.report.layouts import (
    Section,
    html_page,
    json_page,
    latex_page,
    markdown_page,
    text_page,
)
from kinatlas.report.record import record_of

__all__ = ["Report"]

# What matplotlib warns of when a label is written in a script that its fonts do not have.
_GLYPH = re.compile(r"Glyph .* missing from")
_BOXES = "Characters that no installed font has are drawn as boxes."


@dataclass(frozen=True)
class Report:
    """A page in the making; every ``add_`` method returns a longer report.

    Examples
    --------
    >>> report = Report("Kin of RTE").add_text("Answer", "mnli comes first.")
    >>> report = report.add_table("Scores", {"source": ["mnli"], "score": [0.5]})
    >>> print(report.to_markdown())
    # Kin of RTE
    <BLANKLINE>
    ## Answer
    <BLANKLINE>
    mnli comes first.
    <BLANKLINE>
    ## Scores
    <BLANKLINE>
    | source | score |
    | --- | ---: |
    | mnli | 0.5000 |
    """

    title: str
    sections: tuple[Section, ...] = ()
    #: Versions, seeds, conventions and hashes of the inputs; see ``add_record``.
    record: Mapping[str, Any] | None = None

    def add_text(self, heading: str, text: str) -> Report:
        """Add a section of plain text; blank lines part paragraphs.

        Raises `DTypeError` for anything but text.

        Examples
        --------
        >>> len(Report("r").add_text("Why", "Because.").sections)
        1
        """
        if not isinstance(text, str):
            raise DTypeError(
                f"text '{heading}': got {type(text).__name__}, expected a text; a result goes in "
                "with add_table, or as result.explain()"
            )
        return self._with(Section(heading, text))

    def add_table(self, heading: str, table: Tabular | Columns, text: str = "") -> Report:
        """Add a result or a mapping of columns as a table, with a sentence above it.

        Raises `DTypeError` for anything else, and `ShapeError` for columns of unequal length.

        Examples
        --------
        >>> "0.5000" in Report("r").add_table("t", {"score": [0.5]}).to_html()
        True
        """
        columns = table._columns() if isinstance(table, Tabular) else table
        if not isinstance(columns, Mapping):
            raise DTypeError(
                f"table '{heading}': got {type(table).__name__}, expected a result or a mapping of "
                "columns (of a data frame: its to_dict('list'), or to_dict(as_series=False))"
            )
        if len({len(values) for values in columns.values()}) > 1:
            sizes = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
            raise ShapeError(f"table '{heading}': columns of unequal length ({sizes})")
        return self._with(Section(heading, text, columns=columns))

    def add_figure(self, heading: str, axes: Any, text: str = "") -> Report:
        """Add the figure that matplotlib Axes belong to, embedded as a PNG.

        Characters that no installed font has are drawn as boxes, and a sentence says so. Raises
        `DTypeError` for anything but Axes.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> page = Report("r").add_figure("picture", Figure().add_subplot()).to_html()
        >>> "data:image/png;base64," in page
        True
        """
        figure: Any = getattr(axes, "figure", None)
        if not hasattr(figure, "savefig"):
            raise DTypeError(
                f"figure '{heading}': got {type(axes).__name__}, expected matplotlib Axes, which "
                "every function of kinatlas.plotting returns"
            )
        buffer = io.BytesIO()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            figure.savefig(buffer, format="png", metadata={"Software": None})
        lacking = [own for own in seen if _GLYPH.match(str(own.message))]
        for own in seen:
            if own not in lacking:
                warnings.warn_explicit(own.message, own.category, own.filename, own.lineno)
        if lacking:
            text = f"{text} {_BOXES}".strip()
        return self._with(Section(heading, text, image=buffer.getvalue()))

    def add_record(
        self,
        *,
        inputs: Mapping[str, Any],
        conventions: Mapping[str, Any] | None = None,
        seeds: Any = None,
        heading: str = "How this page was made",
    ) -> Report:
        """Add versions, seeds, conventions and the SHA-256 of every input.

        Whoever has the same inputs finds the same hashes: an Atlas, a matrix, a transfer table or
        a file is hashed by what it holds, not by where it lies.

        Raises
        ------
        DTypeError
            If an input is none of these, nor made of arrays, numbers and texts.

        Examples
        --------
        >>> from kinatlas.tasks import Atlas
        >>> atlas = Atlas.from_arrays({"mnli": [1.0, 2.0]})
        >>> report = Report("r").add_record(inputs={"prompts": atlas}, seeds=[0])
        >>> report.record["inputs"]["prompts"]["sha256"][:12]
        'ba45e11da6f1'
        """
        record = record_of(inputs, conventions or {}, seeds)
        rows = [(f"version of {name}", value, "") for name, value in record["versions"].items()]
        rows += [] if seeds is None else [("seeds", str(record["seeds"]), "")]
        rows += [(name, str(value), "") for name, value in record["conventions"].items()]
        rows += [(name, seen["what"], seen["sha256"]) for name, seen in record["inputs"].items()]
        names = ("what", "value", "sha256")
        columns = {
            name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
        }
        return replace(self._with(Section(heading, columns=columns)), record=record)

    def _with(self, section: Section) -> Report:
        return replace(self, sections=(*self.sections, section))

    def to_text(self) -> str:
        """Return the report for a terminal, pictures left out.

        Examples
        --------
        >>> print(Report("Kin of RTE").add_text("Answer", "mnli comes first.").to_text())
        Kin of RTE
        ==========
        <BLANKLINE>
        Answer
        ------
        mnli comes first.
        """
        return text_page(self.title, self.sections)

    def to_markdown(self) -> str:
        """Return the report as Markdown, pictures left out.

        Examples
        --------
        >>> Report("Kin of RTE").to_markdown()
        '# Kin of RTE'
        """
        return markdown_page(self.title, self.sections)

    def to_latex(self) -> str:
        r"""Return the report as LaTeX to be included in a paper, pictures left out; no packages.

        Examples
        --------
        >>> print(Report("100 % of RTE").to_latex().strip())
        \section{100 \% of RTE}
        """
        return latex_page(self.title, self.sections)

    def to_json(self) -> str:
        """Return text, tables and record as JSON, pictures left out; NaN becomes null.

        Examples
        --------
        >>> import json
        >>> page = Report("r").add_table("t", {"score": [0.5, float("nan")]}).to_json()
        >>> json.loads(page)["sections"][0]["columns"]
        {'score': [0.5, None]}
        """
        return json_page(self.title, self.sections, self.record)

    def to_html(self) -> str:
        """Return one self-contained HTML page: escaped, no scripts, pictures inside.

        Examples
        --------
        >>> "<script>" in Report("<script>").to_html()
        False
        """
        return html_page(self.title, self.sections)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report by the path's ending: ``.html``, ``.md``, ``.txt``, ``.tex``, ``.json``.

        Raises
        ------
        FormatError
            For any other ending.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Report("r").save(folder / "r.md").read_text(encoding="utf-8")
        '# r'
        """
        path = Path(path)
        writers = {
            ".html": self.to_html,
            ".md": self.to_markdown,
            ".txt": self.to_text,
            ".tex": self.to_latex,
            ".json": self.to_json,
        }
        if path.suffix not in writers:
            raise FormatError(f"report file '{path}': expected an ending of {', '.join(writers)}")
        path.write_text(writers[path.suffix](), encoding="utf-8")
        return path
