"""The dataset card: what is in a dataset, in Markdown for people, and a sheet of samples."""

from collections.abc import Iterable, Sequence

import yaml

from schemas.dataset import DatasetFrame, Label, NearPair, Role, Split
from schemas.dataset_format import Blur
from tasks.datasets.blurring import Blurrer
from tasks.datasets.format import Format
from tasks.datasets.image_store import encode
from tasks.datasets.manifest import Manifest
from tasks.drawing import Picture, contact_sheet
from tasks.errors import UserError
from tasks.masks import decode_mask
from tasks.reporting.finds import Find, find_picture

_SAMPLES = 12
_COLUMNS = 4
_MOST_PAIRS = 20
_MOST_LINES = 20


def sample_sheet(frames: Sequence[DatasetFrame], blur: Blurrer | None = None) -> bytes | None:
    """A JPEG of a dozen labels of different classes, outlined; None where none of them can be read."""
    change = (lambda frame: blur(frame)[0]) if blur else None
    tiles: list[tuple[Picture, str]] = []
    for frame, label in _samples(frames):
        box = (label.box.x, label.box.y, label.box.width, label.box.height)
        mask = decode_mask(label.mask_rle, frame.height, frame.width)
        name = label.name or label.verdict
        find = Find(frame.source_uri, frame.drive, frame.frame_index, "", name, label.score, box, mask)
        try:
            tiles.append((find_picture(find, change), f"{frame.split}  {label.role}: {name}"))
        except UserError:  # the dataset has the picture; the card does without it
            continue
    return encode(contact_sheet(tiles, _COLUMNS), png=False).data if tiles else None


def _samples(frames: Iterable[DatasetFrame]) -> list[tuple[DatasetFrame, Label]]:
    """The surest label of each class in turn, then the next surest, until there are a dozen."""
    by_class: dict[tuple[Role, str], list[tuple[DatasetFrame, Label]]] = {}
    for frame in frames:
        for label in frame.labels:
            by_class.setdefault((label.role, label.name or ""), []).append((frame, label))
    order = {role: place for place, role in enumerate(Role)}
    classes = [
        sorted(by_class[key], key=lambda pair: (-pair[1].score, pair[0].frame_id))
        for key in sorted(by_class, key=lambda key: (order[key[0]], key[1]))
    ]
    seen: set[str] = set()
    chosen: list[tuple[DatasetFrame, Label]] = []
    for place in range(max(map(len, classes), default=0)):
        for pairs in classes:
            # One object is shown once, however many frames its track has.
            if place < len(pairs) and pairs[place][1].item_id not in seen and len(chosen) < _SAMPLES:
                seen.add(pairs[place][1].item_id)
                chosen.append(pairs[place])
        if len(chosen) == _SAMPLES:
            break
    return chosen


def card(manifest: Manifest, form: Format, near: Sequence[NearPair], samples: bool) -> str:
    """The text of the card, with what Hugging Face reads of it at the top."""
    counts = manifest.counts
    total = {name: sum(getattr(split, name) for split in counts.splits) for name in ("frames", "instances")}
    lines = [
        *_front_matter(manifest, form),
        "# Dataset of unusual objects on roads",
        "",
        f"{total['frames']:,} frames with {total['instances']:,} instances that people judged, in the format "
        f"`{manifest.format}`. Built by Clipomaly {manifest.clipomaly}; `manifest.json` has everything that decides "
        "its content, `frames.parquet` and `labels.parquet` where each frame and each instance comes from.",
        "",
        *(["![A dozen samples](samples.jpg)", ""] if samples else []),
        "## Splits",
        "",
        "By drive, never by frame: all frames of a drive are in one split, and more data never moves a drive.",
        "",
        *_table(
            ("split", "drives", "frames", "of background", "with an instance without a label", "instances"),
            (
                (split.split, split.drives, split.frames, split.background, split.unlabelled, split.instances)
                for split in counts.splits
            ),
        ),
        *_list(manifest.warnings),
        "## Classes",
        "",
        "`object`: a name that a person gave or accepted. `known`: a class of the known vocabulary that was taken "
        "for an unknown object, a hard negative. `background`: taken for an object and none. In brackets how many "
        "different objects (tracks) the instances show.",
        "",
        *_table(("class", "role", *Split, "instances"), _balance(manifest)),
        "## Near-duplicates across splits",
        "",
        *_near(manifest, near),
        "## Known limits",
        "",
        *_list(_limits(manifest)),
        "## Load it",
        "",
        "```python",
        form.load,
        "```",
        "",
        "## Where it comes from",
        "",
        *_table(
            ("scan", "model", "weights sha256", "vocabulary sha256"),
            (
                (scan.scan_id, scan.model, scan.weights_sha256[:16], scan.vocabulary_sha256[:16])
                for scan in manifest.scans
            ),
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _front_matter(manifest: Manifest, form: Format) -> list[str]:
    """The YAML of a dataset card: https://huggingface.co/docs/hub/datasets-cards"""
    frames = {split.split: split.frames for split in manifest.counts.splits}
    told: dict[str, object] = {
        "pretty_name": "Unusual objects on roads",
        "task_categories": ["object-detection", "image-segmentation"],
        "tags": ["clipomaly", "driving", "anomaly-detection"],
        "size_categories": [_size(sum(frames.values()))],
    }
    if form.hub is not None:
        files = [{"split": s.value, "path": form.hub.format(split=s)} for s in Split if frames.get(s)]
        told["configs"] = [{"config_name": "default", "data_files": files}]
    return ["---", yaml.safe_dump(told, sort_keys=False).rstrip(), "---", ""]


def _size(frames: int) -> str:
    """The size category of the Hub."""
    steps = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")
    return steps[min(max(len(str(frames)) - 3, 0), len(steps) - 1)]


def _balance(manifest: Manifest) -> Iterable[tuple[object, ...]]:
    cells: dict[tuple[Role, str | None], dict[Split, str]] = {}
    totals: dict[tuple[Role, str | None], int] = {}
    for counted in manifest.counts.classes:
        key = (counted.role, counted.name)
        cells.setdefault(key, {})[counted.split] = f"{counted.instances} ({counted.objects})"
        totals[key] = totals.get(key, 0) + counted.instances
    for (role, name), by_split in cells.items():
        yield (name or "-", role, *(by_split.get(split, "0") for split in Split), totals[role, name])


def _near(manifest: Manifest, near: Sequence[NearPair]) -> list[str]:
    told = f"cosine of {manifest.near_threshold:g} or more between embeddings of judged objects"
    if not near:
        return [f"None ({told}).", ""]
    most = f"; the nearest {_MOST_PAIRS}, all in `near_duplicates.csv`" if len(near) > _MOST_PAIRS else ""
    return [
        f"{len(near):,} frames of val or test have a look-alike in another split ({told}){most}. Look at them before "
        "trusting a figure on these splits.",
        "",
        *_table(
            ("frame", "split", "looks like", "split", "cosine"),
            (
                (f"{pair.frame_id} ({pair.name or 'background'})", pair.split,
                 f"{pair.other_frame_id} ({pair.other_name or 'background'})", pair.other_split, pair.cosine)
                for pair in near[:_MOST_PAIRS]
            ),
        ),
    ]  # fmt: skip


def _limits(manifest: Manifest) -> list[str]:
    losses, unlabelled = manifest.losses, sum(split.unlabelled for split in manifest.counts.splits)
    told = [
        "Masks are the scan's own, to the pixel; people judged what they show, not where their edges are.",
        f"Pictures: {manifest.pictures}.",
        *_blurring(manifest),
        *(f"The format: {limit}." for limit in manifest.limits),
    ]
    if losses.holes:
        told.append(f"Holes of {losses.holes:,} masks are filled ({losses.hole_pixels:,} pixels).")
    if losses.divided:
        told.append(f"{losses.divided:,} masks of several parts became an instance for each part.")
    if losses.hidden_pixels:
        told.append(f"{losses.hidden_pixels:,} pixels of masks lie under a smaller mask.")
    if unlabelled:
        told.append(
            f"{unlabelled:,} frames have an instance that was found and has no label here: a training takes it for "
            "background. `--fully-labelled` leaves such frames out."
        )
    if manifest.left_out:
        told.append(f"{manifest.left_out:,} frames were left out because an instance on them has no label.")
    if manifest.without_rows:
        told.append(
            f"{manifest.without_rows:,} items were found by a scan that the tables no longer have: of each only the "
            "frame that was judged is here."
        )
    told += [f"Left out: {missing}." for missing in manifest.missing[:_MOST_LINES]]
    if len(manifest.missing) > _MOST_LINES:
        told.append(f"Left out: {len(manifest.missing) - _MOST_LINES} more, see `manifest.json`.")
    return told


def _blurring(manifest: Manifest) -> Iterable[str]:
    blur = manifest.blur
    if not blur.detectors:
        yield "Faces and number plates are as the camera saw them: nothing is blurred."
        return
    for detector in blur.detectors:
        yield (
            f"Blurred: {detector.what}, as {detector.name} finds them ({detector.package}, "
            f"model {detector.sha256[:16]}, score from {detector.score:g} on)."
        )
    yield f"{blur.places:,} places in {blur.frames:,} frames are blurred; masks and boxes are as without it."
    yield "No detector finds all, and what was missed was not counted: look at the pictures before you hand them on."
    if missing := [what for what in Blur if what not in {detector.what for detector in blur.detectors}]:
        yield f"Not blurred: {' and '.join(missing)}."


def _list(lines: Iterable[str]) -> list[str]:
    found = [f"- {line}" for line in lines]
    return [*found, ""] if found else []


def _table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return [line(header), line("---" for _ in header), *map(line, rows), ""]
