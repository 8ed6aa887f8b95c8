from dataclasses import replace

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize

from clipomaly_core.text import TextEncoder, load_templates, make_prompts
from clipomaly_core.towers.load import load_tower
from clipomaly_core.towers.text import encode_texts
from clipomaly_core.weights import find_checkpoint


@pytest.fixture(scope="module")
def tower():
    return load_tower(find_checkpoint("nano"), torch.device("cpu"))


@pytest.fixture(scope="module")
def network(tower):
    return tower.network


class CountingText:
    """A text tower that notes how many texts it embeds."""

    def __init__(self, text):
        self.text, self.embedded = text, 0

    def tokenize(self, texts):
        return self.text.tokenize(texts)

    def embed(self, tokens):
        self.embedded += len(tokens)
        return self.text.embed(tokens)


def make_encoder(tower, cache, templates=("a photo of a {}", "{} on the road"), weights="w"):
    text, device = tower.text, torch.device("cpu")
    return TextEncoder(text, tower.image.embedding_dimension, device, "nano", weights, templates, cache)


def test_embeddings_are_the_mean_over_templates(tower, network, tmp_path):
    [embedding] = make_encoder(tower, tmp_path)(["boar"])
    texts = open_clip.get_tokenizer("nano")(["a photo of a boar", "boar on the road"])
    with torch.no_grad():
        expected = normalize(normalize(network.encode_text(texts), dim=-1).mean(0), dim=-1)
    torch.testing.assert_close(embedding, expected)


def test_a_word_is_embedded_once(tower, tmp_path):
    make_encoder(tower, tmp_path)(["boar", "mattress"])
    counting = replace(tower, text=CountingText(tower.text))
    again = make_encoder(counting, tmp_path)
    again(["mattress", "boar"])
    assert counting.text.embedded == 0
    again(["ladder"])
    assert counting.text.embedded == 2  # one for each template


class InterruptedText(CountingText):
    """A text tower that is interrupted once it has embedded so many texts."""

    def __init__(self, text, most):
        super().__init__(text)
        self.most = most

    def embed(self, tokens):
        embedded = super().embed(tokens)
        if self.embedded > self.most:
            raise KeyboardInterrupt
        return embedded


def test_an_interrupted_start_goes_on_where_it_was(tower, tmp_path):
    words = [f"thing {number:03d}" for number in range(600)]
    interrupted = replace(tower, text=InterruptedText(tower.text, 1100))
    with pytest.raises(KeyboardInterrupt):
        make_encoder(interrupted, tmp_path)(words)
    counting = replace(tower, text=CountingText(tower.text))
    make_encoder(counting, tmp_path)(words)
    assert counting.text.embedded == 2 * (600 - 512)  # two templates; two parts of 256 words were kept


def test_padding_left_out_changes_nothing(network):
    tokens = open_clip.get_tokenizer("nano")(["car", "a photo of a very long sentence about a traffic cone"])
    with torch.no_grad():
        torch.testing.assert_close(encode_texts(network, tokens), network.encode_text(tokens, normalize=True))


def test_other_templates_or_weights_have_their_own_cache(tower, tmp_path):
    make_encoder(tower, tmp_path)(["boar"])
    make_encoder(tower, tmp_path, templates=("{}",))(["boar"])
    make_encoder(tower, tmp_path, weights="other")(["boar"])
    assert len(list((tmp_path / "text").glob("*.safetensors"))) == 3


def test_two_writers_keep_each_others_words(tower, tmp_path):
    one, two = make_encoder(tower, tmp_path), make_encoder(tower, tmp_path)
    one(["boar"])
    two(["ladder"])
    counting = replace(tower, text=CountingText(tower.text))
    make_encoder(counting, tmp_path)(["boar", "ladder"])
    assert counting.text.embedded == 0


def test_the_cache_of_an_older_version_is_read(tower, tmp_path):
    [expected] = make_encoder(tower, tmp_path)(["boar"])
    [file] = (tmp_path / "text").glob("*.safetensors")
    save_file({"boar": expected}, file.with_name(file.name.replace(".words", "")))  # a tensor for each word
    file.unlink()
    counting = replace(tower, text=CountingText(tower.text))
    torch.testing.assert_close(make_encoder(counting, tmp_path)(["boar"])[0], expected)
    assert counting.text.embedded == 0


def test_a_cache_file_of_another_program_only_costs_time(tower, tmp_path):
    expected = make_encoder(tower, tmp_path)(["boar"])
    [file] = (tmp_path / "text").glob("*.safetensors")
    for metadata in (None, {"words": "no JSON"}, {"words": "[]"}, {"other": ""}):
        save_file({"embeddings": expected}, file, metadata)
        torch.testing.assert_close(make_encoder(tower, tmp_path)(["boar"]), expected)


def test_a_broken_or_unwritable_cache_only_costs_time(tower, tmp_path, caplog):
    encoder = make_encoder(tower, tmp_path)
    expected = encoder(["boar"])
    [file] = (tmp_path / "text").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:50])
    torch.testing.assert_close(make_encoder(tower, tmp_path)(["boar"]), expected)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    torch.testing.assert_close(make_encoder(tower, blocked)(["boar"]), expected)
    assert "cannot be cached" in caplog.text


def test_a_name_is_as_near_as_its_nearest_synonym(tower, network, tmp_path):
    encoder = make_encoder(tower, tmp_path)
    prompts = make_prompts(encoder, [("ladder",), ("wild boar", "boar", "feral hog"), ("sofa", "couch")])
    features = normalize(torch.randn(3, 50, network.visual.output_dim), dim=-1).requires_grad_()
    words = encoder(["ladder", "wild boar", "boar", "feral hog", "sofa", "couch"])
    expected = torch.stack([part.amax(-1) for part in (features @ words.T).split([1, 3, 2], dim=-1)], dim=-1)
    cosines = prompts.cosines(features)
    torch.testing.assert_close(cosines, expected)
    gradients = (torch.autograd.grad(some.square().sum(), features)[0] for some in (cosines, expected))
    torch.testing.assert_close(*gradients)
    torch.testing.assert_close(prompts.names, words[[0, 1, 4]])
    torch.testing.assert_close(prompts.of([2, 1]).cosines(features), expected[..., [2, 1]])
    torch.testing.assert_close(prompts.of([2, 1]).of([1]).cosines(features), expected[..., [1]])


@pytest.mark.parametrize("name", ["short", "full"])
def test_templates_take_one_word(name):
    templates = load_templates(name)
    assert len(set(templates)) == len(templates) >= 7
    assert all(template.count("{}") == 1 for template in templates)
