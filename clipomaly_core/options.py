"""Every choice of the method that the paper leaves open, by name, with its default.

Presets are named sets of options: published recipes, so that a difference in results can be traced to one of them.
Options and values of earlier versions still have their earlier names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, get_args

from clipomaly_core.errors import UsageError
from clipomaly_core.scores import SCORES, Score
from clipomaly_core.towers.attention import ATTENTIONS
from clipomaly_core.weights import NANO, ROAD

Candidates = Literal["dictionary", "clip-tagger", "ram"]
CANDIDATES: tuple[str, ...] = get_args(Candidates)
Edges = Literal["bilinear", "guided", "grabcut"]
EDGES: tuple[str, ...] = get_args(Edges)
Precision = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
ReassignKnown = Literal["region", "pixel"]
REASSIGN_KNOWN: tuple[str, ...] = get_args(ReassignKnown)

TEMPLATES = ("word", "short", "full")

METHOD_VERSION = 2
"""Raised whenever the same options give other results than before."""
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
_NAMES = {"reclaim": "reassign_known", "reclaim_margin": "reassign_known_margin", "second_scale": "scales"}
_SCORES = {"unknown-mass": "candidate_probability"}


@dataclass(frozen=True, slots=True)
class Options:
    """How frames are turned into named instances.

    attention: how dense features are made, see ``clipomaly_core.towers.attention``.
    window, stride: sliding windows in pixels at the working size; whole frames when ``window`` is ``None``.
    short_side: the frame's shorter side in pixels at the working size, before rounding to patches.
    scales: working sizes as factors of ``short_side``, each > 0. The features of all scales are averaged on the finest
        grid. Two scales recognise small and large things better, and cost the time of both.
    templates: which prompt templates are averaged: ``short``, ``full``, or ``word``, which is the word alone.
    score: what tells unknown from known, see ``anomaly_score``; ``entropy`` is the paper's.
    logit_scale: inverse temperature of the softmax over cosines, > 0.
    threshold: a pixel whose score, with contrast, is above it is unknown, in [0, 1].
    peak_threshold: of the unknown regions, only those are kept that reach this score somewhere (hysteresis), in [0, 1];
        ``None`` keeps all of them, as the paper does.
    contrast: how much of its difference from the surroundings is added to the logit of each pixel before it is compared
        with the thresholds, see ``clipomaly_core.regions``; 0, as in the paper: nothing.
    fusion: weight of the distance from ordinary features beside 1 for the language score, both in standard deviations,
        0 and more; only with a reference.
    finds_per_hour: about so many finds an hour on ordinary footage, above 0: with a reference the three options above
        follow from it; ``None`` leaves them as they are.
    min_area: smallest instance as a share of the frame's area.
    max_regions: at most so many regions a frame are named, the largest first.
    preselect: how many candidates, nearest to the region's embedding, are compared with its crops (CAT-Seg keeps 256).
    region_weight: share of the region's embedding in a name's score, in [0, 1]; the crops have the rest. At 1 there are
        no crops, and naming costs almost nothing.
    crop_size: side of the crops in pixels; ``None``: the size of the images that the model was trained with.
    crop_sightings: of an object that neighbouring frames of a scan show, the largest so many sightings get crops, which
        then stand for all of them, and only the largest where there are many objects; ``None``: every sighting has its
        own.
    crop_share: the crops of a frame have at most so many times the pixels that the frame itself has at the working
        size, > 0; beyond that, the least anomalous regions are named without. ``None``: no limit.
    context: border of the context crop as a share of the region's longer side.
    naming_scale: inverse temperature of the softmax over candidate names, > 0.
    margin: least difference between the probabilities of the best two names; below it the name is
        "unknown object".
    name_cosine: least cosine between a region and its name, as ``region_weight`` combines region and crops, in [-1, 1];
        below it the name is "unknown object". A thing that no candidate describes is far from all of them, even where
        one is clearly nearest. The right value depends on the model; 0 excludes almost nothing.
    reassign_known: ``region``: a region that a known class fits better than any candidate becomes known again, other
        regions stay whole; ``pixel``: each pixel that a known class fits better than the region's name becomes known
        again as well, which is the paper's segmentation over known classes and candidates.
    reassign_known_margin: a region becomes known again unless the cosine of its best candidate exceeds that of its best
        known class by more than this, in [0, 1]; 0 is the paper's. It removes many false finds and few true ones.
    certain_threshold: a region that reaches this score, with contrast, somewhere stays an anomaly even where a known
        class fits it better than every name, in [0, 1]; it is then an "unknown object". ``None``: none does.
    known_cosine: candidates whose text embedding is at least so near to that of a known class are left out.
    candidates: where the candidate names of a frame come from: ``dictionary``, all of it; ``clip-tagger``, those names
        of it that this CLIP recognises in the frame; ``ram``, what the Recognize Anything package recognises. Names
        that users gave or promoted are always added to those of a tagger.
    tags: at most so many names of the ``clip-tagger`` a frame.
    tagger_weights: path or URL of the weights of ``ram``.
    edges: ``bilinear``: scores and instances are enlarged to the frame as they are; ``guided``: scores also follow its
        edges; ``grabcut``: instances are cut out along its colours.
    precision: number format of the image tower; ``auto``: bfloat16 on an accelerator, float32 on a CPU. A CPU that
        has bfloat16, as ``clipomaly doctor`` tells, runs a real CLIP about twice as fast with it.
    """

    attention: str = "naclip"
    window: int | None = None
    stride: int | None = None
    short_side: int = 448
    scales: tuple[float, ...] = (1.0,)
    templates: str = "short"
    score: Score = "entropy"
    logit_scale: float = 40.0
    threshold: float = 0.6
    peak_threshold: float | None = None
    contrast: float = 0.0
    fusion: float = 0.0
    finds_per_hour: float | None = 30.0
    min_area: float = 0.0004
    max_regions: int = 100
    preselect: int = 256
    region_weight: float = 0.5
    crop_size: int | None = None
    crop_sightings: int | None = 2
    crop_share: float | None = 1.0
    context: float = 0.5
    naming_scale: float = 100.0
    margin: float = 0.05
    name_cosine: float = 0.0
    reassign_known: ReassignKnown = "pixel"
    reassign_known_margin: float = 0.0
    certain_threshold: float | None = None
    known_cosine: float = 0.97
    candidates: Candidates = "dictionary"
    tags: int = 64
    tagger_weights: str | None = None
    edges: Edges = "bilinear"
    precision: Precision = "auto"
    method_version: int = METHOD_VERSION

    def __post_init__(self) -> None:
        """Raises UsageError for a value out of its range."""
        if self.attention not in ATTENTIONS:
            raise UsageError(f"Unknown attention {self.attention!r}: use one of {', '.join(ATTENTIONS)}.")
        if self.score not in SCORES:
            raise UsageError(f"Unknown score {self.score!r}: use one of {', '.join(SCORES)}.")
        if self.templates not in TEMPLATES:
            raise UsageError(f"Unknown templates {self.templates!r}: use one of {', '.join(TEMPLATES)}.")
        if self.candidates not in CANDIDATES:
            raise UsageError(f"Unknown candidates {self.candidates!r}: use one of {', '.join(CANDIDATES)}.")
        if self.edges not in EDGES:
            raise UsageError(f"Unknown edges {self.edges!r}: use one of {', '.join(EDGES)}.")
        if self.reassign_known not in REASSIGN_KNOWN:
            raise UsageError(f"Unknown reassign_known {self.reassign_known!r}: use {' or '.join(REASSIGN_KNOWN)}.")
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise UsageError(f"Option scales is {self.scales}: give one or more numbers greater than 0.")
        if self.precision not in PRECISIONS:
            raise UsageError(f"Unknown precision {self.precision!r}: use one of {', '.join(PRECISIONS)}.")
        for name in ("threshold", "min_area", "region_weight", "margin", "reassign_known_margin"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"Option {name} is {getattr(self, name)}: it must lie in 0 to 1.")
        if not -1 <= self.name_cosine <= 1:
            raise UsageError(f"Option name_cosine is {self.name_cosine}: it must lie in -1 to 1.")
        positive = ("short_side", "logit_scale", "max_regions", "preselect")
        for name in (*positive, "naming_scale", "tags"):
            if not getattr(self, name) > 0:
                raise UsageError(f"Option {name} is {getattr(self, name)}: it must be greater than 0.")
        if self.crop_size is not None and self.crop_size < 1:
            raise UsageError(f"Option crop_size is {self.crop_size}: it must be greater than 0.")
        for name in ("crop_sightings", "crop_share"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise UsageError(f"Option {name} is {value}: it must be greater than 0.")
        for name in ("context", "contrast", "fusion"):
            if getattr(self, name) < 0:
                raise UsageError(f"Option {name} is {getattr(self, name)}: it must be 0 or greater.")
        if self.finds_per_hour is not None and not self.finds_per_hour > 0:
            raise UsageError(f"Option finds_per_hour is {self.finds_per_hour}: it must be greater than 0.")
        for name in ("peak_threshold", "certain_threshold"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"Option {name} is {value}: it must lie in 0 to 1.")


_BUILT_IN = Options(
    score="candidate_probability",
    threshold=0.995,
    peak_threshold=0.999,
    contrast=0.5,
    min_area=0.001,
    preselect=2000,
    region_weight=0.3,
    margin=0.05,
    reassign_known="region",
)
"""What the built-in models have in common."""


def default_options(model: str) -> Options:
    """The defaults for a model: those of ``nano`` were chosen as docs/models/nano.md says."""
    if model.partition("/")[0] == NANO:
        return replace(
            _BUILT_IN,
            short_side=352,
            scales=(1.0, 1.64),
            logit_scale=20.0,
            crop_size=96,
            naming_scale=40.0,
            name_cosine=0.38,
            reassign_known_margin=0.1,
        )
    if model == ROAD:
        return replace(
            _BUILT_IN,
            templates="word",
            short_side=544,
            logit_scale=54.8,
            fusion=3.3,
            crop_size=224,
            naming_scale=80.0,
            reassign_known_margin=0.02,
            certain_threshold=0.9999,
            edges="grabcut",
        )
    return Options()


def preset(name: str) -> dict[str, Plain]:
    """The options of a preset.

    Raises:
        UsageError: a name that is none.

    Example:
        >>> from clipomaly_core.options import preset
        >>> preset("paper")["logit_scale"]
        1.0
    """
    if name not in PRESETS:
        raise UsageError(f"Unknown preset {name!r}: use one of {', '.join(PRESETS)}.")
    return dict(PRESETS[name])


def rename_options(options: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Give options their present names.

    Args:
        options: values by name, with present or earlier names.

    Returns:
        The same options with present names, and for each earlier name one line that says so. Where both the earlier
        and the present name are given, the present one holds.

    Example:
        >>> from clipomaly_core.options import rename_options
        >>> rename_options({"second_scale": 1.5})[0]
        {'scales': (1.0, 1.5)}
    """
    renamed: dict[str, object] = {}
    notices = []
    for name, value in options.items():
        present = _NAMES.get(name, name)
        if name == "second_scale":
            value = _scales(value)
        if name == "score" and isinstance(value, str) and value in _SCORES:
            notices.append(f"score={value} is now score={_SCORES[value]}.")
            value = _SCORES[value]
        if present != name:
            shown = ",".join(f"{scale:g}" for scale in value) if isinstance(value, tuple) else value
            notices.append(f"The option {name} is now {present}: use {present}={shown}.")
            if present in options:
                continue
        renamed[present] = value
    return renamed, notices


def is_earlier_name(name: str) -> bool:
    """Whether an option had this name in an earlier version."""
    return name in _NAMES


def _scales(second: object) -> object:
    """The scales of one earlier ``second_scale``; what is not a number is kept, for the message about it."""
    try:
        number = float(str(second))
    except ValueError:
        return second
    return (1.0,) if number == 1 else (1.0, number)
