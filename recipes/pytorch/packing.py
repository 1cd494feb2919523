"""Batches in which the texts lie one after another in one row, so that none is padded, and attention within each.

transformers has the batches (its DataCollatorWithFlattening) and the place for such an attention (AttentionInterface).
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, DataCollatorWithFlattening, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from recipes.contract.job import Job
from recipes.contract.tasks import IGNORED
from recipes.pytorch.batches import are_tagged, as_taken, collate, labels_of
from recipes.weights.bert import FIRST_POSITION

ATTENTION = "packed"  # its name, as `attn_implementation`
PADDED, PACKED = 8, 128  # tokens that texts, or packed batches, are rounded up to where each shape costs


def collator(job: Job, encoder: PreTrainedModel) -> Callable[[Sequence[dict]], dict]:
    """Return what makes a batch of rows, padded or packed as the job says, in few shapes where each costs."""
    recorded = job.compile == "step"
    size = job.train.batch_size if recorded else 0
    if job.packed:
        return Pack(encoder, PACKED if recorded else 1, size)
    multiple = PADDED if recorded or torch.cuda.is_available() else 1
    return partial(collate, padding=encoder.config.pad_token_id, multiple=multiple, size=size)


def can_be_packed(model_type: str) -> None:
    """Raise ValueError for an encoder of which it is not known where the positions of a text begin."""
    if model_type not in FIRST_POSITION:
        raise ValueError(f"batches=packed takes encoders of {', '.join(FIRST_POSITION)}; this one is of {model_type}")


class Pack:
    """Make a batch of a dataset's rows: transformers' own fields of a flattened one, and labels (`labels_of`).

    input_ids, position_ids (each text's from its first on) and seq_idx (which text), all (1, tokens), as tags are;
    cu_seq_lens_q (texts + 1,) where each begins, int32; max_length_q the longest's tokens; the last two for keys as
    well (`_k`).

    For what is recorded for each shape there are few of them: with a `multiple` above 1 a text of padding, which has no
    weight, comes last, so that there are that many texts more than `size`, and the tokens are such a multiple; the
    longest is told as one.
    """

    def __init__(self, encoder: PreTrainedModel, multiple: int = 1, size: int = 0):
        config, self.multiple, self.size = encoder.config, multiple, size
        self.flatten = DataCollatorWithFlattening(
            return_flash_attn_kwargs=True, return_seq_idx=True, position_ids_start=FIRST_POSITION[config.model_type]
        )
        self.padding = config.pad_token_id

    def __call__(self, rows: Sequence[dict]) -> dict:
        token_ids, size = [row["input_ids"] for row in rows], 0
        if self.multiple > 1:
            fillers = max(0, self.size - len(rows)) + 1
            token_ids += [np.full(1, self.padding)] * (fillers - 1)
            left = self.multiple - sum(map(len, token_ids)) % self.multiple
            token_ids.append(np.full(left, self.padding))
            size = len(token_ids)
        batch = self.flatten([{"input_ids": ids} for ids in token_ids])
        longest = -(-batch["max_length_q"] // self.multiple) * self.multiple
        fields = {name: batch[name] for name in ("input_ids", "position_ids", "seq_idx")}
        fields |= {name: batch[name] for name in ("cu_seq_lens_q", "cu_seq_lens_k")}
        labels = tags_of(rows, batch["input_ids"].shape[1]) if are_tagged(rows) else labels_of(rows, size, 0)
        return {**fields, "max_length_q": longest, "max_length_k": longest, "labels": labels}


def tags_of(rows: Sequence[dict], tokens: int) -> torch.Tensor:
    """Return the tags of the tokens of a packed batch: int64 (1, tokens)."""
    tags = np.concatenate([row["label"] for row in rows])
    return as_taken(np.pad(tags, (0, tokens - len(tags)), constant_values=IGNORED)[None])


def attention(
    module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    seq_idx: torch.Tensor | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **_,
) -> tuple[torch.Tensor, None]:
    """Attention of each text within itself: all (1, heads, tokens, size) -> (1, tokens, heads, size).

    On a GPU in half precision the kernels know where each text begins. Elsewhere there are none such, and a mask keeps
    the texts apart. Padded texts (what is predicted comes so) are left to transformers.
    """
    if seq_idx is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, is_causal=False)
    if not query.is_cuda or query.dtype == torch.float32:
        same = seq_idx[:, None, :, None] == seq_idx[:, None, None, :]
        return sdpa_attention_forward(module, query, key, value, same, dropout, scaling, is_causal=False)
    query, key, value = (one[0].transpose(0, 1) for one in (query, key, value))  # tokens, heads, size
    if not dropout:
        begins, longest = (cu_seq_lens_q, cu_seq_lens_q), (max_length_q, max_length_q)
        return varlen_attn(query, key, value, *begins, *longest, scale=scaling)[None], None
    return nested(query, key, value, cu_seq_lens_q, max_length_q, dropout, scaling)[None], None


def nested(query, key, value, begins: torch.Tensor, longest: int, dropout: float, scaling: float | None):
    """Return the same, all (tokens, heads, size), from nested tensors: varlen_attn has no dropout, its kernels have."""
    by_text = partial(torch.nested.nested_tensor_from_jagged, offsets=begins, min_seqlen=1, max_seqlen=longest)
    texts = (by_text(one.contiguous()).transpose(1, 2) for one in (query, key, value))  # texts, heads, tokens, size
    attended = scaled_dot_product_attention(*texts, dropout_p=dropout, scale=scaling)
    return attended.transpose(1, 2).values()


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def pooled(hidden: torch.Tensor, pooling: str, seq_idx: torch.Tensor, cu_seq_lens_q: torch.Tensor) -> torch.Tensor:
    """Return a vector for each text, (texts, hidden): the mean of its tokens, or its first token."""
    if pooling == "cls":
        return hidden[0, cu_seq_lens_q[:-1]]
    lengths = cu_seq_lens_q.diff().unsqueeze(1)
    sums = hidden.new_zeros(len(lengths), hidden.shape[2], dtype=torch.float32)
    return sums.index_add(0, seq_idx[0], hidden[0].float()) / lengths
