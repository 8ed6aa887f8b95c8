"""Mining and search on really scanned clips, and what they say when something is missing."""

import json
import shutil

import numpy as np
import pytest

from flows.parameters import ScanParameters
from flows.scan import run_scan
from review import Queue
from schemas.review import State
from tasks.mining.candidates import read_candidates
from tasks.tables import Tables, open_table
from tests.conftest import SMALL


def queue_items(url):
    with Queue.open(str(url)) as queue:
        return list(queue.walk(tuple(State)))


def test_mining_fills_the_queue_once(clipomaly, scanned, tmp_path):
    url = tmp_path / "queue.db"
    ran = clipomaly("mine", scanned, "--queue", url, "--count", 3, "--random-share", 0.34, "--json")
    assert ran.code == 0, ran.err
    first = queue_items(url)
    told = json.loads(ran.out)
    open_items = [queued for queued in first if queued.status.state is State.PENDING]
    assert len(open_items) == told["enqueued"]["added"] == 3
    assert sum(queued.item.drawn_at_random for queued in first) == 1
    tracks = open_table(str(scanned), "instances").to_table().to_pandas()
    for queued in first:
        item = queued.item
        own = tracks[tracks.track_id == item.track_id]
        assert item.item_id == item.track_id
        assert [frame.frame_index for frame in item.track] == sorted(own.frame_index)
        shown = own[own.frame_index == item.frame_index].iloc[0]
        assert (item.box.x, item.box.width, item.mask_rle) == (shown.bbox_x, shown.bbox_width, shown.mask_rle)
        assert item.score == pytest.approx(own.anomaly_score.max())
        assert np.linalg.norm(np.frombuffer(item.embedding, "<f2").astype(float)) == pytest.approx(1, abs=0.01)
    with Queue.open(str(url)) as queue:
        assert {"road", "car"} <= {name.name for name in queue.vocabulary() if name.known}
        found = queue.finds_map()
        assert {point.item_id for point in found.points} == {queued.item.item_id for queued in open_items}
        assert found.without_place == 0 and told["on_map"] == 3

    again = clipomaly("mine", scanned, "--queue", url, "--count", 3)
    assert again.code == 0
    assert f"{len(first)} were in the queue already" in again.out
    assert {queued.item.item_id for queued in first} < {queued.item.item_id for queued in queue_items(url)}


def test_candidates_carry_the_names_that_they_may_have(scanned):
    candidates = read_candidates(Tables.at(scanned))
    table = open_table(str(scanned), "instances").to_table().to_pandas().set_index("instance_id")
    guesses = candidates.guesses
    assert len(candidates) > 3
    for candidate, row in enumerate(candidates.best.tolist()):
        told = table.loc[candidates.rows["instance_id"][row].as_py()].names
        assert [guesses.names[number] for number in guesses.name[candidate]] == [name["name"] for name in told]
        assert guesses.probability[candidate].tolist() == pytest.approx([name["score"] for name in told])


def test_the_nightly_scan_mines_at_its_end(drawn_archive, scanned, tmp_path):
    tables = tmp_path / "tables"
    shutil.copytree(scanned, tables)
    parameters = ScanParameters(
        archive=str(drawn_archive), tables=str(tables), model="nano", method=SMALL, fps=2, shard_minutes=0.04
    )
    assert "mining" not in {step.name for step in run_scan(parameters).steps}
    url = str(tmp_path / "queue.db")
    summary = run_scan(parameters.model_copy(update={"queue": url, "queue_items": 3}))
    [mined] = [step for step in summary.steps if step.name == "mining"]
    assert mined.ok and mined.detail.startswith("3 items for review (3 new, 0 in the place of older ones)")
    assert sum(queued.status.state is State.PENDING for queued in queue_items(url)) == 3
    bad = run_scan(parameters.model_copy(update={"queue": str(tmp_path)}))
    [mined] = [step for step in bad.steps if step.name == "mining"]
    assert not mined.ok and not bad.succeeded and not bad.left


def test_an_archive_that_is_gone(clipomaly, drawn_archive, tmp_path):
    archive, tables = tmp_path / "archive", tmp_path / "tables"
    shutil.copytree(drawn_archive / "drive-01", archive / "drive-01")
    run_scan(ScanParameters(archive=str(archive), tables=str(tables), model="nano", method=SMALL, fps=1))
    shutil.rmtree(archive)
    ran = clipomaly("mine", tables, "--queue", tmp_path / "queue.db")
    assert ran.code == 1
    assert ran.err.count("\n") == 1 and "can be shown" in ran.err and "Bring the archive back" in ran.err
    assert queue_items(tmp_path / "queue.db") == []


def test_tables_without_embeddings_and_without_finds(clipomaly, drawn_archive, scanned, tmp_path):
    url = tmp_path / "queue.db"
    nowhere = clipomaly("mine", tmp_path / "nowhere", "--queue", url)
    assert (nowhere.code, nowhere.err.count("\n")) == (1, 1) and "no tables" in nowhere.err

    bare = tmp_path / "bare"
    shutil.copytree(scanned, bare)
    shutil.rmtree(bare / "embeddings")
    for command in (("mine", bare, "--queue", url), ("search", bare, "a crate")):
        ran = clipomaly(*command)
        errors = [line for line in ran.err.splitlines() if line.startswith("error:")]
        assert ran.code == 1 and len(errors) == 1 and "embeddings" in errors[0] and "Traceback" not in ran.err

    empty = tmp_path / "empty"
    blind = ScanParameters(
        archive=str(drawn_archive / "drive-01"),
        tables=str(empty),
        model="nano",
        fps=1,
        method=SMALL | {"threshold": 1.0, "min_area": 0.9},
    )
    assert run_scan(blind).instances == 0
    ran = clipomaly("mine", empty, "--queue", url)
    assert (ran.code, ran.out) == (0, "nothing to add: the tables hold no finds\n")
    ran = clipomaly("search", empty, "a crate")
    assert ran.code == 0 and "nothing: no instance" in ran.err


def test_search_ranks_objects_by_text(clipomaly, scanned):
    every = open_table(str(scanned), "instances").to_table().to_pandas()
    ran = clipomaly("search", scanned, "a traffic cone", "--json", "-n", 3)
    assert ran.code == 0
    hits = [json.loads(line) for line in ran.out.splitlines()]
    assert len(hits) == 3 == len({hit["track_id"] for hit in hits})
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert "nano" in ran.err
    piped = clipomaly("search", scanned, "a traffic cone", "-n", 3).out.splitlines()
    assert [line.split()[0] for line in piped[1:]] == [f"{hit['score']:.3f}" for hit in hits]  # a line each

    # The same by hand: the text's embedding against each instance's.
    from tasks.model import embed_text
    from tasks.model_settings import ModelSettings

    [scan] = Tables.at(scanned).scans()
    text = embed_text(ModelSettings("nano"), scan.weights_sha256, str(scan.options["templates"]), "traffic cone")
    table = open_table(str(scanned), "embeddings").to_table().to_pandas().set_index("instance_id").embedding
    cosines = {key: float(np.dot(vector, text) / np.linalg.norm(vector)) for key, vector in table.items()}
    assert hits[0]["instance_id"] == max(cosines, key=cosines.__getitem__)
    assert hits[0]["score"] == pytest.approx(max(cosines.values()), abs=1e-3)

    name = every.name.value_counts().index[0]
    for flags, left in (
        (["--name", name], every[every.name == name]),
        (["--drive", "drive-01"], every[every.drive == "drive-01"]),
        (["--since", "2024-05-07"], every[every.timestamp >= "2024-05-07"]),
        (["--until", "2024-05-06"], every[every.timestamp < "2024-05-07"]),
    ):
        ran = clipomaly("search", scanned, "a traffic cone", "--json", "-n", 1000, *flags)
        assert {json.loads(line)["track_id"] for line in ran.out.splitlines()} == set(left.track_id)


def test_search_asked_wrongly(clipomaly, scanned):
    assert clipomaly("search", scanned, "cone", "--since", "2024-05-08", "--until", "2024-05-07").code == 2
    assert clipomaly("search", scanned, " ").code == 2
    assert clipomaly("search", scanned, "cone", "--since", "yesterday").code == 2


def test_embeddings_of_different_models_are_told_apart(clipomaly, scanned, tmp_path):
    from dataclasses import replace

    mixed = str(tmp_path / "mixed")
    shutil.copytree(scanned, mixed)
    [scan] = Tables.at(mixed).scans()
    older = replace(scan, scan_id="0ther0000000", weights_sha256="f" * 64, created=scan.created.replace(year=2020))
    Tables.at(mixed).begin(older)
    commit = Tables.at(mixed).commits(scan.scan_id)[0]
    files = []
    for file in commit.files:
        path = file.path.replace(scan.scan_id, older.scan_id)
        (tmp_path / "mixed" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"{mixed}/{file.path}", f"{mixed}/{path}")
        files.append(replace(file, path=path))
    sources = tuple(replace(source, uri=f"{source.uri}.elsewhere") for source in commit.sources)
    Tables.at(mixed).write_commit(replace(commit, scan_id=older.scan_id, files=tuple(files), sources=sources))
    ran = clipomaly("search", mixed, "a traffic cone", "--json")
    assert ran.code == 0 and "different models" in ran.err and "ffffffff" in ran.err
    assert len(ran.out.splitlines()) > 0
