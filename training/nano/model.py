"""``nano`` as training needs it: windows of a frame with their true positions, short texts, checkpoints."""

from collections.abc import Iterable
from pathlib import Path

import open_clip
import torch
from open_clip import CLIP
from open_clip.transformer import VisionTransformer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import grid_sample, unfold
from torch.nn.utils.parametrize import register_parametrization

import clipomaly_core
from clipomaly_core.towers.vit import patch_features

CONFIG = Path(clipomaly_core.__file__).parent / "data" / "nano.json"
PATCH = 16


def create_nano() -> CLIP:
    """A ``nano`` with random weights from torch's generator."""
    if "nano" not in open_clip.list_models():
        open_clip.add_model_config(CONFIG)
    model = open_clip.create_model("nano", load_weights=False)
    # Naclip weighs patches by k kᵀ. With open_clip's small keys that is nearly even at the start, all patches get
    # the mean of the image, and nothing is learned for hundreds of steps.
    keys = model.visual.transformer.resblocks[-1].attn.in_proj_weight.data.chunk(3)[1]
    keys.normal_(std=2.4 * keys.shape[1] ** -0.5)
    return model


class WhitenedPatches(nn.Module):
    """The patch projection as what it was plus a learned matrix over whitened patches.

    A projection of raw, strongly correlated pixels that is learned moves faster than the blocks after it can follow
    (Chen et al., "An Empirical Study of Training Self-Supervised Vision Transformers", arXiv 2104.02057). Over
    whitened patches every direction is as strong as any other.
    """

    def __init__(self, whitening: Tensor, width: int) -> None:
        """``whitening`` (P, P) makes P values of a patch uncorrelated."""
        super().__init__()
        self.whitening: Tensor
        self.register_buffer("whitening", whitening)
        self.change = nn.Parameter(torch.zeros(width, len(whitening)))

    def forward(self, base: Tensor) -> Tensor:
        """(width, 3, side, side) projection from the frozen one."""
        return base + (self.change @ self.whitening).unflatten(1, base.shape[1:])


@torch.no_grad()
def whitening_of(images: Iterable[Tensor], side: int) -> Tensor:
    """Half the whitened principal components of the patches of (B, 3, H, W) normalised images, strongest first: (P, P).

    There must be more patches than a patch has values, P.
    """
    patches = torch.cat([unfold(some, side, stride=side).transpose(1, 2).flatten(0, 1) for some in images])
    values, vectors = torch.linalg.eigh(torch.cov(patches.T))
    values, vectors = values.flip(0), vectors.flip(1)
    return (vectors / (values + 1e-2 * values.mean()).sqrt()).T * 0.5


@torch.no_grad()
def start_with_whitened(visual: VisionTransformer, whitening: Tensor) -> None:
    """Begin a tower that learns its patches with the strongest whitened components, and with waves as its places."""
    base = visual.conv1.parametrizations.weight.original
    width = len(base)
    base.copy_(whitening[:width].unflatten(1, base.shape[1:]))
    visual.positional_embedding[1:].copy_(_waves(visual.grid_size, width))


def learn_patches(visual: VisionTransformer, whitening: Tensor) -> None:
    """Make the patch projection learn over whitened patches, from what it is."""
    visual.conv1.weight.requires_grad_(False)
    register_parametrization(visual.conv1, "weight", WhitenedPatches(whitening, len(visual.conv1.weight)))


def plain_weights(visual: VisionTransformer) -> dict[str, Tensor]:
    """The weights under open_clip's keys."""
    state = {name: value for name, value in visual.state_dict().items() if "parametrizations" not in name}
    return {**state, "conv1.weight": visual.conv1.weight.detach()}


def _waves(grid: tuple[int, int], width: int) -> Tensor:
    """Sines and cosines of row and column, (rows * columns, width), half as strong as a patch: places that are near
    each other begin alike (Vaswani et al., arXiv 1706.03762, in two dimensions)."""
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in grid), indexing="ij")
    frequencies = 30 ** -(torch.arange(width // 4) / (width // 4))
    phases = [place.flatten()[:, None] * frequencies for place in (rows, columns)]
    return 0.5 * torch.cat([wave(phase) for phase in phases for wave in (torch.sin, torch.cos)], dim=1)


def window_features(visual: VisionTransformer, images: Tensor, places: Tensor) -> Tensor:
    """Naclip patch features of windows that know where in the frame they lie.

    The same as ``dense_features`` for a whole frame; a window gets its own part of the position embedding, so
    that windows train the embedding that frames use.

    Args:
        visual: the image tower.
        images: (B, 3, H, W) normalised windows.
        places: (B, 4) float32 left, top, width and height of each window as shares of the frame.

    Returns:
        (B, H/16, W/16, D) float32, L2-normalised.
    """
    patches = visual.conv1(images)
    rows, columns = patches.shape[-2:]
    device = places.device
    left, top, width, height = (2 * places - torch.tensor([1.0, 1, 0, 0], device=device)).T[..., None]
    x = left + width * (torch.arange(columns, device=device) + 0.5) / columns
    y = top + height * (torch.arange(rows, device=device) + 0.5) / rows
    where = torch.stack([x[:, None].expand(-1, rows, -1), y[:, :, None].expand(-1, -1, columns)], dim=-1)
    embedding = visual.positional_embedding[1:].T.unflatten(1, visual.grid_size)[None].expand(len(images), -1, -1, -1)
    position = grid_sample(embedding, where, padding_mode="border", align_corners=False).flatten(2).transpose(1, 2)
    cls = (visual.class_embedding + visual.positional_embedding[0]).expand(len(images), 1, -1)
    tokens = visual.ln_pre(torch.cat([cls, patches.flatten(2).transpose(1, 2) + position], dim=1))
    return patch_features(visual, tokens, (rows, columns), "naclip")


def normalised(pixels: Tensor, model: CLIP) -> Tensor:
    """(B, 3, H, W) uint8 → float32 with the model's mean and deviation."""
    preprocess = model.visual.preprocess_cfg
    mean, std = (torch.tensor(preprocess[key], device=pixels.device)[:, None, None] for key in ("mean", "std"))
    return (pixels.float() / 255 - mean) / std


def write_checkpoint(weights: dict[str, Tensor], path: Path) -> None:
    """Write float16 safetensors under open_clip's keys; a reader never sees half a file."""
    partial = path.with_suffix(".partial")
    save_file({key: value.detach().half().cpu().contiguous() for key, value in weights.items()}, partial)
    partial.replace(path)


def read_checkpoint(path: Path) -> CLIP:
    """A ``nano`` with the weights of a checkpoint, in float32 and evaluation mode."""
    model = create_nano()
    model.load_state_dict(load_file(path))
    return model.float().eval().requires_grad_(False)
