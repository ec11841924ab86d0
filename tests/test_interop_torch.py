"""torch tensors go in as they are; skipped with a message where torch is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas import Atlas
from kinatlas.errors import DTypeError, NonFiniteError

torch = pytest.importorskip("torch", reason="torch is not installed: make test-torch installs it")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_float_type_of_torch_keeps_its_values(dtype: str) -> None:
    tensor = torch.tensor([[0.1, -3.0], [2.0, 1e-3]], dtype=getattr(torch, dtype))
    atlas = Atlas.from_arrays({"a": tensor})
    assert atlas.dtype == dtype
    np.testing.assert_array_equal(atlas["a"].tokens, tensor.to(torch.float64).numpy())


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_parameter_with_gradient_is_accepted_and_left_alone(dtype: str) -> None:
    parameter = torch.nn.Parameter(torch.ones(3, 2, dtype=getattr(torch, dtype)))
    atlas = Atlas.from_arrays({"a": parameter})
    assert parameter.requires_grad
    with torch.no_grad():
        parameter.zero_()
    assert atlas["a"].tokens.min() == 1.0


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_strided_tensors_are_read_in_order(dtype: str) -> None:
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4).to(getattr(torch, dtype))
    atlas = Atlas.from_arrays({"a": base.T[::2]})
    np.testing.assert_array_equal(atlas["a"].tokens, base.T[::2].to(torch.float64).numpy())


def test_a_tensor_on_another_device_is_refused_with_the_way_out() -> None:
    with pytest.raises(DTypeError, match=r"task 'a'.*'meta'.*\.cpu\(\)"):
        Atlas.from_arrays({"a": torch.ones(2, 2, device="meta")})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_cuda_tensor_is_refused_and_its_cpu_copy_accepted() -> None:
    tensor = torch.ones(2, 2, device="cuda", dtype=torch.bfloat16)
    with pytest.raises(DTypeError, match=r"\.cpu\(\)"):
        Atlas.from_arrays({"a": tensor})
    assert Atlas.from_arrays({"a": tensor.cpu()}).dtype == "bfloat16"


def test_integers_sparse_tensors_and_nan_are_refused() -> None:
    with pytest.raises(DTypeError, match="int64"):
        Atlas.from_arrays({"a": torch.ones(2, 2, dtype=torch.int64)})
    with pytest.raises(DTypeError, match="to_dense"):
        Atlas.from_arrays({"a": torch.ones(2, 2).to_sparse()})
    with pytest.raises(NonFiniteError, match="token 1, coordinate 0"):
        Atlas.from_arrays({"a": torch.tensor([[0.0], [float("nan")]], dtype=torch.bfloat16)})
