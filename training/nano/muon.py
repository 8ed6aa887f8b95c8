"""Muon (Jordan et al., 2024): torch's own always works in bfloat16, which a CPU without it emulates slowly."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

# The quintic of the method's authors, which brings all singular values near 1 in five steps.
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(Optimizer):
    """Momentum whose update is replaced by the nearest orthogonal matrix, scaled to the size of Adam's updates."""

    def __init__(
        self,
        matrices: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """``matrices`` are the weights of hidden layers, two-dimensional; ``dtype`` is what it multiplies in."""
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._dtype = dtype

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                wanted = torch.stack([self._wanted(matrix, group["momentum"]) for matrix in matrices])
                updates = _orthogonal(wanted.to(self._dtype))
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def _wanted(self, matrix: Tensor, momentum: float) -> Tensor:
        state = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        assert matrix.grad is not None
        state["momentum"].lerp_(matrix.grad, 1 - momentum)
        return matrix.grad.lerp(state["momentum"], momentum)


def _orthogonal(gradients: Tensor) -> Tensor:
    """The nearest orthogonal matrix to each of (N, rows, columns)."""
    tall = gradients.shape[1] > gradients.shape[2]
    x = gradients.mT if tall else gradients
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=_B, alpha=_C), x, beta=_A)
    return x.mT if tall else x
