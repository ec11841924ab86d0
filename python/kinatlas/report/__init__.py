"""Pages people read: text, Markdown and self-contained HTML out of finished results."""

from kinatlas.report.page import Report

__all__ = ["Report"]
