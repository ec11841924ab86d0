"""Where a task embedding comes from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Provenance"]


@dataclass(frozen=True)
class Provenance:
    """Where a task embedding comes from; every field may be unknown.

    Examples
    --------
    >>> Provenance(base_model="t5-base", method="PROMPT_TUNING", seed=42).describe()
    'base_model=t5-base, method=PROMPT_TUNING, seed=42'
    """

    base_model: str | None = None
    method: str | None = None
    seed: int | None = None
    step: int | None = None
    file: str | None = None
    file_hash: str | None = None
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the known fields on one line, the file hash shortened."""
        known = {
            "base_model": self.base_model,
            "method": self.method,
            "seed": self.seed,
            "step": self.step,
            "file": self.file,
            "sha256": self.file_hash and self.file_hash[:12],
        }
        return ", ".join(f"{key}={value}" for key, value in known.items() if value is not None)
