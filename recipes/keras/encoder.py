"""BERT as KerasHub has it, with the weights of a Hugging Face folder and what its config says."""

from pathlib import Path

import keras
import keras_hub

from recipes import weights
from recipes.contract.job import Job
from recipes.keras.weights import architecture, to_keras
from recipes.weights.bert import first_position


def encoder_of(job: Job, folder: Path) -> tuple[keras.Model, dict]:
    """Return the encoder in a Hugging Face folder, a BertBackbone without its pooler, and its config.

    It settles the precision, for the layers around it too.

    KerasHub's BERT has tanh GELU, an epsilon of 1e-12 and positions from 0: its layers are cloned with the config's.
    """
    keras.config.set_dtype_policy({"bf16": "mixed_bfloat16", "fp16": "mixed_float16"}.get(job.precision, "float32"))
    config, values = weights.read(folder)
    backbone = keras_hub.models.BertBackbone(
        **architecture(config), dropout=max(job.dropout.hidden, job.dropout.attention)
    )
    epsilon = config["layer_norm_eps"]
    own = {"activation": config["hidden_act"], "epsilon": epsilon, "layer_norm_epsilon": epsilon}

    def clone(layer):
        settings = layer.get_config()
        return layer.from_config(settings | {name: value for name, value in own.items() if name in settings})

    def call(layer, *args, **kwargs):
        if layer.name == "position_embedding":
            kwargs["start_index"] = first_position(config)
        return layer(*args, **kwargs)

    encoder = keras.Model(backbone.input, backbone.output["sequence_output"])
    encoder = keras.models.clone_model(encoder, clone_function=clone, call_function=call)
    encoder.get_layer("embeddings_dropout").rate = job.dropout.hidden
    for layer in encoder.layers:
        if isinstance(layer, keras_hub.layers.TransformerEncoder):  # it takes one rate for all its dropouts
            layer._self_attention_layer._dropout_layer.rate = job.dropout.attention
            layer._self_attention_dropout.rate = layer._feedforward_dropout.rate = job.dropout.hidden
    named = to_keras(config, values)
    for weight in encoder.weights:
        weight.assign(named[weight.path])
    return encoder, config
