"""One prompt as a safetensors file whose metadata say where it comes from and how good it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_names
from kinatlas.errors import (
    DTypeError,
    FormatError,
    KinAtlasError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from kinatlas.io.parts import file_hash
from kinatlas.io.prompts.entries import Metric, as_evaluation, as_metric

__all__ = [
    "SHOWN",
    "Evaluation",
    "Metric",
    "PromptRecord",
    "StoredPrompt",
    "file_digest",
    "packed",
    "unpacked",
]

#: Digits of an id that people read.
SHOWN = 12
FORMAT, VERSION = "kinatlas.prompt", 1
_KEPT = ("float16", "float32", "float64")
_LABELS, _SCORES = "evaluation.labels", "evaluation.scores"
_TEXTS = ("task", "basis_key", "parent", "evaluated_on", "notes")
_JSON = ("sources", "metrics", "checks", "settings")


@dataclass(frozen=True)
class PromptRecord:
    """What is known of one prompt without its numbers; ``id`` is the SHA-256 of its file.

    ``metrics`` are numbers or (value, low, high); ``checks`` are statements that were true or
    false when it was added, such as ``{"old tasks unchanged": True}``; ``sources`` names the
    prompts it was made of, each with its id or an empty text.
    """

    id: str
    task: str
    basis_key: str
    sources: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    checks: Mapping[str, bool] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    evaluated_on: str = ""
    notes: str = ""

    def value(self, metric: str) -> float:
        """Return a metric without its interval; NaN where it was not measured.

        Examples
        --------
        >>> PromptRecord("ab", "ctr", "base", metrics={"auc": (0.7, 0.6, 0.8)}).value("auc")
        0.7
        """
        found = self.metrics.get(metric, math.nan)
        return float(found[0] if isinstance(found, tuple) else found)


@dataclass(frozen=True, eq=False)
class StoredPrompt:
    """A prompt read back: its record and its tensors by name, read-only."""

    record: PromptRecord
    tensors: Mapping[str, npt.NDArray[Any]]


#: Labels [n] of 0 and 1 and the scores [n] a prompt gave to the same rows.
Evaluation = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def packed(
    tensors: Mapping[str, npt.NDArray[Any]], record: PromptRecord, evaluation: Evaluation | None
) -> bytes:
    """Return the bytes of a prompt's file; the same prompt always gives the same bytes.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
        If a tensor is empty or holds anything but finite floating point numbers.
    FormatError
        If something that goes with it cannot be written as JSON.

    Examples
    --------
    >>> import numpy as np
    >>> record = PromptRecord("", "ctr", "base")
    >>> tensors = {"prompt.E": np.ones(2, np.float32)}
    >>> packed(tensors, record, None) == packed(dict(tensors), record, None)
    True
    """
    if not isinstance(tensors, Mapping):
        raise DTypeError(f"tensors: got {type(tensors).__name__}, expected {{name: array}}")
    named: dict[str, Any] = {name: tensors[name] for name in check_names(tensors, "tensor")}
    if not named:
        raise ShapeError("tensors: got none, expected at least one")
    for name in sorted({_LABELS, _SCORES} & set(named)):
        raise UnknownNameError(f"tensor {name!r}: the name is kept for the evaluation; rename it")
    if evaluation is not None:
        named |= dict(zip((_LABELS, _SCORES), as_evaluation(evaluation), strict=True))
    parts = []
    for name, values in sorted(named.items()):
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ShapeError(f"tensor {name!r}: {error}") from None
        if array.dtype.name not in _KEPT:
            raise DTypeError(f"tensor {name!r}: got {array.dtype}, expected {', '.join(_KEPT)}")
        if not array.size or not np.isfinite(array).all():
            wrong = "no numbers" if not array.size else "NaN or infinite numbers"
            raise NonFiniteError(f"tensor {name!r}: holds {wrong}")
        little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        raw = np.frombuffer(little.tobytes(), np.uint8)
        parts.append((name, array.dtype.name, list(array.shape), raw))
    texts = {name: getattr(record, name) for name in _TEXTS}
    try:
        texts |= {
            name: json.dumps(
                dict(getattr(record, name)), sort_keys=True, allow_nan=False, default=_plain
            )
            for name in _JSON
        }
    except (TypeError, ValueError) as error:
        raise FormatError(f"sources, metrics, checks and settings must be JSON: {error}") from None
    return _core.serialize_tensors(parts, {"format": FORMAT, "version": str(VERSION), **texts})


def unpacked(path: Path) -> tuple[StoredPrompt, Evaluation | None]:
    """Return a prompt's file, if its bytes still are what its name says, and its evaluation.

    Raises
    ------
    FormatError
        If it is missing, damaged, or no prompt's file of this version.

    Examples
    --------
    >>> unpacked(Path("nowhere/ab.safetensors"))
    Traceback (most recent call last):
    kinatlas.errors.FormatError: prompt ab is missing: no file nowhere/ab.safetensors
    """
    found = file_digest(path)
    if found != path.stem:
        raise FormatError(
            f"prompt {path.stem[:SHOWN]} is damaged: {path} has SHA-256 {found[:SHOWN]}...; put "
            "the file back from a copy"
        )
    try:
        texts, outline = _core.outline_tensors(str(path))
        if texts.get("format") != FORMAT or texts.get("version") != str(VERSION):
            raise FormatError(f"{path}: no prompt's file of version {VERSION}")
        fields: dict[str, Any] = {name: texts[name] for name in _TEXTS}
        fields |= {name: json.loads(texts[name]) for name in _JSON}
        fields["metrics"] = {
            name: as_metric(value, name) for name, value in fields["metrics"].items()
        }
        record = PromptRecord(found, **fields)
    except (KinAtlasError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: not a prompt's file: {error}") from None
    names = [name for name, _, _ in outline]
    arrays = [array for array, _ in _core.read_tensors(str(path), names)]
    for array in arrays:
        array.flags.writeable = False
    tensors = dict(zip(names, arrays, strict=True))
    labels, scores = tensors.pop(_LABELS, None), tensors.pop(_SCORES, None)
    evaluation = None if labels is None or scores is None else (labels, scores)
    return StoredPrompt(record, tensors), evaluation


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a prompt's file; raises FormatError if there is none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "empty").write_bytes(b"")
    ...     file_digest(Path(folder, "empty"))[:8]
    'e3b0c442'
    """
    try:
        return file_hash(path)
    except FileNotFoundError:
        raise FormatError(f"prompt {path.stem[:SHOWN]} is missing: no file {path}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no text, number, list or dict of them")
