"""Where and in which precision a model computes."""

from contextlib import AbstractContextManager

import torch

from clipomaly_core.errors import UserError


def choose_device(device: str) -> torch.device:
    """The torch device for ``auto`` or a device's name.

    Raises:
        UserError: a device that this machine does not have.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"Device {device!r} is not on this machine; use --device auto or cpu.") from error
    return chosen


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The precision of ``Options.precision``, for what runs inside this block."""
    bfloat16 = precision == "bfloat16" or (precision == "auto" and device.type != "cpu")
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)
