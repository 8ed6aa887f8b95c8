"""What the command says, above all when something is wrong."""

import re
import subprocess
import sys
import time

import pytest

from tests.tasks.samples import write_video

COMMANDS = ["scan", "status", "query", "compact", "segment", "evaluate", "finetune", "vocabulary", "models", "demo"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(clipomaly, command):
    ran = clipomaly(command, "--help")
    assert ran.code == 0
    assert "Usage" in ran.out


def test_every_command_shows_an_example():
    import typer

    from clipomaly.cli.main import app

    def leaves(command, path=()):
        for name, inner in getattr(command, "commands", {}).items():
            yield from leaves(inner, (*path, name))
        if not hasattr(command, "commands"):
            yield path, command

    without = [" ".join(path) for path, command in leaves(typer.main.get_command(app)) if "Example" not in command.help]
    assert without == []


def test_help_does_not_load_torch():
    heavy = "('torch', 'prefect', 'pyarrow', 'pandas')"
    seen = f"import sys, clipomaly.cli.main; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True).stdout.strip() == "[]"


def test_bad_usage_exits_2(clipomaly, tmp_path):
    assert clipomaly("scan").code == 2
    assert clipomaly("no-such-command").code == 2
    assert clipomaly("scan", tmp_path, "--out", tmp_path, "--runner", "magic").code == 2


def one_line(text):
    """The error line; progress lines before it do not count."""
    lines = [line for line in text.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--fps", "0"], "fps"),
        (["--shard-minutes", "-1"], "shard_minutes"),
        (["--set", "score=magic"], "entropy"),
        (["--set", "threshold=2"], "threshold"),
        (["--set", "no_such_option=1"], "no_such_option"),
        (["--set", "threshold"], "NAME=VALUE"),
        (["--set", "threshold=high"], "threshold"),
        (["--model", "ViT-Z-99"], "nano"),
        (["--model", "ViT-B-16"], "--weights"),
        (["--weights", "no-such-file.safetensors"], "no-such-file"),
        (["--vocabulary", "no-such-file.yaml"], "no-such-file"),
        (["--config", "no-such-file.toml"], "no-such-file"),
    ],
)
def test_a_wrong_option_is_one_line(clipomaly, drawn_archive, tmp_path, flags, says):
    ran = clipomaly("scan", drawn_archive, "--out", tmp_path / "tables", *flags)
    assert ran.code in (1, 2)
    assert says in one_line(ran.err)
    assert not list((tmp_path / "tables").rglob("*.parquet"))


def test_a_vocabulary_with_an_error_names_its_line(clipomaly, drawn_archive, tmp_path):
    file = tmp_path / "words.yaml"
    file.write_text("dictionary:\n  cargo: [mattress, ladder, mattress]\n")
    ran = clipomaly("scan", drawn_archive, "--out", tmp_path / "tables", "--vocabulary", file)
    assert ran.code == 2
    assert "line 2" in one_line(ran.err)


def test_an_archive_that_is_not_there_or_empty_is_one_line(clipomaly, tmp_path):
    (tmp_path / "empty").mkdir()
    for archive in (tmp_path / "nowhere", tmp_path / "empty", "nosuchprotocol://bucket/archive"):
        ran = clipomaly("scan", archive, "--out", tmp_path / "tables")
        assert ran.code == 1
        one_line(ran.err)


def test_tables_that_cannot_be_written_are_one_line(clipomaly, drawn_archive, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = clipomaly("scan", drawn_archive, "--out", tmp_path / "file" / "tables")
    assert ran.code == 1
    assert "file/tables" in one_line(ran.err)


def test_broken_sources_are_named_and_cost_nothing_else(clipomaly, drawn_archive, tmp_path):
    archive = tmp_path / "archive" / "drive"
    archive.mkdir(parents=True)
    clip = next(drawn_archive.rglob("*.mp4"))
    whole = clip.read_bytes()
    (archive / "good.mp4").write_bytes(whole)
    (archive / "zero.mp4").write_bytes(b"")
    (archive / "text.mp4").write_text("not a video at all")
    (archive / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (archive / "notes.txt").write_text("of no known kind")
    tables = tmp_path / "tables"
    ran = clipomaly("scan", archive.parent, "--out", tables)
    assert ran.code == 0, ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err
    for name in ("zero.mp4", "text.mp4", "cut.mp4", "notes.txt"):
        assert name in ran.out
    assert clipomaly("scan", archive.parent, "--out", tmp_path / "strict", "--strict").code == 1
    status = clipomaly("status", tables)
    assert status.code == 0
    assert re.search(r"3 failed", status.out)
    assert "zero.mp4" in status.out


def test_a_decoder_that_is_not_there_exits_2(clipomaly, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    write_video(tmp_path / "archive" / "a.mp4")
    run = clipomaly("scan", tmp_path / "archive", "--out", tmp_path / "T", "--decoder", "cuda")
    assert run.code == 2 and "--decoder cuda" in one_line(run.err)
    assert not (tmp_path / "T").exists()


def test_when_nothing_can_be_scanned_the_exit_status_is_1(clipomaly, tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "text.mp4").write_text("not a video")
    ran = clipomaly("scan", tmp_path / "archive", "--out", tmp_path / "tables")
    assert ran.code == 1
    assert "text.mp4" in ran.out


def test_config_file_and_flags(clipomaly, drawn_archive, tmp_path):
    config = tmp_path / "night.toml"
    config.write_text('fps = 1\n[method]\nscore = "entropy"\n')
    tables = tmp_path / "tables"
    ran = clipomaly("scan", drawn_archive, "--out", tables, "--config", config, "--fps", 0.5)
    assert ran.code == 0, ran.err
    [record] = (tables / "_scans").iterdir()
    assert '"fps": 0.5' in record.read_text()
    assert '"score": "entropy"' in record.read_text()
    config.write_text("frames = 1\n")
    ran = clipomaly("scan", drawn_archive, "--out", tables, "--config", config)
    assert ran.code == 2
    assert "frames" in one_line(ran.err)


def test_query_prints_tables_csv_and_json(clipomaly, scanned):
    sql = "SELECT drive, count(*) AS frames FROM frames GROUP BY drive ORDER BY drive"
    assert "drive-01" in clipomaly("query", scanned, sql).out
    assert clipomaly("query", scanned, sql, "--format", "csv").out.splitlines()[0] == "drive,frames"
    assert '"drive":"drive-02"' in clipomaly("query", scanned, sql, "--format", "json").out


def test_a_wrong_query_is_one_line(clipomaly, scanned, tmp_path):
    ran = clipomaly("query", scanned, "SELECT no_such_column FROM instances")
    assert ran.code == 2
    assert "no_such_column" in one_line(ran.err)
    assert clipomaly("query", tmp_path / "nowhere", "SELECT 1").code == 1


def test_status_of_nothing_says_so(clipomaly, tmp_path):
    ran = clipomaly("status", tmp_path)
    assert ran.code == 1
    assert "no tables" in one_line(ran.err)


def test_models_says_what_nano_is_for(clipomaly):
    ran = clipomaly("models")
    assert ran.code == 0
    assert "demonstration" in ran.out
    assert "ViT-B-16-quickgelu/openai" in ran.out


def test_segment_writes_a_picture_each_and_names_what_it_cannot_read(clipomaly, drawn_archive, tmp_path):
    from PIL import Image

    from tasks.footage.archive import list_sources
    from tasks.footage.frames import read_frame

    photos = tmp_path / "photos"
    photos.mkdir()
    source = list_sources(str(drawn_archive)).sources[0]
    Image.fromarray(read_frame(source.uri, 4)).save(photos / "frame.png")
    whole = (photos / "frame.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    ran = clipomaly("segment", photos, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "cut.png" in ran.err
    assert Image.open(tmp_path / "out" / "frame.png").width > 1900
    assert clipomaly("segment", photos / "cut.png", "--out", tmp_path / "out").code == 1


def test_help_is_quick():
    fastest = min(_seconds([sys.executable, "-m", "clipomaly", "--help"]) for _ in range(3))
    bare = min(_seconds([sys.executable, "-c", "pass"]) for _ in range(3))
    # Half a second on an idle machine; relative to a bare interpreter, since machines are shared.
    assert fastest < max(1.0, 40 * bare)


def _seconds(command):
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started
