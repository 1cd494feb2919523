"""The rows of a job as torchvision takes them: pictures, drawn of texts or read, with the transforms of its `v2`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torchvision.transforms import v2

from recipes.contract.job import Job
from recipes.contract.split import Batch, Split
from recipes.torchvision.pictures import Page

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, by colour: torchvision's weights expect these
PAGES: dict[str, dict[str, Any]] = {
    "texts": {"height": 16, "width": 384, "first_stride": [2, 1]},  # 48 characters; down and across: letters are narrow
    "pictures": {"height": 224, "width": 224, "first_stride": None},  # as most of torchvision's networks expect them
}

SHOWN = 10  # pictures named in an error


def sized(job: Job) -> Job:
    """Return the job with the sizes that its settings leave open: of a line for texts, or for pictures."""
    usual = PAGES["texts" if job.split("train").pictures is None else "pictures"]
    given = {key: job.settings[key] for key in usual if job.settings[key] is not None}
    return replace(job, settings={**job.settings, **usual, **given})


def page_of(settings: Mapping[str, Any]) -> Page:
    """Return the page that the settings of a recipe, or a saved model, describe."""
    return Page(**{key: settings[key] for key in ("height", "width", "font_size", "font", "grid", "channels")})


def normalize(channels: int) -> v2.Normalize:
    """Return the last transform; grey has the mean of the colours."""
    parts = [MEAN, STD] if channels == 3 else [(float(np.mean(MEAN)),), (float(np.mean(STD)),)]
    return v2.Normalize(*parts)


def trained_on(job: Job) -> v2.Transform:
    """Return what is done to a picture of train, each time otherwise.

    Mirrored or cropped, as torchvision's references do it with photographs, no text could be read any more.
    """
    settings = job.settings
    shift, height, width = settings["shift"], settings["height"], settings["width"]
    steps: list[v2.Transform] = []
    if shift or settings["rotate"]:
        moved = {"degrees": settings["rotate"], "translate": (min(1, shift / width), min(1, shift / height))}
        steps.append(v2.RandomAffine(**moved, interpolation=v2.InterpolationMode.BILINEAR, fill=255))
    steps.append(v2.ToDtype(torch.float32, scale=True))
    if settings["noise"]:
        steps.append(v2.GaussianNoise(sigma=settings["noise"]))
    steps.append(normalize(settings["channels"]))
    if settings["erase"]:
        steps.append(v2.RandomErasing(p=settings["erase"], scale=(0.01, 0.05)))
    return v2.Compose(steps)


def predicted_on(channels: int) -> v2.Transform:
    """Return what is done to pictures that are predicted."""
    return v2.Compose([v2.ToDtype(torch.float32, scale=True), normalize(channels)])


def picture_of(page: Page, batch: Batch, place: int) -> torch.Tensor:
    """Return a row of a batch as a picture, uint8 (channels, height, width): read if it is one, else drawn."""
    text, file = batch.texts[place], batch.pictures[place].tobytes() if batch.pictures else b""
    return v2.functional.pil_to_tensor(page.read(file, text) if file else page.draw(page.layout(text)))


class Pictures(torch.utils.data.Dataset):
    """The rows of a split: a picture, and the label or labels as its task has them.

    What is random in the transform of a row follows from the run's seed, the epoch and the row: the same in whichever
    process, and in a run that was cut off.
    """

    def __init__(self, split: Split, page: Page, transform: v2.Transform, seed: int):
        self.split, self.page, self.transform, self.seed, self.epoch = split, page, transform, seed, 0
        self.drawn: dict[int, torch.Tensor] = {}  # texts look the same each time; pictures are read anew

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        picture = self.drawn.get(row)
        if picture is None:
            picture = picture_of(self.page, self.split.batch([row]), 0)
            if self.split.pictures is None:
                self.drawn[row] = picture
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([self.seed, self.epoch, row]).generate_state(1)[0]))
            return self.transform(picture), self.split.labels[row]

    def set_epoch(self, epoch: int):
        self.epoch = epoch


def collate(rows: list[tuple]) -> dict[str, torch.Tensor]:
    """Make a batch: images, float32 (rows, channels, height, width) with the channels last in memory, and labels.

    Those are int64 (rows,), which of the names; or, where any may hold, float32 (rows, names).
    """
    labels = torch.from_numpy(np.stack([label for _, label in rows]))
    images = torch.stack([picture for picture, _ in rows]).contiguous(memory_format=torch.channels_last)
    return {"images": images, "labels": labels.float() if labels.dtype == torch.uint8 else labels.long()}


def shuffled(job: Job, epoch: int) -> np.ndarray:
    """Return the rows of train in a random order: pictures are all of one size, so nothing is gained by sorting."""
    return np.random.default_rng([job.seed, epoch]).permutation(len(job.split("train")))


def look_through(job: Job, page: Page) -> None:
    """Look at all texts or pictures of the run before it trains, and tell how texts fit on the page.

    Raises ValueError, with their paths, where pictures cannot be read.
    """
    broken = []
    for name in job.splits:
        split = job.split(name)
        if split.pictures is not None:
            for row in range(len(split)):
                try:
                    page.read(split.pictures[row].tobytes(), split.text(row))
                except ValueError as error:
                    broken.append(str(error))
            continue
        layouts = [page.layout(split.text(row)) for row in range(len(split))]
        cut, boxed = (sum(getattr(layout, what) for layout in layouts) for what in ("cut", "boxed"))
        job.event("drawn", split=name, texts=len(split), cut=cut, boxed=boxed)
    if broken:
        more = f"; … ({len(broken)} in all)" if len(broken) > SHOWN else ""
        raise ValueError("; ".join(broken[:SHOWN]) + f"{more}. Mend them, or take them out.")
