"""``clipomaly vocabulary promote`` and ``clipomaly review precision``, as a person calls them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from clipomaly_core.names import NameSource
from clipomaly_core.vocabulary import Vocabulary
from review import Queue
from schemas.records import ScanRecord
from schemas.review import Verdict
from tasks.tables import Tables
from tests.command import Run
from tests.review.samples import make_item

MODEL = "f" * 64


def judge(path: Path, verdict: Verdict, name: str | None, numbers: Sequence[int], look: int | None = None) -> None:
    """Hand items in and judge them alike; those of one ``look`` have nearly the same embedding."""
    items = []
    for number in numbers:
        changes: dict[str, object] = {
            "name": "unknown object",
            "names": (),
            "drawn_at_random": True,
            "score": 0.5 + number / 100,
        }
        if look is not None:
            rng = np.random.default_rng(look)
            vector = rng.normal(size=64) + 0.02 * np.random.default_rng(number).normal(size=64)
            changes["embedding"] = vector.astype("<f2").tobytes()
        items.append(make_item(number, **changes))
    with Queue.open(str(path)) as queue:
        queue.enqueue(items)
        queue.decide("ann", [item.item_id for item in items], verdict, name)


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A queue in which five items got one new name, and four look-alikes are nothing."""
    path = tmp_path / "queue.db"
    judge(path, Verdict.RELABEL, "parade dragon", range(40, 45))
    judge(path, Verdict.NOT_AN_OBJECT, None, range(4), look=1)
    return path


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Tables that hold one scan's record, of the scan that the items are from."""
    root = tmp_path / "tables"
    record = ScanRecord(
        scan_id="scan-1", schema_version=1, model="nano", weights_sha256=MODEL, embedding_dimension=64,
        vocabulary=("road", "car"), vocabulary_sha256="0" * 64, known_classes=2, fps=1.0, options={},
        code_version="0", created=datetime(2026, 11, 24, tzinfo=UTC),
    )  # fmt: skip
    Tables.at(root).begin(record)
    return root


def test_promotion_is_shown_first_and_written_when_asked(
    clipomaly: Run, judged: Path, tables: Path, tmp_path: Path
) -> None:
    shown = clipomaly("vocabulary", "promote", "--queue", judged, "--tables", tables)
    assert shown.code == 0, shown.err
    assert "+ name parade dragon: given 5 times, accepted never" in shown.out
    assert "rejected 4 times (unknown object 4)" in shown.out
    assert "+    - parade dragon" in shown.out and "nothing is written" in shown.out

    words = tmp_path / "words.yaml"
    ran = clipomaly("vocabulary", "promote", "--queue", judged, "--tables", tables, "--out", words)
    assert ran.code == 0 and f"--vocabulary {words}" in ran.out
    vocabulary = Vocabulary.load(str(words))
    assert [one.name for one in vocabulary.candidates if one.source is NameSource.PROMOTED] == ["parade dragon"]
    assert [one.model for one in vocabulary.suppressed] == [MODEL]

    again = clipomaly("vocabulary", "promote", "--queue", judged, "--tables", tables, "--out", words)
    assert (again.code, again.err.count("\n")) == (1, 1) and "never changed" in again.err
    nothing = clipomaly("vocabulary", "promote", "--queue", judged, "--tables", tables, "--vocabulary", words)
    assert nothing.code == 0 and "nothing was decided often enough" in nothing.out
    assert nothing.out.count("not changed") == 3  # the name, its exemplars, and the suppression


def test_what_promotion_leaves_out(clipomaly: Run, judged: Path, tables: Path) -> None:
    ran = clipomaly("vocabulary", "promote", "--queue", judged)
    assert ran.code == 0 and "without --tables nothing is suppressed" in ran.out and "suppression" not in ran.out
    ran = clipomaly("vocabulary", "promote", "--queue", judged, "--tables", tables, "--leave-out", "Parade dragons")
    assert "+ suppression" in ran.out and "+ name" not in ran.out and "it is left out, as asked" in ran.out
    ran = clipomaly("vocabulary", "promote", "--queue", judged, "--tables", tables, "--at-least", 5)
    assert "+ name parade dragon" in ran.out and "+ suppression" not in ran.out


def test_promotion_asked_wrongly_writes_nothing(clipomaly: Run, judged: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.yaml"
    words.write_text("dictionary:\n  user: [ladder, ladder]\n")
    out = tmp_path / "next.yaml"
    for code, says, flags in (
        (1, "no tables", ("--tables", tmp_path / "nowhere")),
        (2, "line 2", ("--vocabulary", words)),
        (2, "at-least", ("--at-least", 0)),
    ):
        ran = clipomaly("vocabulary", "promote", "--queue", judged, "--out", out, *flags)
        assert ran.code == code and says in ran.err and "Traceback" not in ran.err
    assert not out.exists()
    gone = clipomaly("vocabulary", "promote", "--queue", tmp_path / "gone.db", "--out", out)
    assert gone.code != 0 and gone.err.count("\n") == 1 and not (tmp_path / "gone.db").exists()


def test_precision_as_a_table_and_as_json(clipomaly: Run, tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    judge(path, Verdict.NOT_AN_OBJECT, None, range(25))  # scores 0.50 to 0.74
    judge(path, Verdict.RELABEL, "mattress", range(25, 50))  # scores 0.75 to 0.99
    ran = clipomaly("review", "precision", "--queue", path, "--precision", 0.8, "--bands", 2)
    assert ran.code == 0, ran.err
    assert "95 % interval" in ran.out
    low, high = (line for line in ran.out.splitlines() if " to 0." in line or " to 1." in line)
    assert " 0% " in low and " 100% " in high
    told = json.loads(clipomaly("review", "precision", "--queue", path, "--precision", 0.8, "--json").out)
    assert told["judged"] == 50 and len(told["bands"]) == 5
    threshold = told["threshold"]
    assert 0.6 < threshold["score"] <= 0.75 and threshold["least"] >= 0.8 and threshold["kept"] == 1.0
    assert f"from score {threshold['score']:.3f} on" in ran.out


def test_precision_that_cannot_be_told(clipomaly: Run, tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    judge(path, Verdict.NOT_AN_OBJECT, None, range(10))
    assert "no score is shown to have" in clipomaly("review", "precision", "--queue", path).out
    for flags in (("--precision", 1.5), ("--bands", 0)):
        ran = clipomaly("review", "precision", "--queue", path, *flags)
        assert ran.code == 2 and ran.err.count("\n") == 1
    empty = tmp_path / "empty.db"
    Queue.open(str(empty)).close()
    assert "nothing can be estimated yet" in clipomaly("review", "precision", "--queue", empty).out
    gone = clipomaly("review", "precision", "--queue", tmp_path / "gone.db")
    assert gone.code != 0 and gone.err.count("\n") == 1 and not (tmp_path / "gone.db").exists()
