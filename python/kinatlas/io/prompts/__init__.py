"""Prompts managed like releases: files named by their content, channels that move between them."""

from kinatlas.io.prompts.diff import PromptDiff
from kinatlas.io.prompts.record import PromptRecord, StoredPrompt
from kinatlas.io.prompts.store import PromptStore
from kinatlas.io.prompts.tables import PromptTable

__all__ = ["PromptDiff", "PromptRecord", "PromptStore", "PromptTable", "StoredPrompt"]
