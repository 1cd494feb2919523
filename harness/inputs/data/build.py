"""Make a prepared data set: spool the source, check it, fix the splits, write the flat files and the report."""

import hashlib
import json
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from harness.base import progress
from harness.base.errors import UserError
from harness.inputs.data import leaks, told
from harness.inputs.data.cells import Reading, alike
from harness.inputs.data.labels import Labels, Numbers, framed, labels_of
from harness.inputs.data.rows import SHOWN, Said, Spool, fill, listed, names_of
from harness.inputs.data.source import SPLITS, Sizes, Source
from harness.inputs.data.split import cut, nested, rows_wanted
from recipes.contract.split import PICTURES
from recipes.contract.tasks import Task

QUANTILES = {"min": 0, "25%": 0.25, "50%": 0.5, "75%": 0.75, "90%": 0.9, "99%": 0.99, "max": 1}
LEFT_OUT = -1


def build(source: Source, sizes: Sizes, task: Task, folder: Path) -> None:
    """Write <split>/*.bin and dataset.json of `source` into the empty `folder`; UserError for unusable data."""
    spools, labels = _spool(source, sizes, task, folder)
    _check_rows(spools, labels)
    numbers = {split: rows.array("labels") for split, rows in spools.items()}
    chosen = _assign(spools, labels.strata(numbers["train"]), sizes)
    if isinstance(labels, Numbers):
        labels = labels.scaled_by(numbers["train"][chosen["train"] == 0])
    splits, digests, train = {}, {}, np.empty(0, np.uint64)
    with progress.step("data: writing the splits"):
        for split in SPLITS:
            home = split if split in spools else "train"  # the source's split that holds these rows
            mask = chosen[home] == SPLITS.index(split)
            digests[split], of_labels = _write(spools[home], numbers[home], mask, labels, folder / split)
            hashes = spools[home].array("hashes")[mask]
            train = np.unique(hashes) if split == "train" else train
            splits[split] = _describe(spools[home], numbers[home][mask], mask, hashes, labels) | of_labels
            if split != "train":
                seen = np.isin(hashes, train)
                seen.astype(np.uint8).tofile(folder / split / "seen.bin")
                splits[split]["seen_in_train"] = int(seen.sum())
            if split == "valid":
                valid = hashes
            elif split == "test":
                splits[split]["seen_in_valid"] = int(np.isin(hashes, valid).sum())
    _check_classes(spools["train"], numbers["train"][chosen["train"] == 0], labels)
    for rows in spools.values():
        rows.texts.unlink()
    report = {"labels": len(labels.names), **_surprises(spools, numbers, labels, source.texts), "splits": splits}
    report["told"] += told.of_cut_spans(splits)
    report |= labels.report(numbers["train"])
    record = {"digest": _sha256(digests), "labels": labels.outputs, "report": report}
    text = json.dumps(record, ensure_ascii=False, indent=1)
    (folder / "dataset.json").write_text(text, encoding="utf-8")


def quantiles(lengths: np.ndarray) -> dict[str, float]:
    """Return the quantiles of `lengths` that the data report shows."""
    return {name: float(np.quantile(lengths, share)) for name, share in QUANTILES.items()}


def _spool(source: Source, sizes: Sizes, task: Task, folder: Path) -> tuple[dict[str, Spool], Labels]:
    """Read all splits of the source into spools; return them and what their label cells say."""
    spools: dict[str, Spool] = {}
    said: dict[Said, int] = {}
    for split, part in source.parts.items():
        columns = [array("Q") for _ in (source.texts if len(source.texts) > 1 else ())]
        spool = folder / f"{split}.spool"
        spools[split] = rows = Spool(part.place, spool, {}, parts=columns, pictures=part.pictures)
        stream = part.read(rows.notes)
        how = Reading(source.missing, source.drop_empty, task.name, source.separator)
        with progress.step(f"data: reading {part.place}") as show:
            for number in fill(rows, stream, said, sizes.seed, how):
                show(f"{number:,} rows")
    return spools, labels_of(task, list(said), source.label)


def _surprises(
    spools: Mapping[str, Spool], numbers: Mapping[str, np.ndarray], labels: Labels, texts: Sequence[str]
) -> dict[str, Any]:
    """Return the parts of the data report that say what reading found out, and `told`, the lines for people."""
    look_alike, leaking = _alike(labels, numbers), _leaks(spools["train"], texts)
    said = []
    for split, rows in spools.items():
        said += told.lines(rows.place, rows.notes)
        said += told.of_separator(rows.place, rows.notes, labels.met)
        said += told.of_encoding(rows.place, rows.notes, "not UTF-8 (data.encoding=… to say otherwise)")
        if labels.several and (without := _without_label(numbers[split], labels)):
            said.append(f"{rows.place}: {without:,} of {len(rows):,} texts have none of the labels")
        if labels.several:
            everywhere = np.flatnonzero(labels.rows(numbers[split]) == len(rows))
            said += told.of_everywhere(rows.place, [labels.names[place] for place in everywhere])
    said += told.of_labels(look_alike) + told.of_leaks(spools["train"].place, leaking)
    read = {split: rows.notes for split, rows in spools.items()}
    return {"told": said, "read": read, "labels_alike": look_alike, "predicts_label": leaking}


def _without_label(numbers: np.ndarray, labels: Labels) -> int:
    return int((numbers == labels.said.index(())).sum()) if () in labels.said else 0


def _alike(labels: Labels, numbers: Mapping[str, np.ndarray]) -> list[dict[str, int]]:
    """Return the groups of labels that differ in what is easily overlooked alone, with the rows of each."""
    groups = defaultdict(list)
    for number, name in enumerate(labels.names):
        groups[alike(name)].append(number)
    rows = labels.rows(np.concatenate(list(numbers.values())))
    return [
        {labels.names[number]: int(rows[number]) for number in group} for group in groups.values() if len(group) > 1
    ]


def _leaks(rows: Spool, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the columns of the text that predict the label by themselves, as `leaks.found` has them."""
    whole = rows.array("hashes")
    if not texts:
        return []
    parts = {name: np.array(values) for name, values in zip(texts, rows.parts, strict=bool(rows.parts))}
    return leaks.found(parts or {texts[0]: whole}, whole, rows.array("labels"))


def _check_rows(spools: Mapping[str, Spool], labels: Labels) -> None:
    """Raise UserError for a split without rows, for one class only, and for a label that is not in train."""
    for rows in spools.values():
        if not len(rows):
            raise UserError(f"{rows.place}: there are no rows.")
    train = spools["train"]
    if len(set(train.labels)) == 1 and not (labels.task.name == "tagging" and labels.names):
        names = ", ".join(f"`{name}`" for name in names_of(labels.said[train.labels[0]]))
        one = f"have one class, {names}" if not labels.several else f"have the same labels, {names or 'none'}"
        one = f"have the number {labels.said[0]:g}" if isinstance(labels, Numbers) else one
        raise UserError(
            f"{train.place}: all rows {one}: there is nothing to learn.\n"
            "Give the column of the class with data.label=COLUMN."
        )
    known = labels.rows(train.array("labels"))
    for rows in spools.values():
        numbers = rows.array("labels")
        unknown = (labels.rows(numbers) > 0) & (known == 0)
        if strange := [name for name in labels.met if unknown[labels.names.index(name)]]:
            lines = [f"{rows.place}: of its labels, {len(strange)} do not occur in train ({train.place}):"]
            for name in strange[:SHOWN]:
                at = rows.array("row_ids")[labels.with_name(numbers, name)]
                lines.append(f"  `{name}`: {listed(at[:SHOWN].tolist(), len(at))}")
            raise UserError("\n".join([*lines, "Mend these labels, or add rows with them to train."]))


def _assign(spools: Mapping[str, Spool], strata: np.ndarray, sizes: Sizes) -> dict[str, np.ndarray]:
    """Return for each row of each spool the index in SPLITS of the split it goes to, or LEFT_OUT.

    `strata` are those of train's rows: their classes.
    """
    chosen = {split: np.full(len(rows), SPLITS.index(split), np.int8) for split, rows in spools.items()}
    hashes, groups, rows = (*map(spools["train"].array, ("hashes", "groups")), len(spools["train"]))
    wanted = {SPLITS.index(split): rows_wanted(getattr(sizes, split), rows) for split in sizes.cut}
    if sum(wanted.values()) >= rows:
        asked = ", ".join(f"data.{split}_size={getattr(sizes, split)}" for split in sizes.cut)
        raise UserError(f"{spools['train'].place} has {rows:,} rows: {asked} leaves none for train.")
    if wanted:
        chosen["train"] = cut(groups if len(groups) else hashes, strata, wanted)
    for split in sizes.cut:
        if not (chosen["train"] == SPLITS.index(split)).any():
            raise UserError(
                f"{spools['train'].place}: no row is left for {split}. Of its {rows:,} rows each of the "
                f"{len(np.unique(strata))} classes keeps one for train, and rows with the same text stay together.\n"
                f"Give more rows, or files of your own for each split."
            )
    if sizes.train is not None:
        candidates = np.flatnonzero(chosen["train"] == 0)
        number = rows_wanted(sizes.train, len(candidates))
        if number > len(candidates):
            raise UserError(
                f"data.train_size={sizes.train}: there are {len(candidates):,} rows for train. null takes them all."
            )
        taken = nested(hashes[candidates], strata[candidates], number)
        chosen["train"][candidates[~taken]] = LEFT_OUT
    return chosen


def _check_classes(rows: Spool, train: np.ndarray, labels: Labels) -> None:
    """Raise UserError when the rows left for train are fewer than there are classes, or lack one."""
    if not labels.several and len(train) < len(labels.names):
        raise UserError(
            f"{rows.place}: {len(train):,} rows for train are fewer than the {len(labels.names):,} classes.\n"
            "Give more rows, or a larger data.train_size."
        )
    missing = np.flatnonzero(labels.rows(train) == 0)
    if len(missing):
        name = labels.names[missing[0]]
        why = "its rows have the same texts as rows of other classes"
        if labels.several:
            why = (
                "its rows have rarer labels too, or the same texts as other rows; a larger data.train_size may have one"
            )
        raise UserError(
            f"{rows.place}: no row of the {'label' if labels.several else 'class'} `{name}` is left for train: {why}.\n"
            "Mend them, or give files of your own for each split."
        )


def _write(
    rows: Spool, numbers: np.ndarray, mask: np.ndarray, labels: Labels, folder: Path
) -> tuple[str, dict[str, int]]:
    """Write the rows of `mask` as one split; return a SHA-256 over their texts and label names, and what to report."""
    folder.mkdir()
    words_given = bool(rows.notes.get("words_given"))
    digest, encoded = hashlib.sha256(b"words" if words_given else b""), labels.framed()
    with ragged(folder, "texts") as add, ragged(folder, PICTURES) if rows.pictures else nullcontext() as add_picture:
        for text, number, one in zip(rows.stream(), numbers, mask, strict=True):
            if one:
                add(text)
                digest.update(framed(text) + encoded[number])
                if add_picture:
                    add_picture(picture := rows.picture(text.decode()))
                    digest.update(framed(picture))
    taken = (text.decode() for text, one in zip(rows.stream(), mask, strict=True) if one)
    of_labels = labels.write(taken, numbers[mask], folder, words_given)
    rows.array("row_ids")[mask].tofile(folder / "row_ids.bin")
    return digest.hexdigest(), of_labels


@contextmanager
def ragged(folder: Path, name: str) -> Iterator[Callable[[bytes | np.ndarray], None]]:
    """Yield what adds a row, bytes or an array, to the files NAME.values.bin and NAME.offsets.bin, for `Ragged`."""
    offsets = array("q", [0])
    with open(folder / f"{name}.values.bin", "wb", buffering=1 << 20) as handle:

        def add(row: bytes | np.ndarray) -> None:
            handle.write(row if isinstance(row, bytes) else row.tobytes())
            offsets.append(offsets[-1] + len(row))

        yield add
    with open(folder / f"{name}.offsets.bin", "wb") as handle:
        offsets.tofile(handle)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _describe(rows: Spool, numbers: np.ndarray, mask: np.ndarray, hashes: np.ndarray, labels: Labels) -> dict:
    """Return what the data report says about one split, the rows of `mask`; `numbers` are theirs."""
    found = {
        "rows": int(mask.sum()),
        "labels": dict(zip(labels.names, labels.rows(numbers).tolist(), strict=True)),
        "duplicates": len(hashes) - len(np.unique(hashes)),
    }
    if not rows.pictures:
        found["characters"] = quantiles(rows.array("characters")[mask])
    if labels.several:
        of_each = np.array([len(names_of(one)) for one in labels.said])[numbers]
        found["labels_per_text"] = {str(number): int(times) for number, times in enumerate(np.bincount(of_each))}
    if isinstance(labels, Numbers):
        found[labels.column] = quantiles(labels.values(numbers))
    return found
