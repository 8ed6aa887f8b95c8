"""How a checkpoint wants its images: from its own configuration, its pretrained tag, or its architecture."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

from clipomaly_core.errors import UsageError
from clipomaly_core.towers.protocol import Interpolation

Normalisation = tuple[tuple[float, ...], tuple[float, ...], Interpolation]
"""Mean, standard deviation and interpolation."""


def normalisation(architecture: str, tag: str, path: Path) -> Normalisation:
    """The mean and standard deviation of RGB in [0, 1], and the interpolation, of a checkpoint.

    Args:
        architecture: an open_clip name.
        tag: its pretrained tag; empty where the weights come from elsewhere.
        path: the weights; ``open_clip_config.json`` or ``preprocessor_config.json`` beside them count first.

    Raises:
        UsageError: no tag and no configuration, and the known weights of this architecture differ; a configuration
            that cannot be read.
    """
    own = _beside(path)
    if own is not None:
        return own
    if tag:
        return _of(get_pretrained_cfg(architecture, tag))
    known = {_of(get_pretrained_cfg(architecture, each)): each for each in list_pretrained_tags_by_model(architecture)}
    if len({found[:2] for found in known}) > 1:
        tags = " or ".join(f"{architecture}/{each}" for each in sorted(known.values()))
        raise UsageError(
            f"Weights of {architecture} are known with different mean and standard deviation of their images: say "
            f"which yours were trained with, as --model {tags}."
        )
    return next(iter(known), _of({}))


def activation(path: Path) -> str | None:
    """``gelu`` or ``quick_gelu``, where a transformers ``config.json`` lies beside the weights and says so."""
    config = _read(path.parent / "config.json")
    vision = config.get("vision_config") if config else None
    found = vision.get("hidden_act") if isinstance(vision, Mapping) else None
    return found if isinstance(found, str) else None


def _of(config: Mapping[str, Any]) -> Normalisation:
    interpolation: Interpolation = "bilinear" if config.get("interpolation") == "bilinear" else "bicubic"
    mean, std = config.get("mean") or OPENAI_DATASET_MEAN, config.get("std") or OPENAI_DATASET_STD
    return tuple(map(float, mean)), tuple(map(float, std)), interpolation


def _beside(path: Path) -> Normalisation | None:
    if (config := _read(path.parent / "open_clip_config.json")) and isinstance(config.get("preprocess_cfg"), Mapping):
        return _of(config["preprocess_cfg"])
    if (config := _read(path.parent / "preprocessor_config.json")) and "image_mean" in config:
        bilinear = config.get("resample") == 2  # the number of PIL
        named = {"mean": config["image_mean"], "std": config["image_std"]}
        return _of(named | ({"interpolation": "bilinear"} if bilinear else {}))
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} beside the weights cannot be read ({' '.join(str(error).split())[:120]}).") from error
    return found if isinstance(found, dict) else None
