"""Per-example gradients of any module, and the Fisher diagonal they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from kinatlas._checks import check_choice, check_known
from kinatlas.embeddings import FisherAccumulator
from kinatlas.errors import ShapeError
from kinatlas.torch.classes import classes_of
from kinatlas.torch.hooks import UnfitError, linear_gradients

__all__ = ["accumulate_fisher", "per_example_gradients"]

# Hooks also compute the gradient of the whole batch, which they are held against. For adapters of
# rank 8 at width 256 they still take 0.27 s to vmap's 0.30, for whole matrices 0.42 s to 0.32.
_NARROW = 64

_RANDOM = "the model or the loss draws random numbers, such as dropout; call model.eval() first"

#: A batch: tensors by name, examples along the first dimension.
Batch = Mapping[str, Tensor]


def per_example_gradients(
    model: nn.Module,
    batch: Batch,
    loss: Callable[[nn.Module, dict[str, Tensor]], Tensor],
    *,
    parameters: Iterable[str] | None = None,
    method: str = "auto",
    chunk_size: int | None = None,
) -> dict[str, Tensor]:
    """Return the gradient of every example ``{parameter: [n_examples, *shape]}``.

    Parameters
    ----------
    model
        Any module, PEFT-wrapped ones included, in eval mode as far as it has dropout.
    batch
        Tensors by name, examples along the first dimension.
    loss
        Called with the model and a batch of one example (every tensor keeps its first dimension,
        of size 1); returns the loss of that example. For ``"hooks"`` it is called with the whole
        batch and returns one loss for each example [n_examples].
    parameters
        Names as in ``model.named_parameters()``; None takes those that require a gradient.
    method
        ``"hooks"`` multiplies what went into linear layers by the gradient of what came out, after
        one ordinary pass: cheapest, for weights and biases of ``nn.Linear`` (low-rank adapters
        are such) in models that treat every example by itself. ``"vmap"`` runs any module on all
        examples at once by ``torch.func``; ``"loop"`` one after the other, for models whose
        control flow ``vmap`` cannot follow. ``"auto"`` takes hooks for narrow layers where they
        fit and where ``loss`` answers a batch with a loss for each example, else ``"vmap"``, and
        ``"loop"`` where ``vmap`` fails.
    chunk_size
        Examples at once, except under ``"loop"``; None takes all.

    Raises
    ------
    UnknownNameError
        For an unknown parameter or method.
    ValueError
        If the model would drop out at random, has nothing to train, the batch is empty, or
        ``method="hooks"`` or ``"vmap"`` does not fit; the message says why.

    Examples
    --------
    >>> model = nn.Linear(2, 1, bias=False)
    >>> def loss(model, example):
    ...     return model(example["x"]).sum()
    >>> per_example_gradients(model, {"x": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}, loss)
    {'weight': tensor([[[1., 2.]],
            [[3., 4.]]])}
    """
    check_choice(method, ("auto", "hooks", "vmap", "loop"), "method")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size}: expected at least 1, or None for all")
    chosen, rest = _split(model, parameters)
    n_examples = _count(batch)
    narrow = all(value.ndim < 2 or min(value.shape) <= _NARROW for value in chosen.values())
    drawn = torch.get_rng_state()
    if method == "hooks" or (method == "auto" and narrow):
        try:
            found = _hooked(model, batch, loss, list(chosen), chunk_size or n_examples)
            _refuse_random(drawn)
            return found
        except UnfitError:
            if method == "hooks":
                raise

    def one(values: dict[str, Tensor], example: dict[str, Tensor]) -> Tensor:
        single = {name: tensor.unsqueeze(0) for name, tensor in example.items()}
        # Called through a wrapper, so that ``loss`` gets a module and not a dictionary.
        everything = {f"model.{name}": value for name, value in (rest | values).items()}
        found: Tensor = functional_call(_Called(model, loss), everything, (single,)).reshape(())
        return found

    gradient = grad(one)
    examples = dict(batch)
    if method != "loop":
        # Fused attention has no batching rule and would run example by example.
        mapped = vmap(gradient, in_dims=(None, 0), chunk_size=chunk_size)
        try:
            with sdpa_kernel(SDPBackend.MATH):
                return dict(mapped(chosen, examples))
        except RuntimeError as error:
            if "random" in str(error):
                raise ValueError(f"{_RANDOM} ({str(error).splitlines()[0]})") from error
            if method == "vmap":
                raise ValueError(f"vmap cannot follow this; use method='loop': {error}") from error
    rows = [
        gradient(chosen, {name: tensor[row] for name, tensor in examples.items()})
        for row in range(n_examples)
    ]
    _refuse_random(drawn)
    return {name: torch.stack([row[name] for row in rows]) for name in chosen}


def _refuse_random(before: Tensor) -> None:
    """Refuse what no module shows: dropout inside attention, recurrent layers or functions."""
    if not torch.equal(before, torch.get_rng_state()):
        raise ValueError(_RANDOM)


def _hooked(
    model: nn.Module,
    batch: Batch,
    loss: Callable[[nn.Module, dict[str, Tensor]], Tensor],
    names: list[str],
    size: int,
) -> dict[str, Tensor]:
    parts = []
    for start in range(0, _count(batch), size):
        part = {name: tensor[start : start + size] for name, tensor in batch.items()}
        run = partial(loss, model, part)
        parts.append(linear_gradients(model, names, run, _count(part)))
    if len(parts) == 1:
        return parts[0]
    return {name: torch.cat([part[name] for part in parts]) for name in names}


class _Called(nn.Module):
    """A model together with what is computed from it."""

    def __init__(
        self, model: nn.Module, loss: Callable[[nn.Module, dict[str, Tensor]], Tensor]
    ) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, example: dict[str, Tensor]) -> Tensor:
        return self._loss(self.model, example)


def _split(
    model: nn.Module, parameters: Iterable[str] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    known = dict(model.named_parameters())
    if parameters is None:
        names = [name for name, value in known.items() if value.requires_grad]
    else:
        names = list(parameters)
        for name in names:
            check_known(name, list(known), "parameter")
    if not names:
        raise ValueError("the model has no parameter that requires a gradient; name parameters=")
    for name, module in model.named_modules():
        drops = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        if drops and module.training:
            raise ValueError(
                f"module {name!r} drops out at random while it trains; call model.eval() first"
            )
    everything = known | dict(model.named_buffers())
    chosen = {name: known[name].detach() for name in names}
    rest = {name: value.detach() for name, value in everything.items() if name not in chosen}
    return chosen, rest


def _count(batch: Batch) -> int:
    sizes = {name: tensor.shape[0] for name, tensor in batch.items()}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(
            f"batch: tensors hold {sizes} examples, expected one number, at least one example"
        )
    return int(next(iter(sizes.values())))


def accumulate_fisher(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    logits: Callable[[nn.Module, dict[str, Tensor]], Tensor],
    labels: str = "labels",
    convention: str = "gold",
    n_draws: int = 1,
    seed: int = 0,
    parameters: Sequence[str] | None = None,
    method: str = "auto",
    chunk_size: int | None = None,
    accumulator: FisherAccumulator | None = None,
) -> FisherAccumulator:
    """Return the Fisher sums of a classifier over batches, under a named label convention.

    Parameters
    ----------
    batches
        As in `per_example_gradients`; each is added to the sums before the next is asked for.
    logits
        Called with the model and a batch; returns logits [n_examples, n_classes].
    labels
        Name of the tensor of gold classes [n_examples]; not looked at unless
        ``convention="gold"``.
    convention, n_draws, seed
        Whose labels: the data's, ``n_draws`` drawn from the model for each example (example i of
        the stream draws the same labels however it is batched), or all, by probability.
    accumulator
        Sums to continue, such as ``FisherAccumulator.load(...)``; feed it the later batches only.

    Raises
    ------
    ShapeError
        If logits are not [n_examples, n_classes], or gold labels not one whole number each.
    ValueError
        If an accumulator of another convention is given, or a gold label is no class; else
        as in `per_example_gradients`.

    References
    ----------
    Achille et al. 2019, Task2Vec, section 3.

    Examples
    --------
    >>> model = nn.Linear(2, 2)
    >>> batch = {"x": torch.ones(3, 2), "labels": torch.tensor([0, 1, 1])}
    >>> fisher = accumulate_fisher(model, [batch], logits=lambda model, batch: model(batch["x"]))
    >>> fisher.n_examples, sorted(fisher.diagonal())
    (3, ['bias', 'weight'])
    """
    check_choice(convention, ("gold", "monte_carlo", "exact"), "convention")
    for batch in batches:
        with torch.no_grad():
            scores = logits(model, dict(batch))
        if scores.ndim != 2 or 0 in scores.shape:
            raise ShapeError(
                f"logits have shape {tuple(scores.shape)}, expected [n_examples, n_classes]"
            )
        n_classes = scores.shape[1]
        per_example = {"gold": 1, "monte_carlo": n_draws, "exact": n_classes}[convention]
        if accumulator is None:
            accumulator = FisherAccumulator(convention=convention, rows_per_example=per_example)
        if (accumulator.convention, accumulator.rows_per_example) != (convention, per_example):
            raise ValueError(
                f"accumulator sums {accumulator.rows_per_example} rows an example under "
                f"convention={accumulator.convention!r}, asked for {per_example} under "
                f"{convention!r}"
            )
        first = accumulator.n_examples
        classes = classes_of(batch, scores, labels, convention, (n_draws, seed, first))
        inputs = {name: value for name, value in batch.items() if name != labels}
        rows = {name: value.repeat_interleave(per_example, 0) for name, value in inputs.items()}
        rows["_class"] = classes.to(scores.device)

        def loss(model: nn.Module, example: dict[str, Tensor]) -> Tensor:
            wanted = example["_class"]
            given = {name: value for name, value in example.items() if name != "_class"}
            scores = logits(model, given).float()
            return nn.functional.cross_entropy(scores, wanted, reduction="none")

        found = per_example_gradients(
            model, rows, loss, parameters=parameters, method=method, chunk_size=chunk_size
        )
        weights = scores.double().softmax(dim=1).reshape(-1).cpu().numpy()
        accumulator.partial_fit(
            {name: value.cpu() for name, value in found.items()},
            weights=weights if convention == "exact" else None,
        )
    if accumulator is None:
        raise ValueError("batches: got none, so there is no Fisher diagonal")
    return accumulator
