"""What can be done to all tokens of an atlas before they are compared; each step is recorded."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_same_dim, check_same_space
from kinatlas.errors import NonFiniteError, ShapeError
from kinatlas.interop import as_stored, widened
from kinatlas.tasks.diagnosis import AtlasDiagnosis, diagnose_tokens
from kinatlas.tasks.dominant import DominantCoordinates
from kinatlas.tasks.packing import pack
from kinatlas.tasks.provenance import Provenance
from kinatlas.tasks.task import Task
from kinatlas.tasks.whitening import Whitening

if TYPE_CHECKING:
    from kinatlas.tasks.atlas import Atlas

__all__ = ["Normalising"]

_SUBTRACTED = "less an initial prompt"


class Normalising:
    """The part of an `Atlas` that moves, drops or rescales coordinates."""

    names: tuple[str, ...]
    space: str
    dtype: str
    provenance: tuple[Provenance, ...]
    report: Any
    _buffer: npt.NDArray[Any]
    _offsets: npt.NDArray[np.int64]

    def center(self, how: Literal["features", "positions"]) -> Atlas:
        """Return the tasks less the atlas's mean token, or less its mean at each position.

        The result is float64 and lives in a space of its own, since its origin has moved: tasks
        that were centred with other tasks do not meet these.

        Raises
        ------
        UnknownNameError
            For any other word.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[3.0, 0.0]]})
        >>> atlas.center("features")["rte"].tokens
        array([[1., 0.]])
        """
        check_choice(how, ("features", "positions"), "how")
        of = hashlib.sha256(f"{self.dtype} {self._offsets.tolist()} ".encode())
        of.update(self._buffer.tobytes())
        return self._moved(how, f"center={how}", of.hexdigest()[:8])

    def subtract(self, initial: Any) -> Atlas:
        """Return the tasks less an initial prompt [n_tokens, dim], or less one token [dim].

        The result is float64 and lives in a space of its own, since its origin has moved: tasks
        less another initial prompt do not meet these.

        Raises
        ------
        SpaceError
            If the initial prompt is a task of another space.
        ShapeError
            If a task has another number of tokens or another width than the initial prompt.
        DTypeError, NonFiniteError
            If the initial prompt is not floating point, or holds NaN or infinity.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0], [2.0, 5.0]]})
        >>> atlas.subtract([[1.0, 0.0], [0.0, 5.0]])["mnli"].tokens
        array([[0., 0.],
               [2., 0.]])
        """
        if isinstance(initial, Task):
            check_same_space(self.space, initial.space, "tasks", "the initial prompt")
        wide, digest = self._checked_initial(initial)
        return self._moved(wide, _SUBTRACTED, digest)

    def add_back(self, initial: Any, *, space: str) -> Atlas:
        """Return the tasks as they were in ``space`` before `subtract`, up to rounding.

        Raises
        ------
        SpaceError
            If ``subtract(initial)`` of a ``space`` atlas did not make these tasks.
        ShapeError, DTypeError, NonFiniteError
            As in `subtract`.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> start = [[1.0, 0.0]]
        >>> moved = Atlas.from_arrays({"mnli": [[3.0, 5.0]]}, space="bert").subtract(start)
        >>> back = moved.add_back(start, space="bert")
        >>> back["mnli"].tokens, back.space
        (array([[3., 5.]]), 'bert')
        """
        wide, digest = self._checked_initial(initial)
        check_same_space(f"{space}|{_SUBTRACTED}|{digest}", self.space, "initial prompt", "tasks")
        return self._moved(-wide, "initial prompt added back", "", space)

    def _checked_initial(self, initial: Any) -> tuple[npt.NDArray[np.float64], str]:
        (rows, _), dtype = pack(("initial",), [as_stored(initial, "initial")])
        check_same_dim(self._buffer.shape[1], rows.shape[1], "tasks", "the initial prompt")
        for name, count in zip(self.names, np.diff(self._offsets), strict=True):
            if len(rows) not in (1, count):
                raise ShapeError(
                    f"initial: the prompt has {len(rows)} tokens, task {name!r} has {count}; "
                    "expected equal numbers, or one token for all positions"
                )
        # -0 is 0, and a prompt is the same in whatever floating point it is stored.
        wide = np.ascontiguousarray(widened(rows, dtype), dtype=np.float64) + 0.0
        return wide, hashlib.sha256(wide.tobytes()).hexdigest()[:8]

    def drop_dominant(self, n: int = 1) -> Atlas:
        """Return the tasks without the ``n`` coordinates of the largest mean square.

        The space names the coordinates that are gone. To drop the same ones elsewhere, or to put
        them back, use `DominantCoordinates`. Raises `ValueError` unless one coordinate is left.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 90.0]], "rte": [[2.0, 95.0]]}, space="bert")
        >>> atlas.drop_dominant()["rte"].tokens, atlas.drop_dominant().space
        (array([[2.]]), 'bert|without 1')
        """
        return DominantCoordinates.fit(cast("Atlas", self), n).drop(cast("Atlas", self))

    def whiten(self, shrinkage: float | Literal["auto"] = "auto") -> Atlas:
        """Return the tasks in coordinates without correlation, every one of variance 1.

        To whiten other tasks the same way, or to undo it, use `Whitening`.

        Parameters
        ----------
        shrinkage
            Weight of a round covariance against the measured one, 0 to 1; ``"auto"`` takes the
            estimate of Ledoit and Wolf.

        Raises
        ------
        ValueError
            If ``shrinkage`` is not in [0, 1], or too small for the number of tokens.
        ShapeError
            If a dim x dim matrix would be too large.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> atlas = Atlas.from_arrays({"a": [[4.0, 0.0], [0.0, 1.0]], "b": [[-4, 0], [0.0, -1]]})
        >>> atlas.whiten(0.0)["a"].tokens.round(6)
        array([[1.414214, 0.      ],
               [0.      , 1.414214]])
        """
        return Whitening.fit(cast("Atlas", self), shrinkage).apply(cast("Atlas", self))

    def diagnose(self) -> AtlasDiagnosis:
        """Say whether a shared offset or one coordinate dominates the tokens, with the numbers.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> Atlas.from_arrays({"mnli": [[1.0, 90.0]], "rte": [[2.0, 95.0]]}).diagnose().findings
        ('shared offset', 'dominant coordinate')
        """
        buffer = np.asarray(widened(self._buffer, self.dtype), dtype=np.float64)
        return diagnose_tokens(buffer)

    def _moved(self, center: Any, note: str, digest: str, space: str | None = None) -> Atlas:
        packed = (self._buffer, self._offsets)
        moved = _core.centred_tokens(packed, center).reshape(self._buffer.shape)
        if not np.isfinite(moved).all():
            raise NonFiniteError(f"{note}: a difference leaves the range of float64")
        return self._with_tokens(moved, note, space or f"{self.space}|{note}|{digest}")

    def _with_tokens(
        self, tokens: npt.NDArray[np.float64], note: str, space: str | None = None
    ) -> Atlas:
        """Return the same tasks with other tokens [n_total_tokens, dim], noted and in a space."""
        from kinatlas.tasks.atlas import Atlas

        origins = tuple(replace(origin, notes=(*origin.notes, note)) for origin in self.provenance)
        named = f"{self.space}|{note}" if space is None else space
        return Atlas(self.names, named, "float64", origins, tokens, self._offsets, self.report)
