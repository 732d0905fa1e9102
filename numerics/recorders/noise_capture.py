"""Every normal number that PyTorch draws, taken from a run instead: nothing of the library is changed for it.

Draws are seen by PyTorch's own hook for functions; Brownian trees of torchsde are replaced while a run lasts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from numerics.recorders.recording import NotRecorded, Run

__all__ = ["captured", "tensor_of"]


def tensor_of(values: Any, like: Any = None) -> Any:
    """A run's array as a tensor (1, 1, 1, size), float64, or as ``like`` is."""
    import torch

    made = torch.from_numpy(values)
    if like is not None:
        return made.to(like.dtype).reshape(like.shape)
    return made.reshape(1, 1, 1, -1)


@contextlib.contextmanager
def captured(run: Run) -> Iterator[None]:
    """While it lasts, `torch.randn` and the like give the run's noises, and torchsde's trees the run's paths."""
    import torch
    from torch.overrides import TorchFunctionMode

    fresh = {torch.randn, torch.randn_like, torch.normal}

    class Draws(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func in fresh:
                return _draw(run, func, args, kwargs)
            if func is torch.Tensor.normal_:
                return _in_place(run, *args, **kwargs)
            return func(*args, **kwargs)

    with contextlib.ExitStack() as stack:
        for name in ("BrownianInterval", "BrownianTree"):
            module = _torchsde()
            if module is not None:
                stack.enter_context(mock.patch.object(module, name, _tree_of(run)))
        stack.enter_context(Draws())
        yield


def _torchsde() -> Any:
    try:
        import torchsde
    except ImportError:  # samplers that need it say so themselves
        return None
    return torchsde


def _draw(run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import torch

    mean, std, like, dtype = 0.0, 1.0, None, kwargs.get("dtype")
    if func is torch.randn_like:
        like = args[0] if args else kwargs["input"]
        shape = tuple(like.shape)
    elif func is torch.randn:
        sizes = args if args else (kwargs["size"],)
        shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else tuple(sizes)
    else:
        mean, std = (*args[:2], kwargs.get("mean", 0.0), kwargs.get("std", 1.0))[:2]
        size = kwargs.get(
            "size", args[2] if len(args) > 2 else getattr(mean, "shape", getattr(std, "shape", ()))
        )
        shape = tuple(size)
    return mean + std * _shaped(run, shape, dtype or (None if like is None else like.dtype))


def _shaped(run: Run, shape: tuple[int, ...], dtype: Any) -> Any:
    import torch

    count = 1
    for n in shape:
        count *= n
    if count != run.size:
        raise NotRecorded(
            "refused", "sampler", f"draws noise of the shape {shape}: not one number a coordinate"
        )
    return torch.from_numpy(run.noise()).to(dtype or torch.float64).reshape(shape)


def _in_place(run: Run, tensor: Any, mean: float = 0.0, std: float = 1.0, **_: Any) -> Any:
    return tensor.copy_(mean + std * _shaped(run, tuple(tensor.shape), tensor.dtype))


def _tree_of(run: Run) -> Any:
    """A stand-in for torchsde's Brownian trees, which clamp to [t0, t1]: increments of a path of the run."""

    def make(*args: Any, **kwargs: Any) -> Any:
        import torch

        tensors = [a for a in (*args, kwargs.get("w0")) if isinstance(a, torch.Tensor) and a.ndim]
        plain = [a for a in args if not (isinstance(a, torch.Tensor) and a.ndim)]
        begin = float(kwargs.get("t0", plain[0] if plain else 0.0))
        end = float(kwargs.get("t1", plain[1] if len(plain) > 1 else 1.0))
        shape = tuple(tensors[0].shape if tensors else kwargs["size"])
        dtype = kwargs.get("dtype") or (tensors[0].dtype if tensors else torch.float64)
        increment = run.path()

        def tree(ta: Any, tb: Any) -> Any:
            low, high = (min(max(float(t), begin), end) for t in (ta, tb))
            return torch.from_numpy(increment(low, high)).to(dtype).reshape(shape)

        return tree

    return make
