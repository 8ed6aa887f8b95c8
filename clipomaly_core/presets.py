"""Named sets of options: published recipes, so that a difference in results can be traced to one of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from clipomaly_core.errors import UsageError

Plain = str | float | int | bool | None

PRESETS: Final[Mapping[str, Mapping[str, Plain]]] = MappingProxyType(
    {
        # An independent reading of arXiv 2512.01427: softmax without a temperature, entropy over the known classes.
        "paper": {
            "score": "entropy",
            "logit_scale": 1.0,
            "reassign_known": "pixel",
            "reassign_known_margin": 0.0,
            "edges": "bilinear",
        },
        # The published recipe of NACLIP (arXiv 2404.08181): 80 templates, short side 560, windows of 224 every 112,
        # logit scale 40, the best word of a class after the softmax over all words.
        "naclip": {
            "attention": "naclip",
            "templates": "full",
            "short_side": 560,
            "scales": "1",
            "window": 224,
            "stride": 112,
            "score": "word-msp",
            "logit_scale": 40.0,
            "reassign_known": "pixel",
            "reassign_known_margin": 0.0,
            "edges": "bilinear",
        },
        # The defaults of the model, calibrated on the fleet's own ordinary footage.
        "fleet": {},
    }
)


def preset(name: str) -> dict[str, Plain]:
    """The options of a preset.

    Raises:
        UsageError: a name that is none.

    Example:
        >>> from clipomaly_core.presets import preset
        >>> preset("paper")["logit_scale"]
        1.0
    """
    if name not in PRESETS:
        raise UsageError(f"Unknown preset {name!r}: use one of {', '.join(PRESETS)}.")
    return dict(PRESETS[name])
