"""``nano`` as training needs it: windows of a frame with their true positions, short texts, checkpoints."""

from pathlib import Path

import open_clip
import torch
from open_clip import CLIP
from open_clip.transformer import VisionTransformer
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize, unfold

import clipomaly_core
from clipomaly_core.dense import _mix

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


@torch.no_grad()
def whiten_patches(visual: VisionTransformer, images: Tensor) -> None:
    """Make the patch projection the whitened principal components of the patches of some images, and freeze it.

    A learned projection of raw, strongly correlated pixels moves faster than the blocks after it can follow
    (Chen et al., "An Empirical Study of Training Self-Supervised Vision Transformers", arXiv 2104.02057).

    Args:
        visual: the image tower; its position embedding becomes waves of row and column.
        images: (B, 3, H, W) normalised, with more patches than a patch has values.
    """
    width, _, side, _ = visual.conv1.weight.shape
    patches = unfold(images, side, stride=side).transpose(1, 2).flatten(0, 1)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T))
    values, vectors = values.flip(0)[:width], vectors.flip(1)[:, :width]
    filters = (vectors / (values + 1e-2 * values.mean()).sqrt()).T * 0.5
    visual.conv1.weight.copy_(filters.unflatten(1, visual.conv1.weight.shape[1:]))
    visual.conv1.weight.requires_grad_(False)
    visual.positional_embedding[1:].copy_(_waves(visual.grid_size, width))


def _waves(grid: tuple[int, int], width: int) -> Tensor:
    """Sines and cosines of row and column, (rows * columns, width), half as strong as a patch: places that are near
    each other begin alike (Vaswani et al., arXiv 1706.03762, in two dimensions)."""
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in grid), indexing="ij")
    frequencies = 30 ** -(torch.arange(width // 4) / (width // 4))
    phases = [place.flatten()[:, None] * frequencies for place in (rows, columns)]
    return 0.5 * torch.cat([wave(phase) for phase in phases for wave in (torch.sin, torch.cos)], dim=1)


def window_features(visual: VisionTransformer, images: Tensor, tops: Tensor, lefts: Tensor) -> Tensor:
    """Naclip patch features of windows that know where in the frame they lie.

    The same as ``dense_features`` for a whole frame; a window gets its own part of the position embedding, so
    that windows train the embedding that frames use.

    Args:
        visual: the image tower.
        images: (B, 3, H, W) normalised windows.
        tops: (B,) int64 row of each window in the tower's grid of patches.
        lefts: (B,) int64 column.

    Returns:
        (B, H/16, W/16, D) float32, L2-normalised.
    """
    patches = visual.conv1(images)
    rows, columns = patches.shape[-2:]
    y = tops[:, None] + torch.arange(rows)
    x = lefts[:, None] + torch.arange(columns)
    place = y[:, :, None] * visual.grid_size[1] + x[:, None, :]
    position = visual.positional_embedding[1:][place.flatten(1)]
    cls = (visual.class_embedding + visual.positional_embedding[0]).expand(len(images), 1, -1)
    tokens = visual.ln_pre(torch.cat([cls, patches.flatten(2).transpose(1, 2) + position], dim=1))
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        tokens = block(tokens)
    mixed = _mix(last, tokens, (rows, columns), "naclip")
    features = visual.ln_post(mixed[:, 1:]) @ visual.proj
    return normalize(features, dim=-1).unflatten(1, (rows, columns))


def normalised(pixels: Tensor, model: CLIP) -> Tensor:
    """(B, 3, H, W) uint8 → float32 with the model's mean and deviation."""
    preprocess = model.visual.preprocess_cfg
    mean, std = (torch.tensor(preprocess[key])[:, None, None] for key in ("mean", "std"))
    return (pixels.float() / 255 - mean) / std


def write_checkpoint(weights: dict[str, Tensor], path: Path) -> None:
    """Write float16 safetensors under open_clip's keys; a reader never sees half a file."""
    partial = path.with_suffix(".partial")
    save_file({key: value.detach().half().contiguous() for key, value in weights.items()}, partial)
    partial.replace(path)


def read_checkpoint(path: Path) -> CLIP:
    """A ``nano`` with the weights of a checkpoint, in float32 and evaluation mode."""
    model = create_nano()
    model.load_state_dict(load_file(path))
    return model.float().eval().requires_grad_(False)
