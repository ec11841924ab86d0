"""Which files lie below a path, and what each of them is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CONFIG", "Source", "scan"]

CONFIG = "adapter_config.json"
#: Weights beside a configuration, in order of preference: PEFT, then AdapterHub; pickles last.
ADAPTER_WEIGHTS = (
    "adapter_model.safetensors",
    "adapter.safetensors",
    "adapter_model.bin",
    "pytorch_adapter.bin",
)
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
#: File names that say nothing about the task; the folder does.
NAMED_BY_FOLDER = {"encoder.prompt.prompt.prompt", "prefix_shared.bin"}
WHOLE_MODEL = re.compile(
    r"(pytorch_model|model|diffusion_pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)"
    r"|(pytorch_model_head|model_head)\.(safetensors|bin)"
)
TRAINING_STATE = re.compile(
    r"(training_args|optimizer|scheduler|scaler|rng_state.*|trainer_state)\.(bin|pt|pth)"
)
NUMPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True)
class Source:
    """One thing to read: its kind, the weights file, and what its task is called."""

    kind: str
    path: Path
    task: str
    file: str
    config: Path | None = None
    reason: str | None = None
    #: Whether ``path`` is what the caller named, so that members need no prefix.
    is_root: bool = False

    def member(self, key: str, *, is_only: bool) -> str:
        """Return the name of one of several tasks in this file.

        Examples
        --------
        >>> source = Source("npz", Path("a/prompts.npz"), "a/prompts", "a/prompts.npz")
        >>> source.member("rte", is_only=False), source.member("rte", is_only=True)
        ('a/prompts/rte', 'a/prompts')
        """
        if is_only:
            return self.task
        return key if self.is_root else f"{self.task}/{key}"


def scan(root: Path) -> Iterator[Source]:
    """Yield everything below ``root`` (a folder or one file) in path order, hidden files left out.

    Raises
    ------
    OSError
        If the path does not exist or a folder cannot be listed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "notes.txt").write_text("hello")
    ...     [(source.kind, source.file) for source in scan(Path(folder))]
    [('other', 'notes.txt')]
    """
    if root.is_file():
        config = root.with_name(CONFIG)
        adapter = root.name in ADAPTER_WEIGHTS and config.is_file()
        kind, reason = ("adapter", None) if adapter else _kind_of(root)
        name = root.resolve().parent.name if adapter or _is_named_by_folder(root) else root.stem
        yield Source(kind, root, name, root.name, config if adapter else None, reason, True)
        return
    if not root.exists():
        raise FileNotFoundError(f"{root}: there is no such file or folder")
    yield from _scan_folder(root, root, frozenset())


def _scan_folder(folder: Path, root: Path, above: frozenset[Path]) -> Iterator[Source]:
    real = folder.resolve()
    if real in above:  # a link back to a folder above would never end
        return
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        if folder == root:
            raise
        file = _relative(folder, root)
        yield Source("other", folder, file, file, None, f"cannot be listed: {error.strerror}")
        return
    files = [path for path in entries if path.is_file()]
    for path in entries:
        if not (path.is_file() or path.is_dir()):
            file = _relative(path, root)
            yield Source("other", path, file, file, None, "a broken link, or no regular file")
    yield from _scan_files(files, folder, root)
    for path in entries:
        if path.is_dir():
            yield from _scan_folder(path, root, above | {real})


def _scan_files(files: list[Path], folder: Path, root: Path) -> Iterator[Source]:
    by_name = {path.name: path for path in files}
    config = by_name.pop(CONFIG, None)
    weights = [by_name.pop(name) for name in ADAPTER_WEIGHTS if name in by_name]
    task = _relative(folder, root) or root.resolve().name
    for index, path in enumerate(weights):
        file = _relative(path, root)
        if config is not None and index > 0:
            twice = f"the same adapter was read from {weights[0].name}"
            yield Source("adapter", path, task, file, config, twice)
        else:
            yield Source("adapter", path, task, file, config)
    if config is not None and not weights:
        alone = f"no weights beside it, expected one of: {', '.join(ADAPTER_WEIGHTS)}"
        yield Source("adapter", config, task, _relative(config, root), config, alone)
    for path in by_name.values():
        kind, reason = _kind_of(path)
        file = _relative(path, root)
        named = task if _is_named_by_folder(path) else _without_suffix(file)
        yield Source(kind, path, named, file, None, reason)


def _kind_of(path: Path) -> tuple[str, str | None]:
    if WHOLE_MODEL.fullmatch(path.name):
        return "other", "weights of a whole model or of a prediction head"
    if TRAINING_STATE.fullmatch(path.name):
        return "other", "state of a training run"
    suffix = path.suffix.lower()
    if suffix in {".npz", ".npy", ".safetensors"}:
        return suffix[1:], None
    if suffix in PICKLES:
        return "pickle", None
    try:
        with path.open("rb") as file:
            if file.read(len(NUMPY_MAGIC)) == NUMPY_MAGIC:
                return "npy", None
    except OSError as error:
        return "other", f"cannot be opened: {error.strerror}"
    return "other", "not a format that holds task embeddings"


def _is_named_by_folder(path: Path) -> bool:
    return path.name in NAMED_BY_FOLDER


def _relative(path: Path, root: Path) -> str:
    relative = path.relative_to(root).as_posix()
    return "" if relative == "." else relative


def _without_suffix(file: str) -> str:
    stem = re.sub(r"\.(npz|npy|safetensors|bin|pt|pth|pkl|pickle|ckpt)$", "", file, flags=re.I)
    return stem or file
