"""The floors of the house: who may import whom, read from the sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / "python" / "kinatlas"
RUST = ROOT / "src"

GROUND = [
    "errors",
    "_core",
    "interop",
    "_checks",
    "_seeds",
    "_answers",
    "_arrow_text",
    "_arrow",
    "_frames",
    "_progress",
    "tasks",
]
FLOORS = [
    {
        "io",
        "embeddings",
        "behavior",
        "similarity",
        "composition",
        "icl",
        "superposition",
        "transferability",
    },
    {"selection", "distributed"},
    {"evaluation"},
    # A noise ceiling is an evaluation of one seed by another.
    {"consistency"},
    {"report", "plotting", "datasets"},
    {"cli", "__main__"},
]
BESIDE = {"torch", "sklearn"}
TWINS = {
    "_reference",
    "_reference_behavior",
    "_reference_composition",
    "_reference_consistency",
    "_reference_embeddings",
    "_reference_evaluation",
    "_reference_superposition",
    "_reference_transferability",
}
FACADE = {"__init__", "kinatlas"}
FRAMEWORKS = {"torch", "jax", "tensorflow", "transformers", "peft"}
OPTIONAL = FRAMEWORKS | {
    "aiolimiter",
    "babel",
    "dask",
    "distributed",
    "faiss",
    "matplotlib",
    "nanoarrow",
    "narwhals",
    "num2words",
    "openai",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "scipy",
    "sklearn",
    "tenacity",
    "tqdm",
    "typer",
}

RUST_GROUND = {
    "error",
    "element",
    "files",
    "tokens",
    "linalg",
    "random",
    "resampling",
    "threads",
}
# The same floors as in Python: numbers about an order stand on the order.
RUST_FLOORS = {"evaluation": {"selection"}, "consistency": {"selection", "evaluation"}}
MAX_LINES = 300


def room_of(path: Path) -> str:
    first = path.relative_to(PYTHON).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules a file imports, each with whether it happens when the file is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    checking = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    found = []
    for node in ast.walk(tree):
        eager = id(node) not in inside and id(node) not in checking
        if isinstance(node, ast.Import):
            found += [(alias.name, eager) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, eager))
            if node.module == "kinatlas":
                found += [(f"kinatlas.{alias.name}", eager) for alias in node.names]
    return found


def allowed(room: str) -> set[str] | None:
    """Rooms that ``room`` may import; None where everything is open."""
    if room in FACADE or room in FLOORS[-1]:
        return None
    if room in GROUND:
        return set(GROUND[: GROUND.index(room)])
    if room == "sklearn":
        return set(GROUND).union(*FLOORS[:3])
    if room in BESIDE:
        beside = {"behavior", "embeddings", "composition", "icl", "io", "superposition"}
        return set(GROUND) | beside
    if room in TWINS:
        return set(GROUND)
    floor = next(number for number, rooms in enumerate(FLOORS) if room in rooms)
    return set(GROUND).union(*FLOORS[:floor]) if floor else set(GROUND)


PYTHON_FILES = sorted(PYTHON.rglob("*.py"))


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PYTHON)))
def test_a_room_imports_only_from_the_floors_below(path: Path) -> None:
    room = room_of(path)
    known = set(GROUND) | set().union(*FLOORS) | BESIDE | TWINS | FACADE
    assert room in known, f"{path} belongs to no room of the house"
    may = allowed(room)
    for module, _ in imports(path):
        if not module.startswith("kinatlas."):
            continue
        other = module.split(".")[1]
        if may is None or other == room or other not in known:
            continue
        assert other in may, f"{path.name} (room {room}) imports {module}"


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PYTHON)))
def test_optional_packages_are_imported_inside_functions(path: Path) -> None:
    room = room_of(path)
    for module, eager in imports(path):
        package = module.split(".")[0]
        if room in BESIDE and package == room:
            continue
        if room in FLOORS[-1] and package in {"typer", "rich"}:
            continue
        assert not (eager and package in OPTIONAL), f"{path.name} loads {module} at import"


@pytest.mark.parametrize("beside", sorted(BESIDE))
def test_nothing_below_imports_the_rooms_of_frameworks(beside: str) -> None:
    for path in PYTHON_FILES:
        if room_of(path) not in BESIDE:
            assert all(not module.startswith(f"kinatlas.{beside}") for module, _ in imports(path))


@pytest.mark.parametrize(
    "path",
    [*PYTHON_FILES, *sorted(RUST.rglob("*.rs")), *sorted((ROOT / "tests").rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_file_is_longer_than_three_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def rust_room(path: Path) -> str:
    return path.relative_to(RUST).parts[0].removesuffix(".rs")


@pytest.mark.parametrize("path", sorted(RUST.rglob("*.rs")), ids=lambda path: path.name)
def test_rust_rooms_stand_on_the_ground_and_on_lower_floors_only(path: Path) -> None:
    room = rust_room(path)
    if room in {"lib", "py"}:
        return
    used = set(re.findall(r"\bcrate::(\w+)", path.read_text(encoding="utf-8")))
    order = ["error", "element", "files", "tokens", "threads", "random", "linalg", "resampling"]
    may = set(order[: order.index(room)]) if room in order else RUST_GROUND
    may = may | RUST_FLOORS.get(room, set())
    assert used <= may | {room}, f"{path} uses {sorted(used - may - {room})}"


def test_only_the_binding_room_knows_python() -> None:
    for path in RUST.rglob("*.rs"):
        if rust_room(path) not in {"py", "lib"}:
            assert "pyo3" not in path.read_text(encoding="utf-8"), path


def test_unsafe_lives_only_where_it_may() -> None:
    may = {RUST / "files.rs"}
    for path in RUST.rglob("*.rs"):
        if path in may or RUST / "linalg" / "simd" in path.parents:
            continue
        code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        assert not re.search(r"\bunsafe\s*(\{|fn|impl)", code), path


def test_no_binding_function_is_longer_than_fifteen_lines() -> None:
    for path in (RUST / "py").rglob("*.rs"):
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"#\[pyfunction\].*?\n\}", text, re.DOTALL):
            body = match.group(0).split("{", 1)[1]
            assert len(body.splitlines()) <= 17, f"{path}: {match.group(0)[:80]}"


def test_no_rust_outside_tests_can_panic_on_purpose() -> None:
    for path in RUST.rglob("*.rs"):
        if path.name == "tests.rs":
            continue
        code = path.read_text(encoding="utf-8").split("#[cfg(test)]")[0]
        code = re.sub(r"//.*", "", code)
        assert not re.search(r"\.unwrap\(\)|\.expect\(|\bpanic!|\btodo!|unimplemented!", code), path


def test_every_rust_file_belongs_to_a_module() -> None:
    declared = set()
    for path in RUST.rglob("*.rs"):
        declared |= set(re.findall(r"^\s*(?:pub )?mod (\w+);", path.read_text(), re.MULTILINE))
    for path in RUST.rglob("*.rs"):
        name = path.parent.name if path.name == "mod.rs" else path.stem
        assert name == "lib" or name in declared, f"{path} is declared by nobody"
