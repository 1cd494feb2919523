"""What a run says when it has ended."""

import os
from pathlib import Path

from harness.figures.metrics import of_row
from harness.runs.row import Row


def show(row: Row, folder: Path) -> None:
    """Print the figures of a row, where the results are, and the command that repeats the run."""
    title = [row["recipe"], row["data"], row["model"], row["protocol"], row["precision"], f"seed {row['seed']}"]
    if row.get("placement", "cpu") != "cpu":  # rows of older results have none
        title.append(f"{row['placement']}, {row['processes']} processes" if row["processes"] > 1 else row["placement"])
    lines = [f"{', '.join(str(part) for part in title if part)}: {row['status']}"]
    if row["status"] == "finished":
        lines += figures(row)
    else:
        reason = row["reason"].replace("\n", "\n            ")
        lines += [f"  reason    {reason}", *([f"  log       {nearby(Path(row.log))}"] if row.log else [])]
    again = f"{row['command']} rerun=true" if row["status"] == "finished" else row["command"]
    lines += [f"  results   {nearby(folder)}", f"  again     {again}"]
    print("\n" + "\n".join(lines))


def figures(row: Row) -> list[str]:
    lines = []
    metrics = of_row(row)
    for split, name in (("test", "test"), ("test_unseen", "unseen"), ("valid", "valid")):
        if f"{split}.{metrics.primary}" in row:
            scores = [
                f"{metrics.figures[key].name} {row[f'{split}.{key}']:.3f}"
                for key in metrics.shown
                if f"{split}.{key}" in row
            ]
            lines.append(f"  {name:<9} {'   '.join(scores)}   ({row[f'{split}.rows']:,} rows)")
    if (threshold := row.get("threshold")) and "test.macro_f1_chosen" in row:
        scores = [
            f"{name} {row[f'test.{key}_chosen']:.3f}"
            for key, name in (("micro_f1", "micro-F1"), ("macro_f1", "macro-F1"))
        ]
        lines.append(
            f"  at {threshold:<6g} {'   '.join(scores)}   (test; the threshold that is best on valid, in place of 0.5)"
        )
    if row.get("test.answered") == 0:
        lines.append(
            "  note      no label was given to any test text, none was likelier than not: train longer, or see the rate"
        )
    for split in ("test", "valid"):
        if seen := row.get(f"{split}.seen_in_train"):
            lines.append(f"  note      {seen:,} of the {row[f'{split}.rows']:,} {split} texts stand in train too")
    seconds, rate = row["train.seconds"] or 0, row["train.samples_per_second"] or 0
    made = row.get("train.compile_seconds") or 0
    compiling = f", {made:.1f} s of it to compile" if made >= 0.05 * seconds > 0 else ""
    lines.append(f"  training  {seconds:.1f} s{compiling}, {rate:,.0f} samples/s, {row['train.rows']:,} rows")
    if row.get("train.weights_moved") is False:
        lines.append("  note      the training moved no weight of the encoder: see the learning rate and the steps")
    if row.get("timing") == "noisy":
        load, steal = row["machine.load"], row["machine.steal"]
        why = "how quiet the machine was cannot be read"
        if row.get("machine.gpu_others"):
            why = "others used the GPU"
        elif load is not None and row["machine.quiet"] is None:
            why = "whether others used the GPU cannot be told"
        elif load is not None:
            host = f", the host {steal:.0%}" if steal >= 0.005 else ""
            busiest = f"for some seconds {row['machine.busiest']:.0%}"
            why = f"others took {load:.0%} of the processors' time{host}, {busiest}"
        lines.append(f"  noisy     {why}: no timing (measure.noisy=true lets it count)")
    lines.append(f"  memory    {row['memory.peak_rss_mb']:,.0f} MB at most")
    if row["model.parameters"] and row["model.size_mb"]:  # of several machines one has the model
        lines.append(
            f"  model     {row['model.parameters'] / 1e6:.1f} million parameters, {row['model.size_mb']:,.0f} MB"
        )
    return lines


def nearby(path: Path) -> str:
    """Return a path as one would type it from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
