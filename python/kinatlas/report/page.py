"""A report is a title and sections of text, tables and pictures, laid out three ways."""

from __future__ import annotations

import base64
import html
import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kinatlas._frames import Columns, Tabular, as_html, as_markdown, as_text
from kinatlas.errors import FormatError

__all__ = ["Report"]

_STYLE = (
    "p{white-space:pre-line}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}h1,h2{line-height:1.2}table{border-collapse:collapse;"
    "margin:1rem 0;font-size:.9rem}th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd}"
    "th{text-align:left;border-bottom:2px solid #999}td{font-variant-numeric:tabular-nums}"
    "caption{text-align:left;font-weight:600}img{max-width:100%;height:auto}figure{margin:1rem 0}"
    "figcaption{color:#555;font-size:.9rem}"
)


@dataclass(frozen=True)
class _Section:
    heading: str
    text: str = ""
    columns: Columns | None = None
    image: bytes | None = None


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
    sections: tuple[_Section, ...] = ()

    def add_text(self, heading: str, text: str) -> Report:
        """Add a section of plain text; blank lines part paragraphs.

        Examples
        --------
        >>> len(Report("r").add_text("Why", "Because.").sections)
        1
        """
        return self._with(_Section(heading, text))

    def add_table(self, heading: str, table: Tabular | Columns, text: str = "") -> Report:
        """Add a result or a mapping of columns as a table, with a sentence above it.

        Examples
        --------
        >>> "0.5000" in Report("r").add_table("t", {"score": [0.5]}).to_html()
        True
        """
        columns = table._columns() if isinstance(table, Tabular) else table
        return self._with(_Section(heading, text, columns=columns))

    def add_figure(self, heading: str, axes: Any, text: str = "") -> Report:
        """Add the figure that matplotlib Axes belong to, embedded as a PNG.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> page = Report("r").add_figure("picture", Figure().add_subplot()).to_html()
        >>> "data:image/png;base64," in page
        True
        """
        buffer = io.BytesIO()
        axes.figure.savefig(buffer, format="png", metadata={"Software": None})
        return self._with(_Section(heading, text, image=buffer.getvalue()))

    def _with(self, section: _Section) -> Report:
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
        lines = [self.title, "=" * len(self.title)]
        for section in self.sections:
            lines += ["", section.heading, "-" * len(section.heading)]
            lines += [section.text] if section.text else []
            lines += [as_text(section.columns)] if section.columns is not None else []
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """Return the report as Markdown, pictures left out.

        Examples
        --------
        >>> Report("Kin of RTE").to_markdown()
        '# Kin of RTE'
        """
        parts = [f"# {self.title}"]
        for section in self.sections:
            parts += [f"## {section.heading}"]
            parts += [section.text] if section.text else []
            parts += [as_markdown(section.columns)] if section.columns is not None else []
        return "\n\n".join(parts)

    def to_html(self) -> str:
        """Return one self-contained HTML page: escaped, no scripts, pictures inside.

        Examples
        --------
        >>> "<script>" in Report("<script>").to_html()
        False
        """
        title = html.escape(self.title)
        body = "".join(_section_html(section) for section in self.sections)
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report by the path's ending: ``.html``, ``.md`` or ``.txt``.

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
        writers = {".html": self.to_html, ".md": self.to_markdown, ".txt": self.to_text}
        if path.suffix not in writers:
            raise FormatError(f"report file '{path}': expected an ending of {', '.join(writers)}")
        path.write_text(writers[path.suffix](), encoding="utf-8")
        return path


def _section_html(section: _Section) -> str:
    parts = [f"<section><h2>{html.escape(section.heading)}</h2>"]
    parts += [f"<p>{html.escape(text)}</p>" for text in section.text.split("\n\n") if text]
    if section.columns is not None:
        parts.append(as_html(section.columns))
    if section.image is not None:
        picture = base64.b64encode(section.image).decode("ascii")
        label = html.escape(section.heading, quote=True)
        parts.append(f'<figure><img alt="{label}" src="data:image/png;base64,{picture}"></figure>')
    return "".join(parts) + "</section>"
