"""Anybody's arrays in: NumPy, torch, jax, DLPack, ml_dtypes, lists. No framework is imported here.

The ladder: a NumPy array as it is; a torch tensor through its own methods (found in
``sys.modules``, never imported); ``__dlpack__`` on the CPU; ``__array__``; nested lists.
bfloat16, which NumPy lacks, travels as its 16 bits in a uint16 array beside its name.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.errors import DTypeError, ShapeError

__all__ = ["DTYPES", "as_stored", "widened"]

#: Number types a token may be stored in.
DTYPES = ("float16", "bfloat16", "float32", "float64")

_CPU = 1  # kDLCPU of the DLPack standard


def as_stored(values: Any, label: str) -> tuple[npt.NDArray[Any], str]:
    """Return ``values`` as a 2-D C-contiguous array and the name of its number type.

    A 1-D input of ``dim`` numbers is one token and becomes ``[1, dim]``. bfloat16 comes back as
    uint16 bits. ``label`` opens every error message.

    Raises
    ------
    DTypeError
        For integers, booleans, complex numbers, strings, foreign byte order, or a tensor that
        does not live in main memory.
    ShapeError
        If the input is not 1-D or 2-D, is ragged, or holds no number.

    Examples
    --------
    >>> as_stored([[1.0, 2.0]], "source")
    (array([[1., 2.]]), 'float64')
    """
    if isinstance(values, np.ma.MaskedArray):
        raise DTypeError(f"{label}: got a masked array; fill it first with .filled(value)")
    array, dtype = _as_numpy(values, label)
    if array.dtype.kind == "f" and not array.dtype.isnative:
        raise DTypeError(
            f"{label}: numbers are stored in foreign byte order ({array.dtype.str}); "
            "convert with .astype(a.dtype.newbyteorder('='))"
        )
    if dtype not in DTYPES:
        raise DTypeError(
            f"{label}: numbers are {dtype}, expected one of {', '.join(DTYPES)}; "
            "convert explicitly, for example with .astype('float32')"
        )
    if array.ndim == 1:
        array = array[np.newaxis, :]
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(
            f"{label}: tokens have shape {array.shape}, expected [n_tokens, dim] or [dim] "
            "with at least one token and one dimension"
        )
    array = np.ascontiguousarray(array)
    return (array.view(np.uint16), dtype) if dtype == "bfloat16" else (array, dtype)


def widened(stored: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Return bfloat16 bits as the same float32 values; every other type as it is.

    Examples
    --------
    >>> import numpy as np
    >>> widened(np.array([[0x3F80]], dtype=np.uint16), "bfloat16")
    array([[1.]], dtype=float32)
    """
    if dtype != "bfloat16":
        return stored
    wide: npt.NDArray[np.float32] = (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return wide


def _as_numpy(values: Any, label: str) -> tuple[npt.NDArray[Any], str]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        return _from_torch(values, torch, label)
    array = _from_dlpack(values, label)
    if array is None:
        try:
            array = np.asarray(values)
        except (TypeError, ValueError) as error:
            raise ShapeError(
                f"{label}: cannot read {type(values).__name__} as tokens [n_tokens, dim]: {error}"
            ) from None
    return array, array.dtype.name


def _from_dlpack(values: Any, label: str) -> npt.NDArray[Any] | None:
    if isinstance(values, np.ndarray) or not hasattr(values, "__dlpack_device__"):
        return None
    device = int(values.__dlpack_device__()[0])
    if device != _CPU:
        raise DTypeError(
            f"{label}: the array lives on DLPack device type {device}; copy it to main memory first"
        )
    try:
        return np.from_dlpack(values)
    except (TypeError, BufferError, RuntimeError):
        # bfloat16 cannot cross DLPack into NumPy; __array__ may still hand it over.
        if hasattr(values, "__array__"):
            return None
        raise


def _from_torch(tensor: Any, torch: Any, label: str) -> tuple[npt.NDArray[Any], str]:
    if tensor.device.type != "cpu":
        raise DTypeError(
            f"{label}: the tensor lives on '{tensor.device}'; copy it explicitly with .cpu()"
        )
    if tensor.layout != torch.strided:
        raise DTypeError(f"{label}: the tensor is {tensor.layout}; convert it with .to_dense()")
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy(), "bfloat16"
    array = tensor.numpy()
    return array, array.dtype.name
