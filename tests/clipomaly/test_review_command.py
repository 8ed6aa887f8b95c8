"""``clipomaly review``: everything on the page as a command, the page itself, and what goes wrong with either."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import httpx
import numpy as np
import pytest
from PIL import Image

from flows.review import ArchiveFrames
from review import Queue
from review.pictures import FrameGoneError
from review.reviewers import check_token
from schemas.review import Box, ReviewItem, State, TrackFrame, Verdict
from tests.command import Run
from tests.review.samples import HEIGHT, WIDTH, make_item, make_items, scene

pytestmark = pytest.mark.whole

COMMANDS = [
    "serve",
    "stats",
    "add-reviewer",
    "remove-reviewer",
    "reviewers",
    "list",
    "groups",
    "show",
    "next",
    "hold",
    "release",
    "decide",
    "snooze",
    "undo",
    "names",
    "check",
    "reopen",
    "comment",
    "backup",
    "second",
    "export",
    "import",
]


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A queue of eight items."""
    path = tmp_path / "queue.db"
    with Queue.open(str(path)) as queue:
        queue.set_vocabulary(["car", "person"], ["pallet"])
        queue.enqueue(make_items(8))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(clipomaly: Run, command: str) -> None:
    ran = clipomaly("review", command, "--help")
    assert ran.code == 0 and "Usage" in ran.out and f"clipomaly review {command}" in ran.out


def test_a_reviewer_at_the_command_line(clipomaly: Run, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPOMALY_QUEUE", str(filled))

    def run(*arguments: object) -> str:
        ran = clipomaly("review", *arguments)
        assert ran.code == 0, ran.err
        return ran.out

    taken = json.loads(run("next", "--reviewer", "ann", "--count", 2, "--json"))
    assert [one["item_id"] for one in taken] == ["item000000", "item000001"]
    assert taken[0]["status"]["holder"] == "ann"
    assert run("hold", "item000000", "item000005", "--reviewer", "ann").split() == ["item000000"]
    run("decide", "relabel", "item000000", "--name", " big [box] ", "--reviewer", "ann")
    run("decide", "known", "item000001", "--name", "CAR", "--reviewer", "ann")
    run("decide", "not-an-object", "item000002", "item000003", "--reviewer", "bob")
    run("snooze", "item000004", "--hours", 2, "--reviewer", "bob")
    run("undo", "--reviewer", "bob")
    assert "1 released" in run("release", "--reviewer", "bob")
    with Queue.open(str(filled)) as queue:
        stand = [(one.item_id, one.verdict, one.name, one.reviewer) for one in queue.decisions()]
    assert stand == [
        ("item000000", Verdict.RELABEL, "big [box]", "ann"),
        ("item000001", Verdict.KNOWN, "car", "ann"),
        ("item000002", Verdict.NOT_AN_OBJECT, None, "bob"),
        ("item000003", Verdict.NOT_AN_OBJECT, None, "bob"),
    ]
    shown = run("show", "item000000")
    assert "big [box]" in shown and "enqueued" in shown and "decided" in shown
    events = json.loads(run("show", "item000004", "--json"))["events"]
    assert [one["kind"] for one in events] == ["enqueued", "snoozed", "undone", "released"]
    waiting = json.loads(run("list", "--json", "--name", "tire"))
    assert [one["item_id"] for one in waiting] == ["item000006"]
    assert "item000007" in run("list", "--skip", 3) and "item000004" not in run("list", "--skip", 3)
    assert "item000002" in run("list", "--state", "decided")
    assert run("list", "--to", "2001-01-01").strip() == "nothing waits"
    assert "no look-alikes" in run("groups")  # one each is left of every kind
    assert run("names", "bo").split("\n")[0] == "big [box]"
    assert run("names", "--known").splitlines() == ["car (known class)", "person (known class)"]
    stats = json.loads(run("stats", "--json"))
    assert {one["reviewer"]: one["judged"] for one in stats["reviewers"]} == {"ann": 2, "bob": 2}
    assert "4 waiting, 4 judged" in run("stats")


def test_groups_are_judged_together(clipomaly: Run, filled: Path) -> None:
    [first, *_] = json.loads(clipomaly("review", "groups", "--queue", filled, "--json").out)
    assert first["items"] == 2
    args = ("next", "--cluster", first["cluster"], "--count", 10, "--reviewer", "ann", "--json", "--queue", filled)
    ids = [one["item_id"] for one in json.loads(clipomaly("review", *args).out)]
    ran = clipomaly("review", "decide", "accept", *ids, "--reviewer", "ann", "--queue", filled, "--json")
    assert [one["name"] for one in json.loads(ran.out)] == [first["name"]] * 2


@pytest.mark.parametrize("tool", ["coco", "label-studio"])
def test_handing_over_and_taking_back(clipomaly: Run, filled: Path, tmp_path: Path, tool: str) -> None:
    with Queue.open(str(filled)) as queue:
        queue.decide("ann", ["item000000", "item000001"], Verdict.RELABEL, "boulder")
    assert "2 items" in clipomaly("review", "export", tool, tmp_path / "out", "--queue", filled).out
    assert "6 items" in clipomaly("review", "export", tool, tmp_path / "open", "--open", "--queue", filled).out
    other = tmp_path / "other.db"
    with Queue.open(str(other)) as queue:
        queue.enqueue(make_items(1))
    ran = clipomaly("review", "import", tool, tmp_path / "out", "--reviewer", "cvat", "--queue", other)
    assert ran.code == 1  # one of the two is not in this queue
    assert "1 decided, 0 as before, 1 not taken" in ran.out and "no item 'item000001'" in ran.err
    with Queue.open(str(other)) as queue:
        assert queue.item("item000000").status.name == "boulder"
    with Queue.open(str(filled)) as queue:
        assert queue.item("item000000").status.state is State.EXPORTED


def test_a_token_signs_in_until_the_reviewer_is_removed(clipomaly: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    ran = clipomaly("review", "add-reviewer", "ann", "--queue", path)
    token = ran.out.strip()
    assert ran.code == 0 and token not in ran.err
    with Queue.open(str(path)) as queue:
        assert check_token(queue, "ann", token) is not None
    assert "ann" in clipomaly("review", "reviewers", "--queue", path).out
    assert clipomaly("review", "add-reviewer", "Ann", "--queue", path).code == 1
    assert clipomaly("review", "remove-reviewer", "ann", "--queue", path).code == 0
    with Queue.open(str(path)) as queue:
        assert check_token(queue, "ann", token) is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "nothing"], 1, "has no item 'nothing'"),
        (["decide", "accept", "item000007", "--reviewer", "ann"], 1, "zoe holds item item000007"),
        (["decide", "relabel", "item000000", "--name", ""], 2, "The name is empty"),
        (["decide", "relabel", "item000000", "--name", "x" * 10_000], 2, "10,000 characters"),
        (["decide", "known", "item000000", "--name", "boulder"], 2, "no class of the known vocabulary"),
        (["decide", "accept", "item000000", "--reviewer", "<b>"], 2, "reviewer's name"),
        (["undo", "--reviewer", "ann"], 1, "nothing of yours"),
        (["remove-reviewer", "nobody"], 2, "no reviewer 'nobody'"),
        (["serve", "--host", "0.0.0.0"], 2, "add-reviewer"),
        (["serve", "--https"], 2, "add-reviewer"),
        (["import", "coco", "absent.json"], 2, "absent.json cannot be read"),
        (["export", "coco", "/dev/null/x"], 2, "cannot be made"),
        (["show", "item000000", "--pictures", "/dev/null/x"], 1, "cannot be written"),
    ],
)
def test_what_goes_wrong_is_one_line(clipomaly: Run, filled: Path, arguments: list[str], code: int, words: str) -> None:
    with Queue.open(str(filled)) as queue:
        queue.lease("zoe", count=8)
        queue.release("zoe", [f"item{number:06d}" for number in range(7)])
    ran = clipomaly("review", *arguments, "--queue", filled)
    assert (ran.code, len(ran.err.splitlines())) == (code, 1), ran.err
    assert ran.err.startswith("error:") and words in ran.err
    with Queue.open(str(filled)) as queue:
        assert not list(queue.decisions())


def test_a_queue_that_is_none(clipomaly: Run, filled: Path, tmp_path: Path) -> None:
    def said(path: object) -> str:
        ran = clipomaly("review", "stats", "--queue", path)
        assert ran.code in (1, 2) and len(ran.err.splitlines()) == 1, ran.err
        return ran.err

    assert "There is no queue" in said(tmp_path / "absent.db") and not (tmp_path / "absent.db").exists()
    (tmp_path / "text.db").write_text("no database at all, but longer than its header")
    assert "cannot be used" in said(tmp_path / "text.db")
    assert "cannot be used" in said(tmp_path)
    with sqlite3.connect(filled) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "newer version" in said(filled)
    assert "not mysql://" in said("mysql://host/x")


def test_a_port_that_is_taken(clipomaly: Run, filled: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = clipomaly("review", "serve", "--queue", filled, "--port", port)
    assert ran.code == 2 and f"Port {port} of 127.0.0.1" in ran.err and len(ran.err.splitlines()) == 1


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two frames of one drive as pictures."""
    folder = tmp_path / "archive" / "drive"
    folder.mkdir(parents=True)
    for number in range(2):
        Image.fromarray(scene("mattress", number).frame).save(folder / f"{number}.png")
    return folder.parent


def _item_of(archive: Path) -> ReviewItem:
    item = make_item(1)
    track = tuple(TrackFrame(number, item.timestamp, Box(1, 1, 9, 9)) for number in range(2))
    return replace(item, source_uri=f"file://{archive}/drive/", frame_index=1, track=track)


@pytest.fixture
def page(archive: Path, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The page as a process of its own, over a queue whose item lies in the archive."""
    path = tmp_path / "queue.db"
    with Queue.open(str(path)) as queue:
        queue.enqueue([_item_of(archive)])
    command = [sys.executable, "-m", "clipomaly", "review", "serve", "--queue", str(path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        yield found[0], process
    finally:
        process.kill()
        process.wait(30)


def test_the_page_shows_frames_of_the_archive(page: tuple[str, subprocess.Popen[str]], archive: Path) -> None:
    address, process = page
    with httpx.Client(base_url=address, timeout=60, follow_redirects=True) as client:
        assert "Clipomaly" in client.get("/", headers={"Accept": "text/html"}).text
        assert client.get("/items/item000001/frame.jpg").headers["content-type"] == "image/jpeg"
        assert client.get("/items/item000001/track/0.jpg").status_code == 200
        (archive / "drive" / "0.png").unlink()
        (archive / "drive" / "1.png").unlink()
        assert client.get("/items/item000001/frame.jpg").status_code == 200  # kept
        assert client.get("/items/item000001/crop.jpg").status_code == 200
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert "Traceback" not in said


def test_frames_come_from_the_archive_that_was_named(archive: Path, tmp_path: Path) -> None:
    item = _item_of(archive)
    expected = scene("mattress", 1).frame
    for frames in (ArchiveFrames(), ArchiveFrames([str(archive)]), ArchiveFrames(["s3://other", f"file://{archive}/"])):
        assert np.array_equal(frames.read(item.source_uri, 1), expected)
    assert expected.shape == (HEIGHT, WIDTH, 3)
    for uri in (item.source_uri, f"file://{tmp_path}/else/../archive/drive/", "file:///etc/passwd"):
        with pytest.raises(FrameGoneError, match="outside"):
            ArchiveFrames([str(tmp_path / "else")]).read(uri, 1)
    with pytest.raises(FrameGoneError, match="cannot be read any more"):
        ArchiveFrames().read(item.source_uri, 7)
    with pytest.raises(FrameGoneError, match="cannot be read any more"):
        ArchiveFrames().read(f"file://{tmp_path}/gone.mp4", 0)


@pytest.mark.parametrize("dots", ["..", "%2e%2e", "%2E%2e", "%252e%252e", ".%2e", "x%2f..%2f..", "x%5c.."])
def test_dots_do_not_leave_the_archive_however_they_are_written(archive: Path, tmp_path: Path, dots: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(FrameGoneError, match="outside"):
        ArchiveFrames([str(inner)]).read(f"file://{inner}/{dots}/archive/drive/", 0)


def test_frames_come_from_the_packed_archive_that_was_named(archive: Path, tmp_path: Path) -> None:
    for name in ("night.zip", "other.zip"):
        with ZipFile(tmp_path / name, "w") as file:
            for number in range(2):
                file.write(archive / "drive" / f"{number}.png", f"car/drive/{number}.png")
    uri = f"zip://car/drive/::file://{tmp_path}/night.zip"
    for root in ("zip://::", "zip://car::"):
        frame = ArchiveFrames([f"{root}{tmp_path}/night.zip"]).read(uri, 1)
        assert np.array_equal(frame, scene("mattress", 1).frame)
    for root in (f"zip://::{tmp_path}/other.zip", f"zip://bus::{tmp_path}/night.zip", str(archive)):
        with pytest.raises(FrameGoneError, match="outside"):
            ArchiveFrames([root]).read(uri, 1)
    with pytest.raises(FrameGoneError, match="outside"):
        ArchiveFrames([f"zip://car::{tmp_path}/night.zip"]).read(uri.replace("car/", "car/../car/"), 1)


def test_links_do_not_leave_the_archive(archive: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    (inner / "images").mkdir(parents=True)
    (inner / "drive").symlink_to(archive / "drive")
    (inner / "images" / "0.png").symlink_to(archive / "drive" / "0.png")
    for folder in ("drive", "images"):
        with pytest.raises(FrameGoneError, match="A link leads"):
            ArchiveFrames([str(inner)]).read(f"file://{inner}/{folder}/", 0)
        assert ArchiveFrames([str(inner), str(archive)]).read(f"file://{inner}/{folder}/", 0).shape == (
            HEIGHT,
            WIDTH,
            3,
        )


def test_names_are_listed_merged_and_renamed(clipomaly: Run, filled: Path) -> None:
    def run(*arguments: object) -> str:
        ran = clipomaly("review", *arguments, "--queue", filled)
        assert ran.code == 0, ran.err
        return ran.out

    for item, name in (("item000000", "jery can"), ("item000001", "jerrycan"), ("item000002", "jerry can")):
        run("decide", "relabel", item, "--name", name, "--reviewer", "ann")
    checked = clipomaly("review", "check", "--queue", filled)
    assert checked.code == 1 and "names merge" in checked.out and "jery can" in checked.out
    assert run("names", "merge", "jery can", "jerrycan", "--into", "jerry can") == "2 decisions renamed to jerry can\n"
    assert clipomaly("review", "check", "--queue", filled).code == 0
    assert run("names", "rename", "jerry can", "fuel can") == "3 decisions renamed to fuel can\n"
    assert run("names", "fuel") == "fuel can\n"
    assert "jerry can → fuel can" in run("show", "item000002")


def test_a_decision_is_opened_again_and_given_a_second_opinion(clipomaly: Run, filled: Path) -> None:
    def run(*arguments: object) -> str:
        ran = clipomaly("review", *arguments, "--queue", filled)
        assert ran.code == 0, ran.err
        return ran.out

    run("decide", "accept", "item000000", "item000001", "--reviewer", "ann")
    run("comment", "item000000", "seen in Leipzig", "--reviewer", "ann")
    assert run("second", "ask", "item000000", "item000001") == "2 asked for\n"
    with Queue.open(str(filled)) as queue:
        queue.give_opinion("bob", "item000000", Verdict.NOT_AN_OBJECT)
    [found] = json.loads(run("second", "disagreements", "--json"))
    assert found["item_id"] == "item000000" and found["opinions"][0]["reviewer"] == "bob"
    assert "0 of 1 items judged twice agree" in run("second", "agreement")
    run("reopen", "item000000", "--note", "look again")
    assert "seen in Leipzig" in run("show", "item000000")
    assert clipomaly("review", "second", "ask", "--queue", filled).code == 2


def test_a_backup_is_whole_while_people_judge(clipomaly: Run, filled: Path, tmp_path: Path) -> None:
    with Queue.open(str(filled)) as queue:
        count = sum(1 for _ in queue.walk(tuple(State), with_pictures=False))
        queue.decide("ann", "item000000", Verdict.UNSURE)
        ran = clipomaly("review", "backup", tmp_path / "copy.db", "--queue", filled)
        assert ran.code == 0 and f"{count} items" in ran.out
        queue.decide("ann", "item000001", Verdict.UNSURE)
    with Queue.open(str(tmp_path / "copy.db"), create=False) as copy:
        assert [one.item_id for one in copy.decisions()] == ["item000000"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    again = clipomaly("review", "backup", tmp_path / "copy.db", "--queue", filled)
    assert again.code == 2 and "there already" in again.err


def test_an_archive_that_is_gone_leaves_the_stored_pictures(clipomaly: Run, filled: Path, tmp_path: Path) -> None:
    ran = clipomaly(
        "review", "show", "item000001", "--pictures", tmp_path / "look", "--archive", tmp_path, "--queue", filled
    )
    assert ran.code == 0 and "no frame.jpg: Its footage lies outside" in ran.err
    assert {path.name for path in (tmp_path / "look").iterdir()} == {"crop.jpg", "mask.png"}
