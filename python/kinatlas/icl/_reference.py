"""NumPy twins of the closed forms, written from the textbook expressions, for tests.

They subtract and invert where the Rust half does not, so agreement is not agreement by design.
"""

from __future__ import annotations

import numpy as np

from kinatlas.icl._arrays import Floats
from kinatlas.icl.mixture import Mixture

__all__ = ["compact_losses", "kronecker_losses", "literal_forward", "literal_losses"]


def _moments(mixture: Mixture) -> tuple[Floats, Floats, Floats, Floats, float]:
    pi, mu = mixture.weights, mixture.means
    within = np.einsum("k,kij->ij", pi, mixture.covariances)
    between = np.einsum("k,ki,kj->ij", pi, mu, mu)
    return within, between, mixture.input_covariance[0], pi @ mu, mixture.noise


def compact_losses(mixture: Mixture, n: int) -> dict[str, float]:
    """Return the loss without noise of every setting with closed form, for shared inputs.

    Examples
    --------
    >>> mixture = Mixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    >>> round(compact_losses(mixture, 10)["plain"] / 2, 4)
    0.2308
    """
    within, between, sx, mean, s2 = _moments(mixture)
    both, eye = within + between, np.eye(mixture.dim)

    def coupled(learnt: Floats, moving: Floats) -> tuple[Floats, float]:
        level = np.trace(sx @ (learnt + moving)) + s2
        w = learnt @ np.linalg.inv((n + 1) * sx @ learnt + sx @ moving + level * eye)
        return w, float(np.trace(sx @ learnt) - n * np.trace(w @ sx @ learnt @ sx))

    zero = np.zeros_like(both)
    w_plain, plain = coupled(both, zero)
    rest = eye - n * w_plain @ sx
    scaled = 0.0
    for pi, s, noise in zip(
        mixture.weights,
        mixture.covariances,
        np.broadcast_to(mixture.noise_variance, mixture.weights.shape),
        strict=True,
    ):
        spread = n * (n + 1) * sx @ s @ sx + n * (np.trace(s @ sx) + noise) * sx
        agreement = n * np.trace(w_plain @ sx @ s @ sx)
        power = np.trace(w_plain @ spread @ w_plain.T @ sx)
        scaled += pi * (np.trace(sx @ s) - (agreement**2 / power if power > 0 else 0.0))
    return {
        "plain": plain,
        "finetune_prompt": plain - float(np.trace(sx @ rest @ between @ rest.T)),
        "joint_prompt": coupled(within, between)[1],
        "joint_prompt_value_shift": coupled(within, between - np.outer(mean, mean))[1],
        "finetune_prompt_head": float(scaled),
        "joint_prompt_head": coupled(within, zero)[1],
    }


def kronecker_losses(mixture: Mixture, n: int) -> dict[str, float]:
    """Return loss without noise of plain, joint_prompt and joint_prompt_head, inputs per task.

    Examples
    --------
    >>> mixture = Mixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    >>> round(kronecker_losses(mixture, 10)["plain"] / 2, 4)
    0.2308
    """
    k, d = mixture.n_tasks, mixture.dim
    inputs = np.broadcast_to(mixture.input_covariance, (k, d, d))
    noise = np.broadcast_to(mixture.noise_variance, k)
    losses = {}
    for setting in ("plain", "joint_prompt", "joint_prompt_head"):
        left, right = np.zeros((d * d, d * d)), np.zeros((d, d))
        terms = []
        for pi, mu, s, sx, s2 in zip(
            mixture.weights, mixture.means, mixture.covariances, inputs, noise, strict=True
        ):
            outer = np.outer(mu, mu)
            learnt = s + outer if setting == "plain" else s
            seen = s if setting == "joint_prompt_head" else s + outer
            c = n * (n + 1) * sx @ seen @ sx + n * (np.trace(seen @ sx) + s2) * sx
            if setting == "joint_prompt":
                c = c - n * n * sx @ outer @ sx
            left += pi * np.kron(c.T, sx)
            right += pi * n * sx @ learnt @ sx
            terms.append((pi, learnt, c, sx))
        w = np.linalg.solve(left, right.ravel(order="F")).reshape(d, d, order="F")
        losses[setting] = float(
            sum(
                pi
                * (
                    np.trace(sx @ learnt)
                    - 2 * n * np.trace(w @ sx @ learnt @ sx)
                    + np.trace(w @ c @ w.T @ sx)
                )
                for pi, learnt, c, sx in terms
            )
        )
    return losses


def literal_forward(
    weights: tuple[Floats, Floats, Floats], prompt: Floats, head: Floats, x: Floats, y: Floats
) -> Floats:
    """Return the layer's read-out vector a [dim], so that its prediction is query' a.

    Examples
    --------
    >>> eye = np.eye(2)
    >>> literal_forward((eye, eye, eye), np.zeros(2), np.array([0.0, 1.0]), eye[:, :1], eye[0])
    array([1.])
    """
    query, key, value = weights
    z = np.vstack([prompt, np.column_stack([x, y])])
    answer: Floats = query @ (key.T @ (z.T @ (z @ (value @ head))))
    return answer[:-1]


def literal_losses(
    mixture: Mixture,
    predictor: tuple[Floats, Floats, Floats, Floats],
    n: int,
    n_sequences: int,
    generator: np.random.Generator,
) -> Floats:
    """Return simulated losses [n_tasks, n_sequences], noise included, vectorised over sequences.

    Examples
    --------
    >>> mixture = Mixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    >>> predictor = (np.zeros((2, 2)), np.ones(1), np.zeros((1, 2)), np.zeros((1, 2)))
    >>> losses = literal_losses(mixture, predictor, 3, 4000, np.random.default_rng(1))
    >>> bool(abs(losses.mean() - 2.0) < 4 * losses.std() / 4000**0.5)
    True
    """
    w, scales, shifts, biases = predictor
    d, inputs = mixture.dim, np.broadcast_to(mixture.input_covariance, mixture.covariances.shape)
    noise = np.broadcast_to(mixture.noise_variance, mixture.weights.shape)
    losses = np.empty((mixture.n_tasks, n_sequences))
    for task in range(mixture.n_tasks):
        values, vectors = np.linalg.eigh(mixture.covariances[task])
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        lower = np.linalg.cholesky(inputs[task])
        beta = mixture.means[task] + generator.standard_normal((n_sequences, d)) @ root.T
        x = generator.standard_normal((n_sequences, n, d)) @ lower.T
        y = np.matmul(x, (beta - shifts[task])[:, :, None])[:, :, 0]
        y += np.sqrt(noise[task]) * generator.standard_normal((n_sequences, n))
        step = np.matmul(y[:, None, :], x)[:, 0, :] @ (scales[task] * w).T
        missed = (beta - biases[task] - step) @ lower
        losses[task] = (missed * missed).sum(axis=1) + noise[task]
    return losses
