"""What is known of a model before it is loaded."""

from pathlib import Path

from tasks.model import describe_model
from tasks.model_settings import ModelSettings


def test_other_weights_of_the_tagger_are_another_model(tmp_path: Path) -> None:
    weights = tmp_path / "ram.pth"
    settings = ModelSettings(method=(("candidates", "ram"), ("tagger_weights", str(weights))))
    weights.write_bytes(b"first")
    first = describe_model(settings)
    weights.write_bytes(b"second")
    assert (
        dict(first.options)["tagger_weights_sha256"] != dict(describe_model(settings).options)["tagger_weights_sha256"]
    )
    assert "tagger_weights_sha256" not in dict(describe_model(ModelSettings()).options)
