"""What changed between two scans of the same footage: names gained and lost, and, where people have judged,
false alarms and true finds gained and lost."""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from schemas.records import ScanRecord
from schemas.review import Box
from tasks.errors import UsageError, UserError
from tasks.tables import Tables
from tasks.tables.late import Connection

_SAME_OBJECT = 0.5
"""Boxes that overlap by this IoU on the same frame are one object."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict of people on an object, on one of its frames: ``real`` if it is an unknown object."""

    item_id: str
    source_uri: str
    frame_index: int
    box: Box
    real: bool


@dataclass(frozen=True, slots=True)
class NameChange:
    """How often a name was found before and after, on the frames that both scans sampled."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class JudgedChange:
    """Judged objects of one kind: found by both scans, by the first only, by the second only, by neither."""

    kept: int
    lost: int
    gained: int
    missed: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two scans on the ``frames`` frames of ``sources`` sources that both looked at.

    ``matched`` instances lie on the same object in both, ``renamed`` of them under another name; ``only_before`` and
    ``only_after`` have no counterpart. ``real`` and ``false_alarms`` are None where nothing is judged.
    """

    before: ScanRecord
    after: ScanRecord
    sources: int
    frames: int
    names: tuple[NameChange, ...]
    matched: int
    renamed: int
    only_before: int
    only_after: int
    real: JudgedChange | None
    false_alarms: JudgedChange | None

    @property
    def names_gained(self) -> tuple[str, ...]:
        """Names that only the second scan found."""
        return tuple(change.name for change in self.names if not change.before)

    @property
    def names_lost(self) -> tuple[str, ...]:
        """Names that only the first scan found."""
        return tuple(change.name for change in self.names if not change.after)


def compare_scans(tables: Tables, before: str, after: str, judged: Iterable[Judged] = ()) -> Comparison:
    """Compare the scans ``before`` and ``after`` (scan ids) of the same tables.

    Args:
        tables: the tables that both wrote.
        before: scan id.
        after: scan id, another one.
        judged: what people decided, by frame; an object counts as found where an instance overlaps it on one of its
            frames.

    Raises:
        UsageError: the same scan twice.
        UserError: no such scan, or no frame that both looked at.
    """
    if before == after:
        raise UsageError(f"--compare {before} {after}: give two different scans.")
    scans = {scan.scan_id: scan for scan in tables.scans()}
    for scan_id in (before, after):
        if scan_id not in scans:
            raise UserError(f"There is no scan {scan_id} in {tables.name}. Scans: {', '.join(scans) or 'none'}.")
    with duckdb.connect() as connection:
        _register(connection, tables, before, after)
        [(sources, frames)] = connection.execute("SELECT count(DISTINCT source_uri), count(*) FROM common").fetchall()
        if not frames:
            raise UserError(
                f"The scans {before} and {after} looked at no frame in common: there is nothing to compare."
            )
        matched, renamed, only_before, only_after = _matches(connection)
        real, false_alarms = _judged(connection, list(judged))
        return Comparison(
            before=scans[before],
            after=scans[after],
            sources=sources,
            frames=frames,
            names=_names(connection),
            matched=matched,
            renamed=renamed,
            only_before=only_before,
            only_after=only_after,
            real=real,
            false_alarms=false_alarms,
        )


def _register(connection: Connection, tables: Tables, before: str, after: str) -> None:
    for name, scan_id in (("before", before), ("after", after)):
        connection.register(f"frames_{name}", tables.open("frames", scan_id=scan_id))
        connection.register(f"instances_{name}", tables.open("instances", scan_id=scan_id))
        # A source that changed in between is another source.
        contents = [
            {"source_uri": source.uri, "etag": source.etag}
            for commit in tables.commits(scan_id)
            for source in commit.sources
        ]
        connection.register(
            f"sources_{name}",
            pa.Table.from_pylist(contents, pa.schema({"source_uri": pa.string(), "etag": pa.string()})),
        )
    connection.execute(
        """
        CREATE TEMP TABLE common AS
        SELECT source_uri, frame_index FROM frames_before
        JOIN frames_after USING (source_uri, frame_index)
        SEMI JOIN (SELECT source_uri FROM sources_before JOIN sources_after USING (source_uri, etag))
            USING (source_uri)
        WHERE frames_before.status = 'ok' AND frames_after.status = 'ok'
        """
    )
    for name in ("before", "after"):
        connection.execute(
            f"""
            CREATE TEMP TABLE {name} AS
            SELECT instance_id, source_uri, frame_index, name,
                   bbox_x AS x, bbox_y AS y, bbox_width AS w, bbox_height AS h
            FROM instances_{name} SEMI JOIN common USING (source_uri, frame_index)
            """
        )
    connection.execute(
        """
        CREATE TEMP MACRO iou(x1, y1, w1, h1, x2, y2, w2, h2) AS (
            SELECT shared / (w1 * h1 + w2 * h2 - shared) FROM (
                SELECT greatest(0.0, least(x1 + w1, x2 + w2) - greatest(x1, x2))
                     * greatest(0.0, least(y1 + h1, y2 + h2) - greatest(y1, y2)) AS shared
            )
        )
        """
    )


def _same(a: str, b: str) -> str:
    boxes = ", ".join(f"{table}.{part}" for table in (a, b) for part in "xywh")
    return f"iou({boxes}) >= {_SAME_OBJECT}"


def _matches(connection: Connection) -> tuple[int, int, int, int]:
    # An instance has at most one counterpart that overlaps it by half, but for exact ties of nested boxes.
    connection.execute(
        f"""
        CREATE TEMP TABLE pairs AS
        SELECT before.instance_id AS a, after.instance_id AS b, before.name <> after.name AS renamed
        FROM before JOIN after USING (source_uri, frame_index) WHERE {_same("before", "after")}
        """
    )
    [(matched, renamed, only_before, only_after)] = connection.execute(
        """
        SELECT (SELECT count(DISTINCT a) FROM pairs),
               (SELECT count(DISTINCT a) FROM pairs WHERE renamed),
               (SELECT count(*) FROM before WHERE instance_id NOT IN (SELECT a FROM pairs)),
               (SELECT count(*) FROM after WHERE instance_id NOT IN (SELECT b FROM pairs))
        """
    ).fetchall()
    return matched, renamed, only_before, only_after


def _names(connection: Connection) -> tuple[NameChange, ...]:
    rows = connection.execute(
        """
        SELECT name, coalesce(a.n, 0), coalesce(b.n, 0)
        FROM (SELECT name, count(*) AS n FROM before GROUP BY name) a
        FULL JOIN (SELECT name, count(*) AS n FROM after GROUP BY name) b USING (name)
        ORDER BY coalesce(a.n, 0) + coalesce(b.n, 0) DESC, name
        """
    ).fetchall()
    return tuple(NameChange(*row) for row in rows)


def _judged(connection: Connection, judged: list[Judged]) -> tuple[JudgedChange | None, JudgedChange | None]:
    if not judged:
        return None, None
    rows = [
        {
            "item_id": judgement.item_id,
            "source_uri": judgement.source_uri,
            "frame_index": judgement.frame_index,
            "x": judgement.box.x,
            "y": judgement.box.y,
            "w": judgement.box.width,
            "h": judgement.box.height,
            "real": judgement.real,
        }
        for judgement in judged
    ]
    connection.register("judgements", pa.Table.from_pylist(rows))
    counts: dict[tuple[bool, bool, bool], int] = {
        (real, before, after): count
        for real, before, after, count in connection.execute(
            f"""
            WITH seen AS (SELECT * FROM judgements SEMI JOIN common USING (source_uri, frame_index)),
            found AS (
                SELECT seen.item_id, seen.real,
                    EXISTS (FROM before WHERE before.source_uri = seen.source_uri
                        AND before.frame_index = seen.frame_index AND {_same("before", "seen")}) AS in_before,
                    EXISTS (FROM after WHERE after.source_uri = seen.source_uri
                        AND after.frame_index = seen.frame_index AND {_same("after", "seen")}) AS in_after
                FROM seen
            ),
            items AS (
                SELECT any_value(real) AS real, bool_or(in_before) AS b, bool_or(in_after) AS a
                FROM found GROUP BY item_id
            )
            SELECT real, b, a, count(*) FROM items GROUP BY ALL
            """
        ).fetchall()
    }
    real, false_alarms = (
        JudgedChange(
            kept=counts.get((kind, True, True), 0),
            lost=counts.get((kind, True, False), 0),
            gained=counts.get((kind, False, True), 0),
            missed=counts.get((kind, False, False), 0),
        )
        for kind in (True, False)
    )
    return real, false_alarms
