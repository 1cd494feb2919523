"""The Trainer as its own guide shows it: "Fine-tuning", huggingface.co/docs/transformers/training (version 4.56).

Every text padded to one length (there the model's 512, here the data's max_length), the Trainer's defaults: batches
of 8, 5e-5 with linear decay, fp32. Its evaluation after each epoch is left out of the time that is measured.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from recipes.contract import frameworks
from recipes.contract.job import Job

LENGTH = 128
job = Job.read(Path(sys.argv[1]))
tokenizer = AutoTokenizer.from_pretrained(job.weights)


def tokenized(name):
    split = job.split(name)
    texts = [split.text(row) for row in range(len(split))]
    found = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH)
    return [
        {"input_ids": ids, "attention_mask": mask, "labels": int(label)}
        for ids, mask, label in zip(found["input_ids"], found["attention_mask"], split.labels, strict=True)
    ]


model = AutoModelForSequenceClassification.from_pretrained(job.weights, num_labels=len(job.labels))
arguments = TrainingArguments(
    output_dir=os.path.dirname(sys.argv[2]),
    num_train_epochs=job.train.epochs,
    seed=job.seed,
    use_cpu=not torch.cuda.is_available(),
    save_strategy="no",
    report_to="none",
    disable_tqdm=True,
)
trainer = Trainer(model, arguments, train_dataset=tokenized("train"))
start = time.perf_counter()
trainer.train()
frameworks.wait()
seconds = time.perf_counter() - start
np.savez(sys.argv[2], logits=trainer.predict(tokenized("test")).predictions)
print(seconds)
