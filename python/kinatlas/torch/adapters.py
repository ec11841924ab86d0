"""Live PEFT models become an atlas without touching the disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kinatlas._frames import require
from kinatlas.errors import DTypeError
from kinatlas.io.memory import atlas_from_states
from kinatlas.tasks import Atlas, LowRankAtlas

__all__ = ["atlas_from_peft"]


def atlas_from_peft(models: Any) -> Atlas | LowRankAtlas:
    """Return the atlas of live PEFT models, as if each had been saved and loaded.

    Parameters
    ----------
    models
        ``{task: PeftModel}``, each with its active adapter; or one PeftModel, whose adapters are
        the tasks.

    Raises
    ------
    DTypeError
        If something else than PEFT models is given.
    FormatError, SpaceError
        If an adapter cannot be compared, or the adapters belong to different base models.
    MissingDependencyError
        If peft is not installed.

    Examples
    --------
    >>> atlas_from_peft({"rte": "not a model"})
    Traceback (most recent call last):
    kinatlas.errors.DTypeError: task 'rte': got str, expected a PeftModel
    """
    if not isinstance(models, Mapping):
        adapters = dict.fromkeys(getattr(models, "peft_config", {}), models)
        pairs = {name: (model, name) for name, model in adapters.items()}
        if not pairs:
            raise DTypeError(f"models: got {type(models).__name__}, expected a PeftModel")
    else:
        pairs = {task: (model, None) for task, model in models.items()}
    states = {}
    for task, (model, name) in pairs.items():
        if not hasattr(model, "peft_config"):
            raise DTypeError(f"task {task!r}: got {type(model).__name__}, expected a PeftModel")
        peft = require("peft", "peft")
        adapter = name or model.active_adapter
        state = peft.get_peft_model_state_dict(model, adapter_name=adapter)
        tensors = {key: value.detach().cpu() for key, value in state.items()}
        states[task] = (tensors, _plain(model.peft_config[adapter].to_dict()))
    return atlas_from_states(states)


def _plain(value: Any) -> Any:
    """Configuration values as JSON holds them: enumerations by value, sets as lists."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    plain = getattr(value, "value", value)
    return plain if isinstance(plain, (str, int, float, bool, type(None))) else str(plain)
