"""What the recipes on PyTorch and transformers share: the classifier, its batches, and how it is saved and loaded."""

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from recipes import weights
from recipes.job import Batch, Hidden, Job, Predict
from recipes.split import Split, order_of_like_length


class Classifier(nn.Module):
    """Encoder -> one vector a text (masked mean, or the first token) -> dropout -> linear."""

    def __init__(self, encoder: nn.Module, pooling: str, dropout: float, labels: int):
        super().__init__()
        self.encoder, self.pooling = encoder, pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, labels)

    def forward(self, input_ids, attention_mask):
        """Token ids and mask (rows, tokens) -> logits (rows, labels), float32."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
        return self.head(self.dropout(pooled)).float()


def build(job: Job) -> Classifier:
    """Return the job's encoder with a new head (controlled: the job's), on the CPU."""
    encoder = encoder_of(job.weights, job.dropout)
    model = Classifier(encoder, job.pooling, job.dropout["hidden"], len(job.labels))
    if job.controlled:
        weight, bias = (torch.from_numpy(values) for values in job.head())
        model.head.load_state_dict({"weight": weight, "bias": bias})
    job.event("model", parameters=sum(p.numel() for p in model.parameters()))
    return model


def encoder_of(folder, dropout: dict[str, float]) -> PreTrainedModel:
    """Load an encoder in fp32, without the pooler that some architectures have: the head is ours.

    Whoever made the folder, it holds settings and safetensors, and runs no code of its own.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    for name, kind in weights.DROPOUT_NAMES.items():
        if hasattr(config, name):
            setattr(config, name, dropout[kind])
    encoder = AutoModel.from_pretrained(
        folder, config=config, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )
    encoder.pooler = None
    return encoder


def parameter_groups(model: Classifier, settings: dict) -> list[dict]:
    """Return AdamW's parameter groups: the head at its own rate; no decay on biases and LayerNorm."""
    groups = []
    for part, rate in ((model.encoder, settings["learning_rate"]), (model.head, settings["head_learning_rate"])):
        named = [(name, parameter) for name, parameter in part.named_parameters() if parameter.requires_grad]
        for decays in (True, False):
            chosen = [parameter for name, parameter in named if decayed(name) == decays]
            groups.append({"params": chosen, "lr": rate, "weight_decay": settings["weight_decay"] if decays else 0.0})
    return groups


def decayed(name: str) -> bool:
    """Tell whether weight decay applies to a parameter: not to biases and LayerNorm."""
    return not name.endswith("bias") and "norm" not in name.lower()


class TokenIds(torch.utils.data.Dataset):
    """The rows of a split: token ids and label."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        return {"input_ids": self.split.token_ids[row], "label": int(self.split.labels[row])}


class Batches(torch.utils.data.Sampler):
    """The rows of each batch: of like length, in another order each epoch (controlled: in the job's order).

    Of several processes each takes one batch in turn; those of one step are of like length too.
    """

    def __init__(self, job: Job, lengths: np.ndarray):
        self.job, self.lengths, self.epoch = job, lengths, 0
        self.drop_last, self.batch_size = False, None  # for accelerate: they differ in size, and none is filled up

    def __len__(self):
        return -(-len(self.lengths) // self.job.step_size) * self.job.batches_of_step

    def __iter__(self):
        yield from (batch.tolist() for batch in self.job.cut(self.order()))

    def order(self) -> np.ndarray:
        """Return the rows in their order in this epoch."""
        if self.job.controlled:
            return self.job.order(self.epoch)
        generator = np.random.default_rng([self.job.seed, self.epoch])
        return order_of_like_length(self.lengths, self.job.step_size, generator)

    def set_epoch(self, epoch: int):
        self.epoch = epoch

    def rows_of_step(self, batch: int) -> int:
        """Return the rows of the optimiser step that a process's batch, counted from 0 in its epoch, is a part of."""
        rows = self.job.rows_of_step(batch // self.job.train["accumulate"], len(self.lengths))
        return max(self.job.batches_of_step, rows)


def pad(rows: list[np.ndarray], value: int) -> dict[str, torch.Tensor]:
    """Pad token ids to the longest row: input_ids and attention_mask (rows, tokens), int64."""
    ids = [torch.tensor(row, dtype=torch.long) for row in rows]
    return {
        "input_ids": nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=value),
        "attention_mask": nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
    }


def save(model: Classifier, job: Job) -> None:
    """Write a Hugging Face folder with the encoder, its tokenizer and the labels, and the head beside it."""
    model.encoder.save_pretrained(job.model)
    save_file(model.head.state_dict(), job.model / "head.safetensors")
    weights.complete(job)


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    return predictor(saved(job).to("cuda" if torch.cuda.is_available() else "cpu"), job)


def saved(job: Job) -> Classifier:
    """Return the classifier in the Hugging Face folder that a recipe has left, on the CPU."""
    encoder = encoder_of(job.model, {"hidden": 0.0, "attention": 0.0})
    model = Classifier(encoder, encoder.config.pooling, 0.0, len(encoder.config.id2label))
    model.head.load_state_dict(load_file(job.model / "head.safetensors"))
    return model


def predictor(model: Classifier, job: Job) -> Predict:
    """Return the function that predicts with `model` where it is."""
    model.eval()
    device = next(model.parameters()).device

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray:
        inputs = pad(batch.token_ids, model.encoder.config.pad_token_id)
        with torch.autocast(device.type, torch.bfloat16, enabled=job.precision == "bf16"):
            logits = model(**{name: value.to(device) for name, value in inputs.items()})
        return logits.cpu().numpy()

    return predict


def hidden_states(job: Job) -> Hidden:
    """Return the encoder before training, as a function."""
    encoder = encoder_of(job.weights, job.dropout)

    @torch.inference_mode()
    def hidden(batch: Batch, training: bool) -> np.ndarray:
        return encoder.train(training)(**pad(batch.token_ids, encoder.config.pad_token_id)).last_hidden_state.numpy()

    return hidden
