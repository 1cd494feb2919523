"""What fairseq lacks for this job, registered with its own decorators: a folder for its `--user-dir`.

A task over token ids that are there already, an encoder that is BERT's as well as RoBERTa's, losses, and a schedule.
(fairseq puts the folder above this one first on sys.path: nothing else may lie in it.)
"""

from . import criterion, model, schedule, task  # noqa: F401  importing them registers them
