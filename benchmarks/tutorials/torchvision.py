"""torchvision as its own tutorial shows it: "Transfer Learning for Computer Vision", pytorch.org/tutorials.

A network of torchvision's with a new head, batches of 4, SGD at 1e-3 with momentum 0.9, a tenth of that after every
seven epochs, pictures scaled as ImageNet's, no precision but fp32. There the pictures are photographs and the network
is pretrained; here they are drawn titles, as the recipe draws them, and it is not. Its evaluation after each epoch is
left out of the time that is measured.

`python benchmarks/tutorials/torchvision.py JOB.json OUT.npz`, with the environment of recipe=torchvision: saves the
test split's `logits` (rows, labels) and prints the seconds of the training.
"""

import sys
import time
from pathlib import Path

sys.path.pop(0)  # this folder: this file has the library's name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch import nn, optim
from torch.optim import lr_scheduler

from recipes.contract import frameworks
from recipes.contract.job import Job
from recipes.torchvision.pictures import Page

# isort: split
from torchvision import models  # beside a CPU build of torch it can be imported after the recipe's room alone
from torchvision.transforms import v2

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
job = Job.read(Path(sys.argv[1]))
torch.manual_seed(job.seed)
page = Page(height=32, width=512, font_size=14, channels=3)
scaled = v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])


class Titles(torch.utils.data.Dataset):
    def __init__(self, name):
        self.split = job.split(name)

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        return scaled(page.draw(page.layout(self.split.text(row)))), int(self.split.labels[row])


device = "cuda" if torch.cuda.is_available() else "cpu"
loader = torch.utils.data.DataLoader(Titles("train"), batch_size=4, shuffle=True)
model = models.resnet18(weights=None)
model.fc = nn.Linear(model.fc.in_features, len(job.labels))
model = model.to(device)
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
scheduler = lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)

start = time.perf_counter()
for _ in range(job.train.epochs):
    model.train()
    for inputs, labels in loader:
        inputs, labels = inputs.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
    scheduler.step()
frameworks.wait()
seconds = time.perf_counter() - start

model.eval()
with torch.no_grad():
    test = torch.utils.data.DataLoader(Titles("test"), batch_size=4)
    logits = torch.cat([model(inputs.to(device)).cpu() for inputs, _ in test]).numpy()
np.savez(sys.argv[2], logits=logits)
print(seconds)
