"""BERT and RoBERTa as gluonnlp's BERTModel: made of a Hugging Face folder, and its weights read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gluonnlp as nlp
import mxnet as mx
import numpy as np
from mxnet.gluon import nn

from recipes import weights
from recipes.contract.job import Dropout
from recipes.mxnet.weights import name_map
from recipes.weights import Weights
from recipes.weights.bert import Bert, taken

ACTIVATIONS = {"gelu": "gelu", "gelu_new": "approx_gelu", "gelu_pytorch_tanh": "approx_gelu", "relu": "relu"}
CPU = (mx.cpu(),)
POSITIONS = "encoder.position_weight"


@dataclass(frozen=True)
class Encoder:
    """gluonnlp's model, what its arrays do not show, and the rows of the position table that it has no place for."""

    model: nlp.model.BERTModel
    bert: Bert
    unused: np.ndarray

    def weights(self) -> Weights:
        """Return the weights by AutoModel's names."""
        found = {name: numbers(parameter) for name, parameter in parameters(self.model).items()}
        found[POSITIONS] = np.concatenate([self.unused, found[POSITIONS]])
        return name_map(self.bert.layers).to_hugging_face(found)


class NormThenDropout(nn.LayerNorm):
    """LayerNorm, then dropout, as BERT has it on its embeddings; gluonnlp draws before the LayerNorm."""

    def __init__(self, rate: float, units: int, epsilon: float):
        super().__init__(in_channels=units, epsilon=epsilon)
        self.rate = rate

    def hybrid_forward(self, F, data, gamma, beta):
        return F.Dropout(super().hybrid_forward(F, data, gamma, beta), p=self.rate)


def encoder_of(folder: Path, rates: Dropout, devices: Sequence[mx.Context] = CPU) -> Encoder:
    """Return the encoder in a Hugging Face folder, its weights in float32 on each device."""
    config, values = weights.read(folder)
    bert = taken(config, "fp32", ACTIVATIONS)
    values = name_map(bert.layers).to_library(values)
    unused, values[POSITIONS] = np.split(values[POSITIONS], [bert.first_position])
    model = empty(bert, values, rates)
    model.initialize(mx.init.Zero(), list(devices))
    for name, parameter in parameters(model).items():
        parameter.set_data(mx.nd.array(values[name]))
    return Encoder(model, bert, unused)


def empty(bert: Bert, values: Weights, rates: Dropout) -> nlp.model.BERTModel:
    """Return the model that takes these weights, with dropout where BERT has it."""
    words, units = values["word_embed.0.weight"].shape
    encoder = nlp.model.BERTEncoder(
        num_layers=bert.layers,
        units=units,
        hidden_size=len(values["encoder.transformer_cells.0.ffn.ffn_1.bias"]),
        max_length=len(values[POSITIONS]),
        num_heads=bert.heads,
        dropout=rates.hidden,
        activation=ACTIVATIONS[bert.activation],
        layer_norm_eps=bert.epsilon,
    )
    encoder.dropout_layer = nn.Dropout(0)
    encoder.layer_norm = NormThenDropout(rates.hidden, units, bert.epsilon)
    for cell in encoder.transformer_cells:
        cell.attention_cell.dropout_layer = nn.Dropout(rates.attention)
    segments = len(values["token_type_embed.0.weight"])
    parts = dict.fromkeys(("use_pooler", "use_decoder", "use_classifier"), False)
    return nlp.model.BERTModel(encoder, words, segments, embed_size=units, **parts)


def parameters(block: nn.HybridBlock) -> dict[str, mx.gluon.Parameter]:
    """Return the parameters by the names that `save_parameters` writes."""
    return block._collect_params_with_prefix()


def numbers(parameter: mx.gluon.Parameter) -> np.ndarray:
    """Return what a parameter holds; devices hold the same."""
    return parameter.list_data()[0].asnumpy()
