"""The sections of a page in the layouts it can take."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kinatlas._frames import (
    Columns,
    as_html,
    as_latex,
    as_markdown,
    as_text,
    latex_escaped,
    markdown_text,
    one_line,
)
from kinatlas.report.record import plain

__all__ = ["Section", "html_page", "json_page", "latex_page", "markdown_page", "text_page"]

_STYLE = (
    "p{white-space:pre-line}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}h1,h2{line-height:1.2}table{border-collapse:collapse;"
    "margin:1rem 0;font-size:.9rem}th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd}"
    "th{text-align:left;border-bottom:2px solid #999}td{font-variant-numeric:tabular-nums;"
    "overflow-wrap:break-word}"
    "caption{text-align:left;font-weight:600}img{max-width:100%;height:auto}figure{margin:1rem 0}"
    "figcaption{color:#555;font-size:.9rem}"
)


@dataclass(frozen=True)
class Section:
    """A heading with text, a table, a picture, or several of them."""

    heading: str
    text: str = ""
    columns: Columns | None = None
    image: bytes | None = None


def text_page(title: str, sections: Sequence[Section]) -> str:
    """Return the page for a terminal, pictures left out."""
    lines = [one_line(title), "=" * len(one_line(title))]
    for section in sections:
        heading = one_line(section.heading)
        lines += ["", heading, "-" * len(heading)]
        lines += [section.text] if section.text else []
        lines += [as_text(section.columns)] if section.columns is not None else []
    return "\n".join(lines)


def markdown_page(title: str, sections: Sequence[Section]) -> str:
    """Return the page as Markdown, pictures left out."""
    parts = [f"# {markdown_text(one_line(title))}"]
    for section in sections:
        parts += [f"## {markdown_text(one_line(section.heading))}"]
        parts += [markdown_text(section.text)] if section.text else []
        parts += [as_markdown(section.columns)] if section.columns is not None else []
    return "\n\n".join(parts)


def latex_page(title: str, sections: Sequence[Section]) -> str:
    """Return the page as LaTeX sections to be included, pictures left out."""
    parts = [rf"\section{{{latex_escaped(one_line(title))}}}"]
    for section in sections:
        parts += [rf"\subsection{{{latex_escaped(one_line(section.heading))}}}"]
        parts += [latex_escaped(section.text)] if section.text else []
        parts += [as_latex(section.columns)] if section.columns is not None else []
    return "\n\n".join(parts) + "\n"


def json_page(title: str, sections: Sequence[Section], record: Mapping[str, Any] | None) -> str:
    """Return the page's numbers and its record as JSON; NaN and infinity become null."""
    content = {
        "title": title,
        "record": None if record is None else dict(record),
        "sections": [
            {"heading": section.heading, "text": section.text, "columns": section.columns}
            for section in sections
        ],
    }
    return json.dumps(_finite(plain(content)), indent=2, allow_nan=False) + "\n"


def html_page(title: str, sections: Sequence[Section]) -> str:
    """Return one self-contained page: escaped, no scripts, pictures inside."""
    title = html.escape(title)
    body = "".join(_section_html(section) for section in sections)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    )


def _section_html(section: Section) -> str:
    parts = [f"<section><h2>{html.escape(section.heading)}</h2>"]
    parts += [f"<p>{html.escape(text)}</p>" for text in section.text.split("\n\n") if text]
    if section.columns is not None:
        parts.append(as_html(section.columns))
    if section.image is not None:
        picture = base64.b64encode(section.image).decode("ascii")
        label = html.escape(section.heading, quote=True)
        parts.append(f'<figure><img alt="{label}" src="data:image/png;base64,{picture}"></figure>')
    return "".join(parts) + "</section>"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if -float("inf") < value < float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
