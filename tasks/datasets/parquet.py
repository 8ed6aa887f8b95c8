"""Parquet: a row a frame with its picture and instances, as data loaders of Hugging Face and DuckDB read it."""

import io
import json
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.dataset import FRAMES, DatasetFrame, Label
from tasks.datasets.format import Classes, Format, OutputFile, annotated, class_list_alone, instance_fields
from tasks.datasets.image_store import Content, Picture

_INSTANCE = pa.struct(
    [
        ("class", pa.int32()),
        ("name", pa.string()),
        ("role", pa.string()),
        ("bbox", pa.list_(pa.int32(), 4)),
        ("area", pa.int64()),
        ("mask_rle", pa.binary()),
        ("item_id", pa.string()),
        ("track_id", pa.string()),
    ]
)
_PLAIN = pa.schema(
    [
        *FRAMES,
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("instances", pa.list_(_INSTANCE)),
    ]
)


def _feature(kind: pa.DataType) -> object:
    """A type as Hugging Face datasets call it."""
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    if pa.types.is_list(kind):
        return [_feature(kind.value_type)]
    return {"dtype": str(kind), "_type": "Value"}


# Without this Hugging Face datasets would show a picture as its bytes.
_FEATURES = {field.name: _feature(field.type) for field in _PLAIN} | {"image": {"_type": "Image"}}
_ROWS = _PLAIN.with_metadata({"huggingface": json.dumps({"info": {"features": _FEATURES}})})
_ROW_GROUP = 64  # pictures are large: a reader takes in a row group at a time


def _part(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    numbers = {name: number for number, name in enumerate(classes.names)}
    buffer = io.BytesIO()
    pictures: list[tuple[str, Picture]] = []
    waiting: list[dict[str, object]] = []
    # Pictures are compressed already and never alike.
    plain = [field.name for field in FRAMES]
    with pq.ParquetWriter(buffer, _ROWS, compression="zstd", use_dictionary=plain, write_statistics=plain) as writer:
        for content in contents:
            if content.picture is None:
                continue
            pictures.append((content.frame.frame_id, content.picture))
            waiting.append(_row(content.frame, content.picture, numbers))
            if len(waiting) == _ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(waiting, schema=_ROWS))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_pylist(waiting, schema=_ROWS))
    if pictures:
        yield OutputFile(f"data/{name}.parquet", buffer.getvalue(), tuple(pictures))


def _row(frame: DatasetFrame, picture: Picture, numbers: dict[str, int]) -> dict[str, object]:
    return {
        **{field.name: getattr(frame, field.name) for field in FRAMES},
        "image": {"bytes": picture.data, "path": f"{frame.frame_id}{picture.suffix}"},
        "instances": [_instance(label, numbers) for label in annotated(frame.labels)],
    }


def _instance(label: Label, numbers: dict[str, int]) -> dict[str, object]:
    return {**instance_fields(label, numbers), "area": label.area, "mask_rle": label.mask_rle}


PARQUET = Format(
    _part,
    class_list_alone,
    (),
    'datasets.load_dataset(".", split="train")',
    hub="data/{split}-*.parquet",
)
