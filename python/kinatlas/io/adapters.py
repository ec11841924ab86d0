"""Adapter folders of PEFT and AdapterHub."""

from __future__ import annotations

from kinatlas import _core
from kinatlas.errors import FormatError, KinAtlasError
from kinatlas.interop import widened
from kinatlas.io.parts import Options, Part, Skip, file_hash, space_of
from kinatlas.io.pickles import adapter_bytes
from kinatlas.io.scan import CONFIG, PICKLES, Source
from kinatlas.tasks import LowRank, Provenance

__all__ = ["parts_of", "read_adapter", "read_biases"]


def read_adapter(source: Source, options: Options) -> list[Part]:
    """Read one adapter folder as tokens or as a low-rank update [n_out, n_in] per module.

    Raises
    ------
    FormatError
        If the configuration is missing or contradicts the weights, or the weights are damaged.
    Skip
        If the method has no such reading, or needs a base model or a permission not given.
    """
    if source.config is None:
        raise FormatError(
            f"{source.path}: there is no {CONFIG} beside it; without it neither the method nor "
            "the scale of the update is known"
        )
    try:
        config = source.config.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{source.config}: not a UTF-8 text: {error}") from None
    base = [str(path) for path in options.base]
    if source.path.suffix in PICKLES:
        data, dropped = adapter_bytes(source.path, options)
        reading = _core.read_adapter_bytes(str(source.path), data, config, base)
        reading["skipped"] += dropped
    else:
        reading = _core.read_adapter(str(source.path), config, base)
    return parts_of(source, reading, file_hash(source.path))


def read_biases(source: Source, options: Options) -> list[Part]:
    """Read a plain file of biases as their difference to the base model, one token [1, dim]."""
    reading = _core.read_adapter(str(source.path), None, [str(path) for path in options.base])
    return parts_of(source, reading, file_hash(source.path))


def parts_of(source: Source, reading: _core.AdapterReading, digest: str | None) -> list[Part]:
    """Return what was read as parts, with the hash of the file they come from, if any.

    Raises `Skip` if nothing can be compared.
    """
    if not reading["parts"]:
        raise Skip(reading["reason"] or "nothing to compare")
    return [_part(source, reading, part, digest) for part in reading["parts"]]


def _part(
    source: Source, reading: _core.AdapterReading, part: _core.AdapterPart, digest: str | None
) -> Part:
    suffix, method, tokens = part["suffix"], part["method"], part["tokens"]
    notes = tuple(reading["notes"])
    base_model = reading["base_model"]
    if base_model is None:
        notes = (*notes, "the base model is not named; only files of one base model may meet")
    return Part(
        task=f"{source.task}/{suffix}" if suffix else source.task,
        space=space_of(base_model, "LOW_RANK" if tokens is None else method, part["layout"]),
        provenance=Provenance(
            base_model=base_model,
            method=method,
            file=source.file,
            file_hash=digest,
            notes=notes,
        ),
        tokens=tokens,
        factors=_factors(source, part),
        notes=notes,
        skipped_tensors=tuple(reading["skipped"]),
    )


def _factors(source: Source, part: _core.AdapterPart) -> dict[str, LowRank]:
    """Factors by module; a module pruned to rank 0 is a zero update, which absence means too."""
    factors = {}
    for module, a, b, scale, is_transposed in part["factors"] or []:
        if not a[0].size:
            continue
        try:
            factors[module] = LowRank(
                widened(*a), widened(*b), scale=scale, is_transposed=is_transposed
            )
        except KinAtlasError as error:
            raise type(error)(f"{source.path}, module {module!r}: {error}") from None
    return factors
