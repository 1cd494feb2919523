"""Which row goes to which split: by a hash of its text, so whatever the row order, and never a text in two splits."""

import numpy as np


def rows_wanted(size: int | float, rows: int) -> int:
    """Return a size as a number of rows: a share is of `rows`, and at least one."""
    return size if isinstance(size, int) else max(1, round(size * rows))


def apportion(total: int, weights: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """Share `total` out in proportion to `weights` (largest remainder first), none above its `capacity`."""
    share, remainder = np.divmod(total * weights, weights.sum())
    share = np.minimum(share, capacity)
    order = np.argsort(-remainder, kind="stable")
    left = min(total, int(capacity.sum())) - int(share.sum())
    while left > 0:
        open_classes = order[share[order] < capacity[order]][:left]
        share[open_classes] += 1
        left -= len(open_classes)
    return share


def cut(hashes: np.ndarray, labels: np.ndarray, wanted: dict[int, int]) -> np.ndarray:
    """Return each row's split (int8): a key of `wanted`, or 0 for train; stratified by label.

    `hashes` (uint64) stand for the texts: rows of one text stay together. `wanted` maps splits to numbers of
    rows; they are met exactly where the groups of equal texts allow it. Each class keeps a row in train.
    """
    texts, group, group_rows = np.unique(hashes, return_inverse=True, return_counts=True)
    classes = _rarest(labels, group, len(texts))
    class_rows = np.bincount(classes, weights=group_rows).astype(np.int64)
    capacity = np.maximum(class_rows - 1, 0)
    left = {}
    for split, total in wanted.items():
        quota = apportion(total, class_rows, capacity)
        capacity = capacity - quota
        left[split] = quota.tolist()
    chosen = np.zeros(len(texts), np.int8)
    for place, (one, rows) in enumerate(zip(classes.tolist(), group_rows.tolist(), strict=True)):
        for split, quotas in left.items():
            if rows <= quotas[one]:
                quotas[one] -= rows
                chosen[place] = split
                break
    return chosen[group]


def _rarest(labels: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Return the class each group counts for: the rarest among its rows, which could least do without it."""
    counts = np.bincount(labels)
    by_rarity = np.argsort(counts, kind="stable")
    rank = np.empty_like(by_rarity)
    rank[by_rarity] = np.arange(len(counts))
    best = np.full(groups, len(counts))
    np.minimum.at(best, group, rank[labels])
    return by_rarity[best]


def nested(hashes: np.ndarray, labels: np.ndarray, wanted: int) -> np.ndarray:
    """Return a mask of `wanted` rows, stratified; a smaller number takes a subset of them.

    One row of each class comes first, then each class in proportion (Sainte-Laguë's order, which unlike the
    largest remainder never takes a row back when the total grows).
    """
    order = np.lexsort((hashes, labels))
    counts = np.bincount(labels)
    sorted_labels = labels[order]
    rank = np.arange(len(order)) - (np.cumsum(counts) - counts)[sorted_labels]
    turn = np.where(rank == 0, -counts[sorted_labels], (rank + 0.5) / counts[sorted_labels])
    mask = np.zeros(len(labels), bool)
    mask[order[np.lexsort((sorted_labels, turn))[:wanted]]] = True
    return mask
