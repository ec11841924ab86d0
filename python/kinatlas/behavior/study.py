"""A study in one file: which boxes, which probes, how many answers."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinatlas._checks import check_choice
from kinatlas.behavior.boxes import BlackBox, Price
from kinatlas.behavior.endpoint import Endpoint
from kinatlas.behavior.probes import ProbeBank, builtin_bank
from kinatlas.behavior.prompted import PromptedModel
from kinatlas.errors import FormatError

__all__ = ["Study", "read_study"]


@dataclass(frozen=True)
class Study:
    """Boxes, probes, and answers wanted for each."""

    boxes: tuple[BlackBox, ...]
    bank: ProbeBank
    replicates: int = 1


def read_study(path: str | Path) -> Study:
    """Return the study that a JSON file describes.

    ``boxes`` is a list of ``{"kind": "endpoint", "model": ..., "base_url": ..., "template": ...,
    "verbalizers": {label: [words]}, "output": "text" or "logprobs", "params": {...},
    "price": {...}, "id": ...}`` and of ``{"kind": "python", "object": "module:name"}``, a box or a
    list of boxes. ``probes`` is ``{"bank": "builtin" or a CSV with columns text and stratum,
    "first": n}``. ``replicates`` is a number. Keys of endpoints come from the environment.

    Raises
    ------
    FormatError
        If the file is not such a description.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "study.json"
    ...     _ = file.write_text('{"boxes": [], "probes": {"bank": "builtin", "first": 64}}')
    ...     len(read_study(file).bank)
    64
    """
    file = Path(path)
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(given, dict):
            raise FormatError(f"{file}: expected a JSON object")
        boxes: list[BlackBox] = []
        for entry in given.get("boxes", []):
            boxes += _boxes(dict(entry))
        probes = dict(given.get("probes", {"bank": "builtin"}))
        bank = _bank(str(probes.get("bank", "builtin")), file.parent)
        if "first" in probes:
            bank = bank.first(int(probes["first"]))
        return Study(tuple(boxes), bank, int(given.get("replicates", 1)))
    except (json.JSONDecodeError, AttributeError, KeyError, TypeError, UnicodeDecodeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{file}: not a study ({type(error).__name__}: {error})") from None


def _bank(name: str, folder: Path) -> ProbeBank:
    if name == "builtin":
        return builtin_bank()
    with (folder / name).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or "text" not in rows[0]:
        raise FormatError(f"{name}: expected a CSV with a column 'text', and perhaps 'stratum'")
    return ProbeBank.from_texts(
        [row["text"] for row in rows], [row.get("stratum") or "" for row in rows]
    )


def _boxes(entry: dict[str, Any]) -> list[BlackBox]:
    kind = check_choice(entry.pop("kind", None), ("endpoint", "python"), "kind of box")
    if kind == "python":
        module, _, name = str(entry["object"]).partition(":")
        found = getattr(importlib.import_module(module), name)
        return list(found) if isinstance(found, (list, tuple)) else [found]
    words, template = entry.pop("verbalizers", None), entry.pop("template", "{text}")
    name = entry.pop("id", None)
    if "api_key" in entry:
        raise FormatError(
            "api_key does not belong into a study; set OPENAI_API_KEY in the environment"
        )
    price = entry.pop("price", None)
    model = Endpoint(price=Price(**price) if isinstance(price, Mapping) else None, **entry)
    return [PromptedModel(model, template, words, id=name)]
