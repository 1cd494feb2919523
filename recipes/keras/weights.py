"""Weights between Hugging Face and KerasHub's BertBackbone, for the architectures of BERT and RoBERTa.

KerasHub keeps a dense layer's kernel as (in, out), and the heads of attention as an axis of their own. The position
table is whole in both; RoBERTa's first two rows are used by neither.
"""

from collections.abc import Iterator

from recipes.weights import Weights

FIRST_POSITION = {"bert": 0, "roberta": 2, "camembert": 2, "xlm-roberta": 2}  # by config.json's model_type
EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "token_embedding/embeddings",
    "embeddings.position_embeddings.weight": "position_embedding/embeddings",
    "embeddings.token_type_embeddings.weight": "segment_embedding/embeddings",
    "embeddings.LayerNorm.weight": "embeddings_layer_norm/gamma",
    "embeddings.LayerNorm.bias": "embeddings_layer_norm/beta",
}
LAYER = {
    "attention.self.query": "self_attention_layer/query",
    "attention.self.key": "self_attention_layer/key",
    "attention.self.value": "self_attention_layer/value",
    "attention.output.dense": "self_attention_layer/attention_output",
    "attention.output.LayerNorm": "self_attention_layer_norm",
    "intermediate.dense": "feedforward_intermediate_dense",
    "output.dense": "feedforward_output_dense",
    "output.LayerNorm": "feedforward_layer_norm",
}


def architecture(config: dict) -> dict:
    """Return BertBackbone's arguments for a Hugging Face config; those of the dropouts are the job's."""
    if config["model_type"] not in FIRST_POSITION:
        known = ", ".join(FIRST_POSITION)
        raise ValueError(f"recipe=keras has no map for the weights of {config['model_type']}; it has for {known}.")
    return {
        "vocabulary_size": config["vocab_size"],
        "num_layers": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["hidden_size"],
        "intermediate_dim": config["intermediate_size"],
        "max_sequence_length": config["max_position_embeddings"],
        "num_segments": config["type_vocab_size"],
    }


def to_keras(config: dict, weights: Weights) -> Weights:
    """Return an encoder's weights by the paths of KerasHub's variables, from those by AutoModel's names.

    Query, key and value: kernel (hidden, heads, size of a head), bias (heads, size of a head); the attention's output:
    kernel (heads, size of a head, hidden); other kernels (in, out).
    """
    heads = config["num_attention_heads"]
    found = {}
    for theirs, ours in names(config):
        values = weights[theirs]
        if ours.endswith("kernel"):
            values = values.T
        if ours.endswith(("query/kernel", "key/kernel", "value/kernel")):
            values = values.reshape(values.shape[0], heads, -1)
        elif ours.endswith(("query/bias", "key/bias", "value/bias")):
            values = values.reshape(heads, -1)
        elif ours.endswith("attention_output/kernel"):
            values = values.reshape(heads, -1, values.shape[1])
        found[ours] = values
    return found


def from_keras(config: dict, weights: Weights) -> Weights:
    """Return an encoder's weights by AutoModel's names, from those by the paths of KerasHub's variables.

    Kernels (out, in), biases (out), embeddings (rows, hidden).
    """
    found = {}
    for theirs, ours in names(config):
        values = weights[ours]
        if ours.endswith("attention_output/kernel"):
            values = values.reshape(-1, values.shape[-1])
        elif ours.endswith("kernel"):
            values = values.reshape(values.shape[0], -1)
        elif ours.endswith("bias"):
            values = values.reshape(-1)
        found[theirs] = values.T if ours.endswith("kernel") else values
    return found


def names(config: dict) -> Iterator[tuple[str, str]]:
    """Yield AutoModel's name and KerasHub's path of each of an encoder's weights."""
    yield from EMBEDDINGS.items()
    for number in range(config["num_hidden_layers"]):
        for theirs, ours in LAYER.items():
            ends = ("gamma", "beta") if theirs.endswith("LayerNorm") else ("kernel", "bias")
            for their_end, end in zip(("weight", "bias"), ends, strict=True):
                yield f"encoder.layer.{number}.{theirs}.{their_end}", f"transformer_layer_{number}/{ours}/{end}"
