"""fairseq's encoder with what BERT has beside RoBERTa, and a classification head as the job asks for."""

from dataclasses import dataclass, field

from fairseq.dataclass import FairseqDataclass
from fairseq.models import FairseqEncoderModel, register_model
from fairseq.models.transformer import TransformerEncoder
from torch import nn


@dataclass
class TextClassifierConfig(FairseqDataclass):
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    encoder_learned_pos: bool = True
    layernorm_embedding: bool = True
    no_scale_embedding: bool = True
    activation_fn: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    max_positions: int = 512  # set by the task
    max_source_positions: int = 512
    segments: int = field(default=1, metadata={"help": "rows of the token-type embedding, which RoBERTa has one of"})
    layer_norm_eps: float = field(default=1e-5, metadata={"help": "fairseq's own is 1e-5; BERT's 1e-12"})
    pooling: str = field(default="cls", metadata={"help": "mean, over the unpadded positions, cls, or none"})
    freeze_word_embeddings: bool = False


@register_model("text_classifier", dataclass=TextClassifierConfig)
class TextClassifier(FairseqEncoderModel):
    """fairseq's TransformerEncoder, as in its RoBERTa, and classification heads."""

    def __init__(self, cfg, encoder):
        super().__init__(encoder)
        self.cfg, self.classification_heads = cfg, nn.ModuleDict()

    @classmethod
    def build_model(cls, cfg, task):
        embed_tokens = nn.Embedding(len(task.source_dictionary), cfg.encoder_embed_dim, task.source_dictionary.pad())
        embed_tokens.weight.requires_grad_(not cfg.freeze_word_embeddings)
        return cls(cfg, Encoder(cfg, task.source_dictionary, embed_tokens))

    def register_classification_head(self, name, num_classes):
        self.classification_heads[name] = Head(self.cfg, num_classes)
        for name, parameter in self.named_parameters():  # fairseq's composite optimizer goes by these groups
            part = "encoder" if name.startswith("encoder.") else "head"
            parameter.param_group = part if parameter.ndim > 1 else f"{part}_undecayed"  # biases and LayerNorm

    def forward(self, src_tokens, classification_head_name, **kwargs):
        """Token ids (rows, tokens) -> logits (rows, labels); without pooling (rows, tokens, tags)."""
        hidden = self.encoder(src_tokens)["encoder_out"][0].transpose(0, 1)
        mask = src_tokens.ne(self.encoder.padding_idx)
        return self.classification_heads[classification_head_name](hidden, mask), None


class Encoder(TransformerEncoder):
    """With BERT's token-type embedding, a parameter of its own, and the eps that LayerNorm has no setting for."""

    def __init__(self, cfg, dictionary, embed_tokens):
        super().__init__(cfg, dictionary, embed_tokens)
        self.embed_segments = nn.Embedding(cfg.segments, cfg.encoder_embed_dim)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = cfg.layer_norm_eps

    def forward_embedding(self, src_tokens, token_embedding=None):
        return super().forward_embedding(src_tokens, self.embed_tokens(src_tokens) + self.embed_segments.weight[0])


class Head(nn.Module):
    """Masked mean, first position or each -> dropout -> linear."""

    def __init__(self, cfg, num_classes):
        super().__init__()
        self.pooling, self.dropout = cfg.pooling, nn.Dropout(cfg.dropout)
        self.out_proj = nn.Linear(cfg.encoder_embed_dim, num_classes)

    def forward(self, hidden, mask):
        if self.pooling == "cls":
            hidden = hidden[:, 0]
        elif self.pooling == "mean":
            mask = mask.unsqueeze(-1).to(hidden.dtype)
            hidden = (hidden * mask).sum(1) / mask.sum(1)
        return self.out_proj(self.dropout(hidden))
