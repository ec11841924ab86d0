"""The scores by name: what each reads, promises and takes; the registry itself is in Rust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from kinatlas import _core
from kinatlas._checks import check_choice
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.errors import UnknownNameError

__all__ = [
    "DEFAULTS",
    "MethodInfo",
    "MethodTable",
    "checked_options",
    "method_info",
    "method_names",
    "method_table",
]

Needs = Literal["features", "probabilities", "source_labels"]

#: What every option is when it is not given; ``n_components=None`` means 5 a class.
DEFAULTS: Mapping[str, Any] = {
    "k": 5,
    "epsilon": 1e-4,
    "temperature": 1.0,
    "covariance": "spherical",
    "n_components": None,
    "variance_kept": 0.8,
    "rng": 0,
}


@dataclass(frozen=True)
class MethodInfo:
    """What one score reads and promises.

    Attributes
    ----------
    name, formula, summary
        The one name, the score in one line, and what a high score says.
    needs
        ``features`` [n, dim], ``probabilities`` [n, n_source_classes] of the source's own
        classes, or ``source_labels`` [n].
    range
        Lowest and highest score.
    scale_free, rotation_free, translation_free
        Multiplying all features by one positive number, turning them by an orthogonal matrix,
        adding one row to all examples: changes nothing beyond rounding.
    options
        Names of the options the score takes.
    source
        The paper of its definition.

    Examples
    --------
    >>> method_info("logme").translation_free
    False
    """

    name: str
    formula: str
    summary: str
    needs: Needs
    range: tuple[float, float]
    scale_free: bool
    rotation_free: bool
    translation_free: bool
    options: tuple[str, ...]
    source: str


_NLEEP = MethodInfo(
    name="nleep",
    formula="leep of the posteriors of a Gaussian mixture fitted to principal components",
    summary="As leep, for sources without classes: clusters of the features stand in for them.",
    needs="features",
    range=(float("-inf"), 0.0),
    scale_free=False,
    rotation_free=False,
    translation_free=False,
    options=("n_components", "variance_kept", "rng"),
    source="Li et al. 2021, arXiv 2011.11200",
)


@dataclass(frozen=True, repr=False)
class MethodTable(Tabular):
    """Every score, one a row; made by `method_table`.

    Examples
    --------
    >>> method_table().to_dict()["needs"][:3]
    ['features', 'features', 'probabilities']
    """

    methods: tuple[MethodInfo, ...]

    def _columns(self) -> dict[str, list[Any]]:
        def free(info: MethodInfo) -> str:
            kinds = ("scale", "rotation", "translation")
            return ", ".join(kind for kind in kinds if getattr(info, f"{kind}_free"))

        return {
            "method": [info.name for info in self.methods],
            "needs": [info.needs for info in self.methods],
            "free_of": [free(info) for info in self.methods],
            "options": [", ".join(info.options) for info in self.methods],
            "source": [info.source for info in self.methods],
        }

    def explain(self, method: str | None = None) -> str:
        """Return what a high score of a method says, or of every one, a line each.

        Raises `UnknownNameError` for a name that is no method.

        Examples
        --------
        >>> print(method_table().explain("parc"))
        parc: Whether examples of one class have the more similar features.
        """
        wanted = self.methods if method is None else (method_info(method),)
        return "\n".join(f"{info.name}: {info.summary}" for info in wanted)

    def __repr__(self) -> str:
        return as_text(self._columns())

    def _repr_html_(self) -> str:
        return as_html(self._columns(), "Transferability scores")


@cache
def _registry() -> dict[str, MethodInfo]:
    found: dict[str, MethodInfo] = {}
    for row in _core.transferability_methods():
        found[row["name"]] = MethodInfo(**{**row, "options": tuple(row["options"])})
        if row["name"] == "leep":
            found["nleep"] = _NLEEP
    return found


def method_names(needs: Needs | None = None) -> tuple[str, ...]:
    """Return the names of all scores, or of those that read one kind of input.

    Raises `UnknownNameError` for any other kind.

    Examples
    --------
    >>> method_names("probabilities"), method_names("source_labels")
    (('leep',), ('nce',))
    """
    if needs is None:
        return tuple(_registry())
    check_choice(needs, ("features", "probabilities", "source_labels"), "needs")
    return tuple(name for name, info in _registry().items() if info.needs == needs)


def method_info(name: str) -> MethodInfo:
    """Return what the score called ``name`` computes and promises.

    Raises `UnknownNameError`, with a suggestion, for a name that is no score.

    Examples
    --------
    >>> method_info("knn").options
    ('k',)
    >>> method_info("logmee")
    Traceback (most recent call last):
    kinatlas.errors.UnknownNameError: method='logmee' is unknown; did you mean 'logme'? ...
    """
    return _registry()[check_choice(name, method_names(), "method")]


def method_table() -> MethodTable:
    """Return the table of all scores: what each needs, what it is free of, where it is from.

    Examples
    --------
    >>> print(repr(method_table()).splitlines()[1][:57])
    logme         features       scale, rotation
    """
    return MethodTable(tuple(_registry().values()))


def checked_options(info: MethodInfo, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a score, those not given at their defaults.

    Raises `UnknownNameError` for an option the score does not take.

    Examples
    --------
    >>> checked_options(method_info("knn"), {})
    {'k': 5}
    """
    for name in options:
        if name not in info.options:
            taken = ", ".join(info.options) or "none"
            raise UnknownNameError(
                f"method '{info.name}' has no option {name!r}; its options are: {taken}"
            )
    return {name: options.get(name, DEFAULTS[name]) for name in info.options}
