"""The text tower without the image tower."""

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from clipomaly_core.errors import UserError
from clipomaly_core.towers.load import build_network, load_text, load_tower
from clipomaly_core.weights import Checkpoint, find_checkpoint

pytestmark = pytest.mark.whole

CPU = torch.device("cpu")
WORDS = ["a photo of a tyre", "a mattress on the road"]
BUILT_IN = ["nano", "road"]


def embedded(text: Any) -> torch.Tensor:
    with torch.inference_mode():
        return text.embed(text.tokenize(WORDS))


@pytest.mark.parametrize("model", BUILT_IN)
def test_texts_are_embedded_as_by_the_whole_model(model: str) -> None:
    checkpoint = find_checkpoint(model)
    assert torch.equal(embedded(load_text(checkpoint, CPU)), embedded(load_tower(checkpoint, CPU).text))


@pytest.fixture(scope="module", params=[False, True], ids=["CLIP", "CustomTextCLIP"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Random weights of a small ViT of open_clip."""
    folder = tmp_path_factory.mktemp("models")
    name = f"small-{request.param}"
    images = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
    texts = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    config = {"embed_dim": 24, "vision_cfg": images, "text_cfg": texts, "custom_text": request.param}
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{name}.json")
    torch.manual_seed(0)
    state = {name: value.contiguous() for name, value in build_network(name).state_dict().items()}
    save_file(state, folder / "a.safetensors")
    return find_checkpoint(name, str(folder / "a.safetensors"))


def test_a_vit_of_open_clip(small: Checkpoint) -> None:
    assert torch.equal(embedded(load_text(small, CPU)), embedded(load_tower(small, CPU).text))


def test_a_checkpoint_of_a_trainer(small: Checkpoint, tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in load_file(small.path).items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "a.pt")
    other = find_checkpoint(small.architecture, str(tmp_path / "a.pt"))
    assert torch.equal(embedded(load_text(other, CPU)), embedded(load_text(small, CPU)))


def test_weights_of_another_architecture_are_refused(small: Checkpoint) -> None:
    with pytest.raises(UserError, match="does not hold weights of nano"):
        load_text(find_checkpoint("nano", str(small.path)), CPU)


@pytest.mark.parametrize("model", BUILT_IN)
def test_no_weights_of_images_are_loaded(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the file only the tensors of the text tower are read, and no image tower of the model is built."""
    read: list[str] = []
    built: list[int] = []
    original = open_clip.CLIP.__init__

    def noted(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        built.append(sum(value.numel() for value in self.visual.parameters()))

    class Noting:
        """A file of safetensors that notes which tensors are read."""

        def __init__(self, path: str, framework: str) -> None:
            self._tensors = load_file(path)

        def __enter__(self) -> "Noting":
            return self

        def __exit__(self, *error: object) -> None:
            """Nothing is open."""

        def keys(self) -> list[str]:
            return list(self._tensors)

        def get_tensor(self, name: str) -> torch.Tensor:
            read.append(name)
            return self._tensors[name]

    monkeypatch.setattr(open_clip.CLIP, "__init__", noted)
    monkeypatch.setattr("clipomaly_core.weight_files.safe_open", Noting)
    monkeypatch.delattr("clipomaly_core.towers.road.tower.load_eye")
    load_text(find_checkpoint(model), CPU)
    assert read and not [name for name in read if name.startswith("visual.")]
    assert built and max(built) < 200_000  # a stand-in of one layer
