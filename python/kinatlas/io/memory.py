"""Adapters that live in memory: the same reading as from disk, without a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kinatlas import _core
from kinatlas.errors import FormatError
from kinatlas.interop import as_stored
from kinatlas.io.adapters import parts_of
from kinatlas.io.build import as_atlas, chosen
from kinatlas.io.parts import Part, Skip
from kinatlas.io.scan import Source
from kinatlas.tasks import Atlas, LowRankAtlas

__all__ = ["atlas_from_states"]


def atlas_from_states(
    states: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> Atlas | LowRankAtlas:
    """Return the atlas of adapters ``{task: (tensors by name, adapter configuration)}``.

    Names and configuration are those PEFT writes to a folder; `load_atlas` reads them from there.

    Raises
    ------
    FormatError
        If the configuration contradicts the tensors, or there is nothing to compare.
    SpaceError
        If the adapters belong to different base models or methods.

    Examples
    --------
    >>> import numpy as np
    >>> config = {"peft_type": "PROMPT_TUNING", "base_model_name_or_path": "t5-small",
    ...           "task_type": "CAUSAL_LM", "num_virtual_tokens": 3, "token_dim": 4}
    >>> atlas_from_states({"rte": ({"prompt_embeddings": np.ones((3, 4))}, config)})["rte"]
    Task 'rte': 3 tokens of dim 4, float64, space 't5-small|PROMPT_TUNING|dim=4'
    """
    parts: list[Part] = []
    for task, (tensors, config) in states.items():
        label = f"adapter {task!r}"
        named = []
        for name, tensor in tensors.items():
            array, dtype = as_stored(tensor.reshape(1, -1), f"{label}, tensor {name!r}")
            named.append((name, dtype, list(tensor.shape), array.reshape(-1).view("uint8")))
        data = _core.serialize_tensors(named, {})
        reading = _core.read_adapter_bytes(label, data, json.dumps(dict(config)), [])
        source = Source("adapter", Path(label), task, label)
        try:
            parts += parts_of(source, reading, None)
        except Skip as reason:
            raise FormatError(f"{label}: {reason}") from None
    if not parts:
        raise FormatError("states: got no adapter, expected at least one")
    picked, space = chosen(parts, None, None, "adapters in memory")
    return as_atlas(picked, space, None)
