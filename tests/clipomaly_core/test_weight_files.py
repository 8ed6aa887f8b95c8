"""Weight files as people have them, made here from random networks."""

import json
import zipfile

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from clipomaly_core import UserError
from clipomaly_core.errors import UsageError
from clipomaly_core.towers.load import load_network
from clipomaly_core.weight_files import read_weights
from clipomaly_core.weights import find_checkpoint, register_nano

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")  # TorchScript is what is tested


@pytest.fixture(scope="module")
def network():
    register_nano()
    torch.manual_seed(5)
    return open_clip.create_model("nano", load_weights=False)


@pytest.fixture(scope="module")
def state(network):
    return network.state_dict()


def load(path, model="nano"):
    return load_network(find_checkpoint(model, str(path)), torch.device("cpu"))


def same(loaded, state):
    found = loaded.state_dict()
    assert found.keys() == state.keys()
    for name, value in state.items():
        torch.testing.assert_close(found[name], value.float(), msg=name)


class Scripted(nn.Module):
    """A network as OpenAI saved theirs: TorchScript, half precision, its sizes among the weights."""

    def __init__(self, state):
        super().__init__()
        self.input_resolution, self.context_length, self.vocab_size = 352, 32, 49408
        for name, value in state.items():
            *path, last = name.split(".")
            module = self
            for part in path:
                if not hasattr(module, part):
                    module.add_module(part, Part())
                module = getattr(module, part)
            module.register_parameter(last, nn.Parameter(value.half(), requires_grad=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Part(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def torchscript(state, path):
    torch.jit.script(Scripted(state)).save(str(path))
    return path


def test_openais_torchscript(state, tmp_path):
    path = torchscript(state, tmp_path / "ViT.pt")
    half = {name: value.half() for name, value in state.items()}
    same(load(path), half)


def test_the_same_names_and_values_as_torch_itself_reads(state, tmp_path):
    path = torchscript(state, tmp_path / "ViT.pt")
    expected = torch.jit.load(str(path)).state_dict()
    found = read_weights(path)
    assert found.openai
    assert found.state.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found.state[name], value)


def test_torchscript_that_calls_something_else_is_refused(state, tmp_path):
    path = tmp_path / "evil.pt"
    instructions = b"\x80\x02cos\nsystem\nX\x05\x00\x00\x00touch\x85R."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil/data.pkl", instructions)
        archive.writestr("evil/constants.pkl", b"")
    with pytest.raises(UserError, match="does not hold weights") as error:
        load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {"model": {f"_orig_mod.{name}": value for name, value in state.items()}, "args": {"lr": 0.1}},
        lambda state: {"state_dict": {f"model.{name}": value for name, value in state.items()}, "loss.weight": 1},
        lambda state: {f"module.{name}": value for name, value in state.items()} | {"n_averaged": torch.tensor(3)},
    ],
    ids=["plain", "trainer", "distributed", "compiled", "lightning", "averaged"],
)
def test_checkpoints_of_trainers(state, tmp_path, wrap):
    path = tmp_path / "epoch_3.pt"
    torch.save(wrap(dict(state)), path)
    same(load(path), state)


def test_averaged_weights_count_before_those_of_the_last_step(state, tmp_path):
    path = tmp_path / "epoch_3.pt"
    last = {name: torch.zeros_like(value) for name, value in state.items()}
    torch.save({"state_dict": last, "state_dict_ema": dict(state)}, path)
    same(load(path), state)


def test_safetensors_are_known_by_what_they_hold(state, tmp_path):
    path = tmp_path / "weights"
    save_file(state, path)
    same(load(path), state)


def test_a_folder_as_open_clip_saves_one(state, tmp_path):
    save_file(state, tmp_path / "open_clip_model.safetensors")
    config = {"preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bilinear"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    checkpoint = find_checkpoint("ViT-S-16", str(tmp_path))
    assert (checkpoint.mean, checkpoint.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert checkpoint.interpolation == "bilinear"


def test_a_folder_without_weights_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="holds no weights"):
        find_checkpoint("nano", str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04", b"{}"])
def test_a_file_that_is_no_weights_is_one_line(tmp_path, content):
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="does not hold weights of nano") as error:
        load(path)
    assert "\n" not in str(error.value)


def test_missing_tensors_are_named(state, tmp_path):
    path = tmp_path / "part.safetensors"
    save_file({name: value for name, value in state.items() if name != "visual.proj"}, path)
    with pytest.raises(UsageError, match=r"1 tensors are missing, such as visual\.proj"):
        load(path)


# Quick GELU and normalisation


def quick(network):
    return type(network.visual.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"


def test_openais_weights_under_a_plain_name_get_their_quick_gelu_and_one_line(state, tmp_path, caplog):
    loaded = load(torchscript(state, tmp_path / "ViT.pt"))
    assert quick(loaded)
    [line] = [record.getMessage() for record in caplog.records]
    assert "quick GELU" in line and "\n" not in line


def test_other_weights_under_a_plain_name_keep_the_plain_gelu(state, tmp_path, caplog):
    save_file(state, tmp_path / "own.safetensors")
    assert not quick(load(tmp_path / "own.safetensors"))
    assert not caplog.records


def test_the_config_beside_the_weights_says_which_gelu(state, tmp_path):
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"vision_config": {"hidden_act": "quick_gelu"}}))
    assert quick(load(tmp_path))


@pytest.mark.parametrize(
    ("model", "mean"), [("ViT-B-16-SigLIP", 0.5), ("ViT-L-14/laion2b_s32b_b82k", 0.5), ("ViT-L-14/openai", 0.48145466)]
)
def test_weights_without_a_config_are_normalised_as_their_tag_or_architecture_says(state, tmp_path, model, mean):
    save_file(state, tmp_path / "any.safetensors")
    assert find_checkpoint(model, str(tmp_path / "any.safetensors")).mean[0] == pytest.approx(mean)


# Hugging Face transformers


def hugging_face(state, prefix, own):
    """The weights of an open_clip ViT as transformers' CLIP names them, written out here a second time."""
    blocks = {"attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1", "ln_2": "layer_norm2"}
    blocks |= {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    made = {}
    for name, value in state.items():
        if not name.startswith(own):
            continue
        number, _, part = name.removeprefix(own).partition(".")
        layer = f"{prefix}.encoder.layers.{number}"
        if part.startswith("attn.in_proj_"):
            for which, third in zip("qkv", value.chunk(3), strict=True):
                made[f"{layer}.self_attn.{which}_proj.{part.removeprefix('attn.in_proj_')}"] = third.clone()
            continue
        stem, _, kind = part.rpartition(".")
        made[f"{layer}.{blocks[stem]}.{kind}"] = value
    return made


def test_clip_of_transformers(state, tmp_path):
    names = {
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "vision_model.embeddings.position_ids": torch.arange(5)[None],
        "visual_projection.weight": state["visual.proj"].T.contiguous(),
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_projection.weight": state["text_projection"].T.contiguous(),
        "logit_scale": state["logit_scale"],
    }
    for kind in ("weight", "bias"):
        names[f"vision_model.pre_layrnorm.{kind}"] = state[f"visual.ln_pre.{kind}"]
        names[f"vision_model.post_layernorm.{kind}"] = state[f"visual.ln_post.{kind}"]
        names[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
    names |= hugging_face(state, "vision_model", "visual.transformer.resblocks.")
    names |= hugging_face(state, "text_model", "transformer.resblocks.")
    save_file(names, tmp_path / "model.safetensors")
    same(load(tmp_path), state)


def test_clip_of_transformers_embeds_as_transformers_does(tmp_path):
    """Needs the extra ``huggingface``: transformers itself makes the folder and says what is right."""
    transformers = pytest.importorskip("transformers", reason="the extra huggingface is not installed")
    torch.manual_seed(0)
    text = {"hidden_size": 104, "intermediate_size": 416, "num_hidden_layers": 3, "num_attention_heads": 2}
    vision = {"hidden_size": 160, "intermediate_size": 640, "num_hidden_layers": 5, "num_attention_heads": 4}
    config = transformers.CLIPConfig(
        text_config=text | {"vocab_size": 49408, "max_position_embeddings": 32, "eos_token_id": 49407},
        vision_config=vision | {"image_size": 352, "patch_size": 16},
        projection_dim=128,
    )
    theirs = transformers.CLIPModel(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = load(tmp_path)
    assert quick(ours)  # the default of transformers, and of their config.json
    tokens = torch.tensor([[49406, 320, 1000, 49407] + [0] * 28])
    with torch.no_grad():
        expected = theirs.text_projection(theirs.text_model(input_ids=tokens).pooler_output)
        torch.testing.assert_close(ours.encode_text(tokens), expected, atol=1e-5, rtol=0)


def test_siglip_of_transformers_embeds_as_transformers_does():
    """Needs the extra ``huggingface``. A small SigLIP, whose image tower timm builds in the same size."""
    transformers = pytest.importorskip("transformers", reason="the extra huggingface is not installed")
    from clipomaly_core.weight_files import from_transformers
    from tests.clipomaly_core.towers.small import small_tower

    torch.manual_seed(0)
    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256}
    config = transformers.SiglipConfig(
        text_config=small, vision_config=small | {"image_size": 64, "patch_size": 16, "hidden_act": "gelu"}
    )
    theirs = transformers.SiglipModel(config).eval()
    ours = small_tower("SigLIP")
    converted = from_transformers(theirs.state_dict())
    ours.load_state_dict(
        {name.removeprefix("visual."): value for name, value in converted.items() if name.startswith("visual.")}
    )
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = theirs.vision_model(pixel_values=pixels).pooler_output
        torch.testing.assert_close(ours(pixels), expected, atol=1e-4, rtol=0)
