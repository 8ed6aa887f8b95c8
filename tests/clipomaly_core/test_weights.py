import fsspec
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from clipomaly_core import UserError
from clipomaly_core.errors import UsageError
from clipomaly_core.towers.load import load_network
from clipomaly_core.weights import find_checkpoint


@pytest.fixture(scope="module")
def network():
    find_checkpoint()  # makes open_clip know nano
    torch.manual_seed(1)
    return open_clip.create_model("nano", load_weights=False)


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_the_built_in_model_is_small_and_safe():
    checkpoint = find_checkpoint("nano")
    assert checkpoint.path.suffix == ".safetensors"
    assert checkpoint.path.stat().st_size <= 15_000_000
    assert checkpoint.embedding_dimension == load_network(checkpoint, torch.device("cpu")).visual.output_dim


def test_safetensors_give_the_network_they_were_saved_from(network, weights):
    checkpoint = find_checkpoint("nano", str(weights))
    loaded = load_network(checkpoint, torch.device("cpu"))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_an_open_clip_checkpoint_loads_too(network, tmp_path):
    path = tmp_path / "epoch_1.pt"
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 1, "state_dict": state}, path)
    loaded = load_network(find_checkpoint("nano", str(path)), torch.device("cpu"))
    torch.testing.assert_close(loaded.visual.proj, network.visual.proj, check_dtype=False)


def test_weights_come_from_any_fsspec_url_and_are_kept(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPOMALY_CACHE", str(tmp_path))
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/models/random.safetensors", weights.read_bytes())
    first = find_checkpoint("nano", "memory://models/random.safetensors")
    assert first.sha256 == find_checkpoint("nano", str(weights)).sha256
    assert first.path.is_relative_to(tmp_path)
    assert find_checkpoint("nano", "memory://models/random.safetensors").path == first.path


def test_a_pickle_is_refused_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    path = tmp_path / "evil.pt"
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(UserError):
        load_network(find_checkpoint("nano", str(path)), torch.device("cpu"))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("model", "weights", "says"),
    [
        ("ViT-Z-99", None, "nano"),
        ("RN50", None, "--weights"),
        ("ViT-L-14", "any.safetensors", "laion2b_s32b_b82k"),
        ("ViT-B-16", None, "--weights"),
        ("ViT-B-16/no-such-tag", None, "openai"),
        ("nano", "missing.safetensors", "missing.safetensors"),
        ("nano", "memory://no/such/file", "memory://no/such/file"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(model, weights, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "any.safetensors").touch()
    with pytest.raises(UserError) as error:
        find_checkpoint(model, weights)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_of_another_architecture_are_said_in_one_line(weights):
    with pytest.raises(UserError, match="ViT-B-16") as error:
        load_network(find_checkpoint("ViT-B-16", str(weights)), torch.device("cpu"))
    assert "\n" not in str(error.value)


def test_a_hub_that_cannot_be_reached_is_said_in_one_line(monkeypatch, tmp_path):
    # The client's own offline switch takes the road that a machine without a network takes, without its retries.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as error:
        find_checkpoint("ViT-B-16-quickgelu/openai")
    message = str(error.value)
    assert not isinstance(error.value, UsageError)
    assert all(part in message for part in ("ViT-B-16-quickgelu/openai", "--weights", "nano"))
    assert "\n" not in message
