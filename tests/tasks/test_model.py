"""What is known of a model before it is loaded."""

from pathlib import Path

from tasks.model import describe_model
from tasks.model_settings import ModelSettings


def test_other_weights_of_the_tagger_are_another_model(tmp_path: Path) -> None:
    weights = tmp_path / "ram.pth"
    settings = ModelSettings("nano", method=(("candidates", "ram"), ("tagger_weights", str(weights))))
    weights.write_bytes(b"first")
    first = describe_model(settings)
    weights.write_bytes(b"second")
    assert (
        dict(first.options)["tagger_weights_sha256"] != dict(describe_model(settings).options)["tagger_weights_sha256"]
    )
    assert "tagger_weights_sha256" not in dict(describe_model(ModelSettings("nano")).options)


def test_exemplars_of_other_weights_are_told_in_one_line(tmp_path, caplog):
    from clipomaly_core.exemplar_file import exemplar_bytes, make_exemplars

    one = make_exemplars("given 3 times", "f" * 64, "cow", "cow 00000000", b"\0" * 256, b"\0" * 4, b"\0" * 4)
    (tmp_path / "e.safetensors").write_bytes(exemplar_bytes([one]))
    words = tmp_path / "words.yaml"
    words.write_text(
        "extends: builtin\ndictionary: {}\nexemplar_file: e.safetensors\nexemplars:\n"
        f"- {{reason: given 3 times, name: cow, model: {'f' * 64}, tensors: cow 00000000, sha256: {one.sha256}}}\n"
    )
    described = describe_model(ModelSettings("nano", vocabulary=str(words)))
    [line] = [record.getMessage() for record in caplog.records]
    assert "exemplars of 1 names for other weights" in line and "left alone" in line and "\n" not in line
    assert described.vocabulary_sha256 != describe_model(ModelSettings("nano")).vocabulary_sha256
