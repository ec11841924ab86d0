"""Whether the numbers of an atlas can tell its tasks apart, in words."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["AtlasDiagnosis", "diagnose_tokens"]

# More than half of all squared length is the same in every token.
_OFFSET_LIMIT = 0.5
# A quarter of what differs between tokens stands in one coordinate, ten times its even share.
_COORDINATE_LIMIT = 0.25
_COORDINATE_FACTOR = 10.0


@dataclass(frozen=True, repr=False)
class AtlasDiagnosis:
    """What dominates the tokens of an atlas; print it for the numbers in words.

    Attributes
    ----------
    offset_share
        Squared length of the mean token over the mean squared length of tokens, 0 to 1: the part
        of every cosine that says nothing about a task.
    coordinate, coordinate_share
        The coordinate of the largest mean square, and its share in the squared length of tokens;
        1 / dim if all weigh the same.
    effective_dim
        (sum of variances)^2 / sum of squared variances over coordinates: how many coordinates of
        equal variance would vary as much.
    findings
        ``"shared offset"`` (``offset_share`` above 0.5) and ``"dominant coordinate"``
        (``coordinate_share`` above 0.25 and above ten times 1 / dim, or above 0.9).

    Examples
    --------
    >>> found = diagnose_tokens(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    >>> found.findings, found.offset_share, found.effective_dim
    ((), 0.0, 2.0)
    """

    n_tokens: int
    dim: int
    offset_share: float
    coordinate: int
    coordinate_share: float
    effective_dim: float
    findings: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """Return the numbers in words, with the way out of each finding.

        Examples
        --------
        >>> print(diagnose_tokens(np.array([[1.0, 9.0], [0.0, 9.0]])).sentences()[0])
        The mean token is 99.7 % of the squared length of tokens: ...
        """
        offset = (
            f"The mean token is {100 * self.offset_share:.1f} % of the squared length of tokens: "
        )
        if "shared offset" in self.findings:
            offset += (
                "cosines are high whatever the tasks are; subtract the initial prompt, or use "
                "center('features')."
            )
        else:
            offset += "no shared offset dominates."
        coordinate = (
            f"Coordinate {self.coordinate} is {100 * self.coordinate_share:.1f} % of it "
            f"(an even share would be {100 / self.dim:.2g} %): "
        )
        if "dominant coordinate" in self.findings:
            coordinate += "similarities mostly compare this one number; use drop_dominant(1)."
        else:
            coordinate += "no single coordinate dominates."
        rank = (
            f"{self.effective_dim:.1f} of {self.dim} coordinates' worth of variance over "
            f"{self.n_tokens} tokens."
        )
        return offset, coordinate, rank

    def __repr__(self) -> str:
        verdict = ", ".join(self.findings) or "nothing dominates"
        return "\n".join([f"AtlasDiagnosis: {verdict}", *self.sentences()])

    def _repr_html_(self) -> str:
        return "".join(f"<p>{html.escape(line)}</p>" for line in repr(self).splitlines())


def diagnose_tokens(tokens: npt.NDArray[np.float64]) -> AtlasDiagnosis:
    """Return the diagnosis of tokens [n_tokens, dim].

    Examples
    --------
    >>> diagnose_tokens(np.array([[0.0, 9.0], [0.1, -9.0]])).findings
    ('dominant coordinate',)
    """
    # Only shares count, and squares of unscaled numbers might leave the range of float64.
    largest = np.abs(tokens).max()
    scaled = tokens / largest if largest > 0 else tokens
    dim = tokens.shape[1]
    squares = (scaled**2).mean(axis=0)
    total = squares.sum()
    mean = scaled.mean(axis=0)
    offset = float(mean @ mean / total) if total > 0 else 0.0
    at = int(squares.argmax())
    share = float(squares[at] / total) if total > 0 else 1 / dim
    variances = scaled.var(axis=0)
    spread = np.sum(variances**2)
    effective = float(variances.sum() ** 2 / spread) if spread > 0 else 0.0
    dominates = share > _COORDINATE_LIMIT and share > min(_COORDINATE_FACTOR / dim, 0.9)
    findings = [("shared offset", offset > _OFFSET_LIMIT)]
    findings.append(("dominant coordinate", dominates and dim > 1))
    named = tuple(name for name, is_found in findings if is_found)
    return AtlasDiagnosis(len(tokens), dim, min(offset, 1.0), at, share, effective, named)
