"""A bare PyTorch loop: no accelerate, no events, no phases, nobody who watches. What a recipe's speed is measured by.

    python plain_torch.py JOB.json LOGITS.npz [eager|graph|packed]

scripts/benchmark.py calls it in the environment of hf_trainer, with the job.json of a run and a file for the logits; it
trains with the job's batches (controlled) or with batches of like length, and prints its figures as JSON and, last, the
seconds. `graph` has the whole step in a CUDA graph for each padded length, which is replayed without Python; `packed`
has the texts of a batch one after another, and none is padded.
"""

import contextlib
import itertools
import json
import math
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional
from transformers import AttentionInterface, AutoModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recipes.contract import frameworks
from recipes.contract.job import Job
from recipes.contract.schedule import linear
from recipes.contract.split import order_of_like_length

job = Job.read(Path(sys.argv[1]))
way = sys.argv[3] if len(sys.argv) > 3 else "eager"
settings, split, size = job.settings, job.split("train"), job.train.batch_size
device = "cuda" if torch.cuda.is_available() and not job.placement.use_cpu else "cpu"
torch.manual_seed(job.seed)
frameworks.allow_tf32(job.precision == "tf32")
if device == "cuda":
    torch.backends.cuda.enable_cudnn_sdp(False)  # it plans each new length anew, for seconds
MULTIPLE = 8  # of tokens, that a graph is captured for
segments = {}  # of the batch at work, where it is packed: where its texts begin, and the longest


def attend_packed(module, query, key, value, mask, scaling=None, **_):
    """Attention of texts one after another, (1, heads, tokens, width) each, every one to itself alone."""
    if device == "cuda":
        from torch.nn.attention.varlen import varlen_attn

        query, key, value = (one.squeeze(0).transpose(0, 1).contiguous() for one in (query, key, value))
        starts, longest = segments["starts"], segments["longest"]
        return varlen_attn(query, key, value, starts, starts, longest, longest).unsqueeze(0), None
    mask = segments["number"][:, None] == segments["number"]  # on processors, where there is none of that kind
    found = functional.scaled_dot_product_attention(query, key, value, mask[None, None])
    return found.transpose(1, 2), None


AttentionInterface.register("packed", attend_packed)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        rates = {"hidden_dropout_prob": job.dropout.hidden, "attention_probs_dropout_prob": job.dropout.attention}
        if way == "packed":  # attention of texts one after another has no dropout
            rates |= {"attention_probs_dropout_prob": 0.0, "attn_implementation": "packed"}
        self.encoder = AutoModel.from_pretrained(job.weights, dtype=torch.float32, add_pooling_layer=False, **rates)
        self.dropout = torch.nn.Dropout(job.dropout.hidden)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, len(job.labels))

    def forward(self, ids, mask):
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = hidden[:, 0] if job.pooling == "cls" else (hidden * weight).sum(1) / weight.sum(1)
        return self.head(self.dropout(pooled)).float()

    def forward_packed(self, ids, positions, number, lengths):
        hidden = self.encoder(input_ids=ids, position_ids=positions).last_hidden_state[0]
        pooled = hidden.new_zeros(len(lengths), hidden.shape[1]).index_add(0, number, hidden) / lengths[:, None]
        return self.head(self.dropout(pooled)).float()


def padded(rows, multiple=1):
    length = -(-max(map(len, rows)) // multiple) * multiple
    ids = torch.full((len(rows), length), model.encoder.config.pad_token_id)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.from_numpy(np.asarray(row, np.int64))
        mask[number, : len(row)] = 1
    return ids.to(device), mask.to(device)


def packed(rows):
    lengths = torch.tensor([len(row) for row in rows])
    number = torch.repeat_interleave(torch.arange(len(rows)), lengths)
    starts = functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
    positions = torch.cat([torch.arange(length) for length in lengths])
    ids = torch.from_numpy(np.concatenate(rows).astype(np.int64))
    segments.update(starts=starts.to(device), longest=int(lengths.max()), number=number.to(device))
    return ids[None].to(device), positions[None].to(device), segments["number"], lengths.to(device)


def batches(epoch):
    if job.controlled:
        return job.batches(job.order(epoch))
    order = order_of_like_length(split.lengths, size, np.random.default_rng([job.seed, epoch]))
    return [order[start : start + size] for start in range(0, len(order), size)]


def autocast():
    return torch.autocast(device, torch.bfloat16) if job.precision == "bf16" else contextlib.nullcontext()


def update(logits_of, labels, weights):
    with autocast():
        logits = logits_of()
    (functional.cross_entropy(logits, labels, reduction="none") * weights).sum().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


graphs = {}  # by padded shape: the graph, and the tensors that it reads


def replay(rows):
    filled = np.resize(rows, size)  # the last batch of an epoch is filled up with rows of no weight
    weights = np.where(np.arange(size) < len(rows), 1 / len(rows), 0.0).astype(np.float32)
    labels = torch.from_numpy(split.labels[filled].astype(np.int64))
    inputs = *padded(split.batch(filled).token_ids, MULTIPLE), labels, torch.from_numpy(weights)
    if inputs[0].shape not in graphs:
        static = [one.to(device).clone() for one in inputs]
        graphs[inputs[0].shape] = capture(lambda: update(lambda: model(*static[:2]), *static[2:])), static
    graph, static = graphs[inputs[0].shape]
    for ours, given in zip(static, inputs, strict=True):
        ours.copy_(given, non_blocking=True)
    graph.replay()


def capture(step):
    """Return the graph of a step, after its warm-up on a stream of its own ("CUDA graphs" in PyTorch's notes).

    On processors, which have none, what stands for it does the step each time: the code around is the same.
    """
    if device == "cpu":
        return SimpleNamespace(replay=lambda: (optimizer.zero_grad(), step()))
    before = [value.clone() for value in kept()]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            optimizer.zero_grad()
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad()
    with torch.cuda.graph(graph):
        step()
    with torch.no_grad():  # what the warm-up changed is put back, moments that it made to nothing: a step is done once
        for value, old in itertools.zip_longest(kept(), before, fillvalue=0):
            value.copy_(torch.as_tensor(old))
    return graph


def kept():
    moments = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    return [*model.state_dict().values(), *moments]


def eager(rows):
    labels = torch.from_numpy(split.labels[rows].astype(np.int64)).to(device)
    weights = torch.full((len(rows),), 1 / len(rows), device=device)
    texts = split.batch(rows).token_ids
    run = (lambda: model.forward_packed(*packed(texts))) if way == "packed" else (lambda: model(*padded(texts)))
    update(run, labels, weights)
    optimizer.zero_grad()


model = Model().to(device).train()
model.encoder.get_input_embeddings().requires_grad_(not settings.get("freeze_word_embeddings", False))
rate = torch.tensor(settings["learning_rate"], device=device) if way == "graph" else settings["learning_rate"]
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trained, rate, fused=True, capturable=way == "graph")
steps = job.train.epochs * math.ceil(len(split) / size)
share = linear(job, steps)
frameworks.wait()
start, done, told = time.perf_counter(), 0, {}
for epoch in range(job.train.epochs):
    for rows in batches(epoch):
        for group in optimizer.param_groups:
            now = settings["learning_rate"] * share(done)
            if way == "graph":
                group["lr"].fill_(now)
            else:
                group["lr"] = now
        (replay if way == "graph" else eager)(rows)
        done += 1
        if done == 1:
            frameworks.wait()
            told["train.first_step_seconds"] = time.perf_counter() - start
    frameworks.wait()  # a GPU works on while the loop has ended
    seconds, before = time.perf_counter() - start, told.get("seconds", 0.0)
    told |= {"seconds": seconds, "train.step_seconds_median": (seconds - before) / math.ceil(len(split) / size)}
told |= {
    "train.seconds": told.pop("seconds"),
    "train.samples_per_second": job.train.epochs * len(split) / seconds,
    "memory.gpu_allocated_peak_mb": torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else None,
}

model.eval()
test = job.split("test")
with torch.inference_mode(), autocast():
    chunks = [test.batch(range(at, min(at + 64, len(test)))).token_ids for at in range(0, len(test), 64)]
    of = (
        (lambda texts: model.forward_packed(*packed(texts))) if way == "packed" else lambda texts: model(*padded(texts))
    )
    logits = np.concatenate([of(texts).float().cpu().numpy() for texts in chunks])
np.savez(sys.argv[2], logits=logits)
print(json.dumps(told))
print(seconds)
