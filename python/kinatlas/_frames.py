"""Columns of a result in whichever form the caller reads: a data frame, a dict, a page.

A result describes itself once, as ordered columns of equal length; everything here is layout.
No data frame library is imported before it is asked for.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from kinatlas._arrow import column_of, struct_stream
from kinatlas._checks import require

__all__ = [
    "Columns",
    "Tabular",
    "as_html",
    "as_latex",
    "as_markdown",
    "as_text",
    "latex_escaped",
    "markdown_text",
    "one_line",
    "require",
]

#: Ordered columns, name to values, all of one length.
Columns: TypeAlias = Mapping[str, Sequence[object]]

_ROWS_SHOWN = 20  # one screen of 24 lines, less a title, a header and a footer
_DIGITS = 4
_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # In LaTeX's default encoding these print as other signs.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # After the end of a row these would be its options.
    "[": "{[}",
    "*": "{*}",
}


class Tabular:
    """Exports of a result that can be laid out as columns; a subclass gives ``_columns``.

    Examples
    --------
    >>> class Scores(Tabular):
    ...     def _columns(self):
    ...         return {"source": ["mnli"], "score": [0.5]}
    >>> Scores().to_dict()
    {'source': ['mnli'], 'score': [0.5]}
    >>> Scores().to_pandas().shape, Scores().to_polars().shape, Scores().to_arrow().shape
    ((1, 2), (1, 2), (1, 2))
    >>> print(Scores().to_markdown())
    | source | score |
    | --- | ---: |
    | mnli | 0.5000 |
    >>> Scores().to_latex().splitlines()[0]
    '\\\\begin{tabular}{lr}'
    """

    def _columns(self) -> dict[str, list[Any]]:
        raise NotImplementedError

    def _arrow_columns(self) -> dict[str, Any]:
        """Columns as Arrow arrays; a subclass with many rows builds them without Python lists."""
        return {name: column_of(values) for name, values in self._columns().items()}

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Lend the columns to any Arrow reader; needs nanoarrow (extra ``dataframe``).

        There is one way to lend them, so a requested schema, a wish in the protocol, is not met.
        """
        return struct_stream(self._arrow_columns()).__arrow_c_stream__()

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists by column name, ready for JSON."""
        return self._columns()

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame``; raises `MissingDependencyError` without pandas."""
        return require("pandas", "dataframe").DataFrame(self._columns())

    def to_polars(self) -> Any:
        """Return a ``polars.DataFrame``; raises `MissingDependencyError` without polars."""
        return require("polars", "dataframe").DataFrame(self._columns(), strict=False)

    def to_arrow(self) -> Any:
        """Return a ``pyarrow.Table``; raises `MissingDependencyError` without pyarrow."""
        return require("pyarrow", "dataframe").table(self._columns())

    def to_markdown(self) -> str:
        """Return a Markdown table."""
        return as_markdown(self._columns())

    def to_latex(self) -> str:
        """Return a LaTeX ``tabular`` without packages."""
        return as_latex(self._columns())


def as_markdown(columns: Columns) -> str:
    """Return columns as a Markdown table.

    Examples
    --------
    >>> print(as_markdown({"source": ["a|b"], "score": [0.5]}))
    | source | score |
    | --- | ---: |
    | a\\|b | 0.5000 |
    """

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    rules = ["---:" if _is_numeric(values) else "---" for values in columns.values()]
    head = [_markdown_escaped(name) for name in columns]
    body = [line(row) for row in _rows(columns, _markdown_escaped)]
    return "\n".join([line(head), line(rules), *body])


def as_latex(columns: Columns) -> str:
    r"""Return columns as a LaTeX table that needs no package.

    Examples
    --------
    >>> print(as_latex({"source": ["a_b"], "score": [0.5]}))
    \begin{tabular}{lr}
    \hline
    source & score \\
    \hline
    a\_b & 0.5000 \\
    \hline
    \end{tabular}
    """
    rules = "".join("r" if _is_numeric(values) else "l" for values in columns.values())
    lines = [" & ".join(row) + r" \\" for row in _rows(columns, _latex_cell)]
    head = " & ".join(latex_escaped(name) for name in columns) + r" \\"
    frame = [rf"\begin{{tabular}}{{{rules}}}", r"\hline", head, r"\hline"]
    return "\n".join([*frame, *lines, r"\hline", r"\end{tabular}"])


def as_html(columns: Columns, title: str = "", *, max_rows: int | None = None) -> str:
    """Return columns as an HTML table of at most ``max_rows`` rows; every text is escaped.

    Examples
    --------
    >>> "&lt;script&gt;" in as_html({"source": ["<script>"]})
    True
    """
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    sides = ["right" if _is_numeric(values) else "left" for values in columns.values()]
    n_rows = len(next(iter(columns.values()), ()))
    shown = {name: values[:max_rows] for name, values in columns.items()}
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align: {side}">{cell}</td>'
            for side, cell in zip(sides, row, strict=True)
        )
        + "</tr>"
        for row in _rows(shown, html.escape)
    )
    hidden = n_rows - len(next(iter(shown.values()), ()))
    more = f"<p>and {hidden} more rows</p>" if hidden else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def as_text(columns: Columns, *, max_rows: int = _ROWS_SHOWN) -> str:
    """Return columns aligned for a terminal, at most ``max_rows`` rows of them.

    Examples
    --------
    >>> print(as_text({"source": ["mnli", "rte"], "score": [0.5, 12.25]}))
    source    score
    mnli     0.5000
    rte     12.2500
    """
    n_rows = len(next(iter(columns.values()), ()))
    shown = {name: list(values[:max_rows]) for name, values in columns.items()}
    cells = [list(columns), *_rows(shown, one_line)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    right = [_is_numeric(values) for values in columns.values()]
    lines = [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    if n_rows > max_rows:
        lines.append(f"... and {n_rows - max_rows} more rows")
    return "\n".join(lines)


def _rows(columns: Columns, escape: Callable[[str], str]) -> list[list[str]]:
    return [[escape(_shown(value)) for value in row] for row in zip(*columns.values(), strict=True)]


def _latex_cell(text: str) -> str:
    return latex_escaped(one_line(text))


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_DIGITS}f}" if math.isfinite(value) else str(value)
    return str(value)


def _is_numeric(values: Sequence[object]) -> bool:
    return any(isinstance(value, int | float) for value in values) and not any(
        isinstance(value, str | bool) for value in values
    )


def _markdown_escaped(text: str) -> str:
    return markdown_text(one_line(text)).replace("|", "\\|")


def markdown_text(text: str) -> str:
    """Return text that holds no HTML tag for Markdown to pass on; line breaks stay.

    Examples
    --------
    >>> print(markdown_text("<script> & a*b"))
    \\<script> & a\\*b
    """
    return "".join("\\" + sign if sign in "\\<*`" else sign for sign in text)


def one_line(text: str) -> str:
    """Return text with every run of blanks and line breaks as one blank, for headings and cells.

    Examples
    --------
    >>> one_line("a\\n\\n b")
    'a b'
    """
    return " ".join(text.split())


def latex_escaped(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(_LATEX.get(character, character) for character in text)
