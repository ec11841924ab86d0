"""Pages people read, out of finished results: text, Markdown, LaTeX, JSON, self-contained HTML."""

from kinatlas.report.page import Report
from kinatlas.report.record import content_hash

__all__ = ["Report", "content_hash"]
