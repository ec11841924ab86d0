"""Per-example gradients of linear layers from one ordinary backward pass over a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["UnfitError", "linear_gradients"]

_Calls = dict[nn.Linear, list[tuple[Tensor, Tensor]]]


class UnfitError(ValueError):
    """The gradients cannot be had from hooks; the message says why."""


def linear_gradients(
    model: nn.Module, names: Sequence[str], losses: Callable[[], Tensor], n_examples: int
) -> dict[str, Tensor]:
    """Return gradients ``{parameter: [n_examples, *shape]}`` of linear layers.

    The gradient of an example is the outer product of what went into the layer and the gradient
    of what came out, summed over the sequence. Their sum over examples is held against the
    gradient autograd finds for the parameter itself, so that a layer whose weight is also used
    elsewhere, or whose output is overwritten, is refused and never wrong.

    Parameters
    ----------
    losses
        Runs the model on the batch; returns one loss for each example [n_examples].

    Raises
    ------
    UnfitError
        If a parameter belongs to another kind of layer or to several, a layer is never called or
        sees something else than examples along the first dimension, or examples meet.

    References
    ----------
    Goodfellow 2015, Efficient per-example gradient computations; Rochette, Manoel, Tramel 2019
    for sequences.

    Examples
    --------
    >>> model, x = nn.Linear(2, 1, bias=False), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> linear_gradients(model, ["weight"], lambda: model(x).sum(dim=1), 2)["weight"].squeeze(1)
    tensor([[1., 2.],
            [3., 4.]])
    """
    owners = _owners(model, names)
    parameters = {name: model.get_parameter(name) for name in names}
    with _recording(owners, parameters.values()) as calls, torch.enable_grad():
        try:
            values = losses()
        except Exception as error:
            raise UnfitError(f"the loss cannot take a whole batch: {error}") from error
        if values.shape != (n_examples,):
            raise UnfitError(
                f"the loss of a batch has shape {tuple(values.shape)}, expected one loss for each "
                f"example [{n_examples}]"
            )
        for name, (module, _) in owners.items():
            if not calls.get(module):
                raise UnfitError(f"the layer of {name!r} was never called by its own forward")
        outputs = [output for pairs in calls.values() for _, output in pairs]
        found = torch.autograd.grad(
            values.sum(), [*outputs, *parameters.values()], allow_unused=True
        )
    by_output = iter(found[: len(outputs)])
    pairs = {
        module: [_checked(inputs, next(by_output), output, n_examples) for inputs, output in seen]
        for module, seen in calls.items()
    }
    gradients = {}
    for (name, (module, kind)), whole in zip(owners.items(), found[len(outputs) :], strict=True):
        rows = sum(_product(inputs, slope, kind) for inputs, slope in pairs[module])
        assert isinstance(rows, Tensor)
        gradients[name] = rows.to(parameters[name].dtype)
        _compare(name, gradients[name], whole)
    return gradients


def _owners(model: nn.Module, names: Sequence[str]) -> dict[str, tuple[nn.Linear, str]]:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            raise UnfitError(f"module {name!r} mixes the examples of a batch; call model.eval()")
    places: dict[int, list[str]] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        places.setdefault(id(value), []).append(name)
    owners = {}
    for name in names:
        path, _, kind = name.rpartition(".")
        module = model.get_submodule(path)
        if not isinstance(module, nn.Linear) or kind not in ("weight", "bias"):
            raise UnfitError(f"{name!r} belongs to a {type(module).__name__}, no linear layer")
        if len(shared := places[id(model.get_parameter(name))]) > 1:
            raise UnfitError(f"{shared} are one parameter")
        owners[name] = (module, kind)
    return owners


@contextmanager
def _recording(
    owners: dict[str, tuple[nn.Linear, str]], parameters: Iterable[nn.Parameter]
) -> Iterator[_Calls]:
    """Collect inputs and outputs of the layers while their parameters require gradients."""
    calls: _Calls = {}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Linear)
        calls.setdefault(module, []).append((inputs[0].detach(), output))

    frozen = [value for value in parameters if not value.requires_grad]
    layers = {module for module, _ in owners.values()}
    handles = [module.register_forward_hook(record) for module in layers]
    try:
        for value in frozen:
            value.requires_grad_(True)
        yield calls
    finally:
        for handle in handles:
            handle.remove()
        for value in frozen:
            value.requires_grad_(False)


def _checked(
    inputs: Tensor, slope: Tensor | None, output: Tensor, n_examples: int
) -> tuple[Tensor, Tensor]:
    if inputs.ndim < 2 or len(inputs) != n_examples:
        raise UnfitError(
            f"a layer saw an input of shape {tuple(inputs.shape)}, expected {n_examples} examples "
            "along the first dimension"
        )
    slopes = torch.zeros_like(output) if slope is None else slope
    if inputs.ndim == 2:
        return inputs, slopes
    return inputs.flatten(1, -2), slopes.flatten(1, -2)


def _product(inputs: Tensor, slope: Tensor, kind: str) -> Tensor:
    if kind == "bias":
        return slope if slope.ndim == 2 else slope.sum(dim=1)
    if slope.ndim == 2:
        return slope.unsqueeze(2) * inputs.unsqueeze(1)
    return slope.transpose(1, 2) @ inputs.to(slope.dtype)


def _compare(name: str, rows: Tensor, whole: Tensor | None) -> None:
    """Refuse gradients whose sum is not that of the batch."""
    total = rows.sum(dim=0)
    gap = torch.linalg.vector_norm(total - (0 if whole is None else whole))
    # Half of the digits: far above rounding, far below a use that the hooks did not see.
    tolerance = torch.finfo(rows.dtype).eps ** 0.5
    if gap <= tolerance * torch.linalg.vector_norm(total):
        return
    # Gradients of examples may cancel, and rounding is relative to each of them.
    if gap > tolerance * torch.linalg.vector_norm(rows.flatten(1), dim=1).sum():
        raise UnfitError(f"{name!r} is also used in a way that its layer's calls do not show")
