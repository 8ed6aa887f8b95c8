"""From the name of a model to a file of its weights on this machine, and how these want their images."""

import clipomaly_core.light_imports  # noqa: F401  # before open_clip

# isort: split
import hashlib
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import Any

import fsspec
import open_clip
from huggingface_hub import constants
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model

from clipomaly_core.errors import UsageError, UserError
from clipomaly_core.towers.protocol import Interpolation
from clipomaly_core.towers.road import packages
from clipomaly_core.weight_files import file_sha256, weight_file

NANO = "nano"
ROAD = "road"
_HUB_SECONDS = 5
_DATA = Path(str(files("clipomaly_core") / "data"))
Normalisation = tuple[tuple[float, ...], tuple[float, ...], Interpolation]
"""Mean, standard deviation and interpolation."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights that are on this machine, and the network that they fit.

    ``name`` is what the user called the model; ``sha256`` covers the file at ``path``; ``mean`` and ``std`` are of RGB
    in [0, 1]; ``quick_gelu`` is what architecture and tag say; ``interpolation`` resizes images.
    """

    name: str
    architecture: str
    path: Path
    sha256: str
    embedding_dimension: int
    quick_gelu: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation


def cache_dir() -> Path:
    """Where downloads and text embeddings are kept: ``CLIPOMALY_CACHE``, else under the user's cache."""
    given = os.environ.get("CLIPOMALY_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "clipomaly"


def find_checkpoint(model: str = NANO, weights: str | None = None) -> Checkpoint:
    """Find the weights of a model, downloading them where they are not yet on this machine.

    Args:
        model: ``"nano"`` or an open_clip name, ``"ViT-B-16-quickgelu/openai"``; with ``weights`` the
            architecture alone is enough.
        weights: path or fsspec URL of a file of weights, or a folder as transformers or open_clip saves one; see
            ``weight_files``.

    Raises:
        UserError: unknown model or tag, weights that cannot be found or fetched.
    """
    if model == ROAD:
        return _road(weights)
    register_nano()
    architecture, _, tag = model.partition("/")
    config = open_clip.get_model_config(architecture)
    if config is None:
        raise UsageError(
            f"Unknown model {architecture!r}: 'road' and 'nano' are built in, other names are open_clip's, "
            "such as ViT-B-16-quickgelu/openai."
        )
    trained = get_pretrained_cfg(architecture, tag)
    if tag and not trained:
        raise _unknown_tag(architecture)
    if weights is not None:
        path = fetch(weights)
    elif architecture == NANO:
        path = _DATA / "nano.safetensors"
    else:
        path = _download(architecture, tag)
    mean, std, interpolation = normalisation(architecture, tag, path)
    return Checkpoint(
        name=model,
        architecture=architecture,
        path=path,
        sha256=file_sha256(path),
        embedding_dimension=int(config["embed_dim"]),
        quick_gelu=bool(config.get("quick_gelu") or trained.get("quick_gelu")),
        mean=mean,
        std=std,
        interpolation="area" if architecture == NANO else interpolation,
    )


def _road(weights: str | None) -> Checkpoint:
    """The model road lies in files of this package and of others. Those of others are pinned by their digests."""
    if weights is not None:
        raise UsageError(
            "The model road has its own weights: name the model of yours with --model, or leave --weights out."
        )
    parts = (_DATA / "road.safetensors", _DATA / "nano.safetensors")
    digests = [*map(file_sha256, parts), packages.EYE_SHA256, packages.SENTENCES_SHA256]
    return Checkpoint(
        name=ROAD,
        architecture=ROAD,
        path=parts[0],
        sha256=hashlib.sha256(" ".join(digests).encode()).hexdigest(),
        embedding_dimension=packages.NANO + packages.MEANING + packages.LOOK,
        quick_gelu=False,
        mean=packages.MEAN,
        std=packages.STD,
        interpolation="bilinear",
    )


def register_nano() -> None:
    """Let open_clip know the architecture of the built-in model."""
    if NANO not in open_clip.list_models():
        open_clip.add_model_config(_DATA / "nano.json")


def _download(architecture: str, tag: str) -> Path:
    if tag not in list_pretrained_tags_by_model(architecture):
        raise _unknown_tag(architecture)
    # The client retries for a while and writes a line each time; the one line below says it all.
    client = logging.getLogger("huggingface_hub")
    level, offline = client.level, constants.HF_HUB_OFFLINE
    client.setLevel(logging.ERROR)
    # It would try an absent hub for most of a minute; offline it looks at once for what was downloaded before.
    constants.HF_HUB_OFFLINE = offline or not _answers(constants.ENDPOINT)
    try:
        return Path(download_pretrained(get_pretrained_cfg(architecture, tag), cache_dir=None))
    except Exception as error:  # whatever the hub's client and the network come up with
        raise UserError(
            f"Weights {architecture}/{tag} are not on this machine and the hub cannot be reached; "
            "pass --weights FILE with a local copy, or use --model nano, which is built in."
        ) from error
    finally:
        client.setLevel(level)
        constants.HF_HUB_OFFLINE = offline


def _unknown_tag(architecture: str) -> UsageError:
    tags = list_pretrained_tags_by_model(architecture)
    known = f"pretrained tags are {', '.join(tags)}" if tags else "it has no pretrained weights"
    return UsageError(f"Model {architecture!r} needs weights: {known}; or pass --weights FILE.")


def _answers(url: str) -> bool:
    """Whether there is anything at an address of HTTP, by the proxies of the environment."""
    try:
        urllib.request.urlopen(url, timeout=_HUB_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, HTTPException):
        return False
    return True


def fetch(url: str) -> Path:
    """A file on this machine, or a copy of it in the cache where ``url`` is elsewhere. Raises UserError."""
    filesystem, path = fsspec.core.url_to_fs(url)
    try:
        if isinstance(filesystem, fsspec.get_filesystem_class("file")) and filesystem.exists(path):
            return weight_file(Path(path))
        if not filesystem.isfile(path):
            raise FileNotFoundError(path)
        version = hashlib.sha256(f"{url} {filesystem.ukey(path)}".encode()).hexdigest()[:16]
        local = cache_dir() / "weights" / version / path.rsplit("/", 1)[-1]
        if not local.exists():
            local.parent.mkdir(parents=True, exist_ok=True)
            partial = local.with_suffix(f".{os.getpid()}.partial")
            filesystem.get_file(path, str(partial))
            partial.replace(local)
        return local
    except OSError as error:
        raise UserError(f"Weights {url} cannot be read ({_reason(error)}); check the path and access.") from error


def _reason(error: OSError) -> str:
    return error.strerror or ("not found" if isinstance(error, FileNotFoundError) else str(error))


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
