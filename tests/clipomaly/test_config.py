"""What is in force: flags over the environment over the file over the defaults."""

import json

import pytest

from clipomaly.cli.settings import scan_parameters
from tasks.errors import UsageError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLIPOMALY_METHOD__SHORT_SIDE")
    return tmp_path


def parameters(flags=None, method=(), config=None):
    return scan_parameters("archive", "tables", flags or {}, method, config)


def test_flags_win_over_the_environment_and_that_over_the_file(empty_folder, monkeypatch):
    (empty_folder / "clipomaly.toml").write_text(
        'fps = 2\nworkers = 3\ndevice = "cpu"\n[method]\nthreshold = 0.7\nmargin = 0.1\n'
    )
    monkeypatch.setenv("CLIPOMALY_WORKERS", "4")
    monkeypatch.setenv("CLIPOMALY_DEVICE", "cuda")
    monkeypatch.setenv("CLIPOMALY_METHOD__MARGIN", "0.2")
    found = parameters({"device": "mps", "fps": None}, ["score=entropy"])
    assert (found.fps, found.workers, found.device) == (2, 4, "mps")
    assert found.method["score"] == "entropy"
    assert found.method["threshold"] == 0.7
    assert float(found.method["margin"]) == 0.2
    assert found.shard_minutes == 5


def test_road_scans_where_no_model_is_named(monkeypatch):
    monkeypatch.delenv("CLIPOMALY_MODEL")
    assert parameters().model == parameters().model_settings().model == "road"


def test_the_environment_names_the_file(empty_folder, monkeypatch):
    (empty_folder / "night.toml").write_text("fps = 3\n")
    monkeypatch.setenv("CLIPOMALY_CONFIG", "night.toml")
    assert parameters().fps == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fpss = 1\n", "did you mean fps?"),
        ("shard-minutes = 1\n", "did you mean shard_minutes?"),
        ("[method]\nthresold = 1\n", "did you mean threshold?"),
        ("threshold = 0.5\n", r"did you mean \[method\] threshold?"),
        ("zzz = 1\n", "there are archive"),
        ("fps = 0\n", "fps"),
        ("fps = \n", "valid TOML"),
    ],
)
def test_a_wrong_file_says_what_was_meant(empty_folder, text, says):
    (empty_folder / "clipomaly.toml").write_text(text)
    with pytest.raises(UsageError, match=says) as error:
        parameters()
    assert "clipomaly.toml" in str(error.value)


def test_a_wrong_variable_is_blamed(monkeypatch):
    monkeypatch.setenv("CLIPOMALY_FPS", "often")
    with pytest.raises(UsageError, match=r"^CLIPOMALY_FPS"):
        parameters()


def test_config_show_tells_values_and_where_they_come_from(clipomaly, empty_folder, monkeypatch):
    (empty_folder / "clipomaly.toml").write_text("fps = 2\n[method]\nthreshold = 0.7\n")
    monkeypatch.setenv("CLIPOMALY_RUNNER", "threads")
    monkeypatch.setenv("CLIPOMALY_METHOD__SCORE", "entropy")
    monkeypatch.setenv("CLIPOMALY_QUEUE", "postgresql://ada:secret@host/queue")
    ran = clipomaly("config", "show", "--json")
    assert "secret" not in ran.out
    assert "postgresql://ada:***@host/queue" in ran.out
    assert ran.code == 0, ran.err
    found = {setting["name"]: (setting["value"], setting["origin"]) for setting in json.loads(ran.out)}
    assert found["fps"] == (2.0, "clipomaly.toml")
    assert found["runner"] == ("threads", "CLIPOMALY_RUNNER")
    assert found["method.threshold"] == (0.7, "clipomaly.toml")
    assert found["method.score"] == ("entropy", "CLIPOMALY_METHOD__SCORE")
    assert found["shard_minutes"] == (5.0, "default")
    assert "CLIPOMALY_RUNNER" in clipomaly("config", "show").out


def test_doctor_says_what_is_wrong_and_how_to_mend_it(clipomaly, drawn_archive, empty_folder, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    ran = clipomaly("doctor", "--archive", drawn_archive, "--tables", empty_folder / "tables", "--json")
    checks = {check["what"]: check for check in json.loads(ran.out)}
    assert ran.code == 0 or not checks["Prefect server"]["good"]
    assert checks["archive"]["good"]
    assert checks["archive"]["found"].startswith("4 sources")
    assert checks["tables"]["good"]
    assert not list((empty_folder / "tables" / "_doctor").iterdir())
    assert checks["weights"]["good"]
    assert checks["queue"]["good"] is None
    ran = clipomaly("doctor", "--archive", empty_folder / "no", "--queue", "no.db", "--weights", "no.safetensors")
    assert ran.code == 1
    assert ran.out.count("BAD") >= 3
    assert ran.out.count("to solve it") >= 3
    assert not (empty_folder / "no.db").exists()


def test_single_pictures_take_the_same_settings(clipomaly, empty_folder):
    (empty_folder / "clipomaly.toml").write_text('[method]\nscore = "magic"\n')
    ran = clipomaly("segment", "photo.jpg", "--out", "segmented")
    assert ran.code == 2
    assert "magic" in ran.err


def test_options_of_earlier_versions_are_understood(empty_folder, monkeypatch):
    (empty_folder / "clipomaly.toml").write_text('[method]\nsecond_scale = 1.5\nreclaim = "region"\n')
    monkeypatch.setenv("CLIPOMALY_METHOD__RECLAIM_MARGIN", "0.1")
    found = parameters(method=["score=unknown-mass"]).method
    assert found == {
        "scales": "1,1.5",
        "reassign_known": "region",
        "reassign_known_margin": "0.1",
        "score": "candidate_probability",
    }


@pytest.mark.parametrize("text", ["scales = [1, 1.5]", 'scales = "1,1.5"'])
def test_lists_are_read_from_files_and_flags(empty_folder, text):
    from tasks.model import method_options
    from tasks.model_settings import ModelSettings

    (empty_folder / "clipomaly.toml").write_text(f"[method]\n{text}\n")
    for found in (parameters().method, parameters(method=[text.replace('"', "")]).method):
        settings = ModelSettings("nano", method=tuple(found.items()))
        assert method_options(settings).scales == (1.0, 1.5)


def test_a_list_of_no_numbers_is_one_line():
    from tasks.model import method_options
    from tasks.model_settings import ModelSettings

    with pytest.raises(UsageError, match="scales"):
        method_options(ModelSettings("nano", method=(("scales", "wide,narrow"),)))


def test_doctor_embeds_a_frame_with_the_weights(clipomaly, empty_folder):
    ran = clipomaly("doctor", "--device", "cpu", "--json")
    [found] = [check["found"] for check in json.loads(ran.out) if check["what"] == "weights"]
    assert "a frame of 1280x720 gives 64x36 embeddings of 128" in found  # nano's finer scale: 577 of 352 * 1.64


def test_doctor_says_in_one_line_that_a_file_holds_no_weights(clipomaly, empty_folder):
    (empty_folder / "weights.pt").write_bytes(b"no weights")
    ran = clipomaly("doctor", "--weights", "weights.pt", "--json")
    assert ran.code == 1
    [check] = [check for check in json.loads(ran.out) if check["what"] == "weights"]
    assert check["good"] is False
    assert "does not hold weights of nano" in check["found"] and "\n" not in check["found"]


def test_a_preset_gives_way_to_single_options(empty_folder):
    (empty_folder / "clipomaly.toml").write_text("[method]\nthreshold = 0.7\n")
    method = dict(parameters({"preset": "paper"}, ["logit_scale=20"]).model_settings().method)
    assert (method["score"], method["logit_scale"], method["threshold"]) == ("entropy", 20, 0.7)


def test_a_preset_that_is_none_is_one_line(empty_folder):
    with pytest.raises(UsageError, match="paper, naclip, fleet") as error:
        parameters({"preset": "magic"})
    assert "\n" not in str(error.value)
