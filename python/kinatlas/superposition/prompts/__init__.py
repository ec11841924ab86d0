"""Prompts that mix tasks: families of tasks, exact or independent mixtures, clean queries."""

from __future__ import annotations

from kinatlas.superposition.prompts.building import (
    PromptSet,
    allocate_examples,
    build_prompts,
)
from kinatlas.superposition.prompts.families import Family, family, family_names

__all__ = [
    "Family",
    "PromptSet",
    "allocate_examples",
    "build_prompts",
    "family",
    "family_names",
]
