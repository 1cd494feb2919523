"""Hugging Face's names -> gluonnlp's BERTModel -> Hugging Face's names; numpy only.

Both have kernels as (out, in). gluonnlp counts positions from 0: the rows of RoBERTa's table before its first position
(recipes/weights/bert.py) have no place in it.
"""

from recipes.weights.maps import SAME, NameMap, Rule, module

EMBEDDINGS = {  # Hugging Face -> gluonnlp
    "embeddings.word_embeddings.weight": "word_embed.0.weight",
    "embeddings.token_type_embeddings.weight": "token_type_embed.0.weight",
    "embeddings.position_embeddings.weight": "encoder.position_weight",
}
CELL = "encoder.transformer_cells.{layer}"
DENSE = {
    "encoder.layer.{layer}.attention.self.query": f"{CELL}.attention_cell.proj_query",
    "encoder.layer.{layer}.attention.self.key": f"{CELL}.attention_cell.proj_key",
    "encoder.layer.{layer}.attention.self.value": f"{CELL}.attention_cell.proj_value",
    "encoder.layer.{layer}.attention.output.dense": f"{CELL}.proj",
    "encoder.layer.{layer}.intermediate.dense": f"{CELL}.ffn.ffn_1",
    "encoder.layer.{layer}.output.dense": f"{CELL}.ffn.ffn_2",
}
NORMS = {
    "embeddings.LayerNorm": "encoder.layer_norm",
    "encoder.layer.{layer}.attention.output.LayerNorm": f"{CELL}.layer_norm",
    "encoder.layer.{layer}.output.LayerNorm": f"{CELL}.ffn.layer_norm",
}


def name_map(layers: int) -> NameMap:
    """Return the map for an encoder of so many layers."""
    dense = {".weight": (".weight", SAME), ".bias": (".bias", SAME)}
    norm = {".weight": (".gamma", SAME), ".bias": (".beta", SAME)}
    rules = [Rule(*names) for names in EMBEDDINGS.items()]
    for modules, ends in ((DENSE, dense), (NORMS, norm)):
        rules += [rule for names in modules.items() for rule in module(*names, ends)]
    return NameMap(rules, layers)
