"""Import torchvision and timm without PyTorch's compiler, which they import and nothing here uses.

The compiler takes 1.2 of the 3 CPU seconds of importing open_clip. Whoever imports this module before open_clip saves
them. What of torchvision needs the compiler still gets it, when it is called.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_COMPILER = "torch._dynamo"
_UTILITIES = "torch._dynamo.utils"


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Inside, stand-ins take the place of the two parts of the compiler that are asked for at import."""
    if _COMPILER in sys.modules:  # somebody has paid for it
        yield
        return
    utilities = ModuleType(_UTILITIES)
    utilities.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    disable = torch.compiler.disable
    sys.modules[_UTILITIES] = utilities
    torch.compiler.disable = _as_it_is  # type: ignore[assignment]  # timm marks a class of another model with it
    try:
        yield
    finally:
        torch.compiler.disable = disable
        if sys.modules.get(_UTILITIES) is utilities:
            del sys.modules[_UTILITIES]


def _is_compile_supported(device: Any) -> Any:
    from torch._dynamo.utils import is_compile_supported

    return is_compile_supported(device)


def _as_it_is(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
    return function if function is not None else _as_it_is


with _without_compiler():
    import timm  # noqa: F401
    import torchvision  # noqa: F401
