"""MXNet as gluonnlp's own script shows it: "finetune_classifier.py", scripts/bert of its 0.10.

Batches of 32 from ten buckets of like length, padded to their longest row; BERTAdam at 5e-5 for all, but no decay
on biases and LayerNorm, up for a tenth of the steps and down to 0; gradients clipped to 1; dropout 0.1; the loss read
at every step, and told every ten. There BERT's pooler carries the head; our weights have none, so here it is on the
mean of the tokens. The epochs are the job's, and token ids are given, so no processes load them.

`python benchmarks/tutorials/mxnet.py JOB.json OUT.npz`, with the environment of recipe=mxnet: saves the test split's
`logits` (rows, labels) and prints the seconds of the training.
"""

import sys
import time
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gluonnlp as nlp
import mxnet as mx
import numpy as np
from mxnet import gluon

from recipes.contract import frameworks
from recipes.contract.job import Dropout, Job
from recipes.contract.split import Split
from recipes.mxnet.encoder import encoder_of
from recipes.mxnet.model import Classifier

batch_size, dev_batch_size, max_len, log_interval = 32, 8, 128, 10
lr, epsilon, warmup_ratio = 5e-5, 1e-6, 0.1

job = Job.read(Path(sys.argv[1]))
np.random.seed(job.seed)
mx.random.seed(job.seed)
ctx = mx.cpu()

# model and loss
bert = encoder_of(job.weights, Dropout(hidden=0.1, attention=0.1))
model = Classifier(bert, job.outputs, "mean", 0.1)
model.head.initialize(init=mx.init.Normal(0.02), ctx=ctx)
loss_function = gluon.loss.SoftmaxCELoss()
model.hybridize(static_alloc=True)
loss_function.hybridize(static_alloc=True)


# data processing
def dataset_of(split: Split) -> gluon.data.SimpleDataset:
    kept = [ids[:max_len] for ids in split.token_ids]
    rows = zip(kept, map(len, kept), split.labels, strict=True)
    return gluon.data.SimpleDataset([(ids, length, int(label)) for ids, length, label in rows])


data_train, data_test = dataset_of(job.split("train")), dataset_of(job.split("test"))
data_train_len = data_train.transform(lambda input_id, length, label_id: length, lazy=False)
batchify_fn = nlp.data.batchify.Tuple(
    nlp.data.batchify.Pad(axis=0, pad_val=bert.bert.padding),
    nlp.data.batchify.Stack(),
    nlp.data.batchify.Stack("int32"),
)
batch_sampler = nlp.data.sampler.FixedBucketSampler(
    data_train_len, batch_size=batch_size, num_buckets=10, ratio=0, shuffle=True
)
train_data = gluon.data.DataLoader(dataset=data_train, batch_sampler=batch_sampler, batchify_fn=batchify_fn)
test_data = gluon.data.DataLoader(data_test, batch_size=dev_batch_size, shuffle=False, batchify_fn=batchify_fn)

# training
all_model_params = model.collect_params()
optimizer_params = {"learning_rate": lr, "epsilon": epsilon, "wd": 0.01}
trainer = gluon.Trainer(all_model_params, "bertadam", optimizer_params, update_on_kvstore=False)
num_train_steps = int(len(data_train) / batch_size * job.train.epochs)
num_warmup_steps = int(num_train_steps * warmup_ratio)
step_num = 0

# Do not apply weight decay on LayerNorm and bias terms
for _, v in model.collect_params(".*beta|.*gamma|.*bias").items():
    v.wd_mult = 0.0
# Collect differentiable parameters
params = [p for p in all_model_params.values() if p.grad_req != "null"]

start = time.perf_counter()
for epoch_id in range(job.train.epochs):
    step_loss = 0
    for batch_id, (input_ids, valid_length, label) in enumerate(train_data):
        # learning rate schedule
        if step_num < num_warmup_steps:
            new_lr = lr * step_num / num_warmup_steps
        else:
            non_warmup_steps = step_num - num_warmup_steps
            offset = non_warmup_steps / (num_train_steps - num_warmup_steps)
            new_lr = lr - offset * lr
        trainer.set_learning_rate(new_lr)

        # forward and backward
        with mx.autograd.record():
            out = model(input_ids.as_in_context(ctx), valid_length.astype("float32").as_in_context(ctx))
            ls = loss_function(out, label.as_in_context(ctx)).mean()
            ls.backward()

        # update
        trainer.allreduce_grads()
        nlp.utils.clip_grad_global_norm(params, 1)
        trainer.update(1)
        step_num += 1

        step_loss += ls.asscalar()
        if (batch_id + 1) % log_interval == 0:
            print(
                f"[Epoch {epoch_id + 1} Batch {batch_id + 1}/{len(train_data)}] "
                f"loss={step_loss / log_interval:.4f}, lr={trainer.learning_rate:.7f}"
            )
            step_loss = 0
frameworks.wait()
seconds = time.perf_counter() - start

logits = [
    model(ids.as_in_context(ctx), length.astype("float32").as_in_context(ctx)).asnumpy() for ids, length, _ in test_data
]
np.savez(sys.argv[2], logits=np.concatenate(logits))
print(seconds)
