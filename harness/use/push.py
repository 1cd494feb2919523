"""A finished run's model, sent to the Hugging Face hub with its card: scripts/push.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.base import progress
from harness.base.errors import UserError
from harness.use import card
from harness.use.saved import Saved

LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


def files(run: Saved, everything: bool = False) -> list[Path]:
    """Return the files of the model that are sent, the card first; it is written where the run has none yet.

    `everything`: also what the library saved in a form of its own, in folders below; those may be pickles.
    """
    if not (run.model / card.FILE).is_file():
        card.write(run)
    found, own = run.model.rglob("*") if everything else run.model.iterdir(), run.model.resolve()
    inside = (
        path for path in found if path.is_file() and path.resolve().is_relative_to(own)
    )  # no link leads elsewhere
    return sorted(inside, key=lambda path: (path.name != card.FILE, path))


def told(run: Saved, sent: list[Path]) -> Iterator[str]:
    """Yield the lines that say which files are sent, with their sizes in MB (10^6 bytes), and what stays here."""
    for path in sent:
        yield f"  {path.stat().st_size / 1e6:10.3f} MB  {path.relative_to(run.model).as_posix()}"
    below = sorted(path.name for path in run.model.iterdir() if path.is_dir())
    if below and not any(path.parent != run.model for path in sent):
        yield f"  not sent: {', '.join(f'{name}/' for name in below)}, in the library's own form (--all)"


def push(run: Saved, repository: str, sent: list[Path], public: bool) -> str:
    """Send the files as one commit to a repository of models, made first if it is not there; return its address.

    A repository that is there stays as public or private as it is. Raises UserError where nothing could be sent.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    check_name(repository)
    if not get_token():
        raise UserError(f"the hub asks who you are: {LOGIN}.")
    api = HfApi()
    with answered(repository), progress.step(f"sending {len(sent)} files to {repository}"):
        address = api.create_repo(repository, private=not public, exist_ok=True)
        operations = [CommitOperationAdd(path.relative_to(run.model).as_posix(), path) for path in sent]
        api.create_commit(repository, operations, commit_message=f"{run.folder.name}, by finetune-recipes")
    return str(address)


def check_name(repository: str) -> None:
    """Refuse what is no name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"REPO {repository}: give OWNER/NAME, as on the hub ({said}).", code=2) from None


@contextmanager
def answered(repository: str) -> Iterator[None]:
    """Say in words why the hub took nothing."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        code = error.response.status_code
        if code in (401, 403):
            raise UserError(
                f"the hub does not let you write to {repository}: {LOGIN}, and see whose OWNER is."
            ) from None
        said = (error.server_message or str(error)).strip().splitlines()[0]
        raise UserError(f"the hub did not take {repository} (status {code}): {said}") from None
    except OfflineModeIsEnabled:
        raise UserError("HF_HUB_OFFLINE is set, so the hub is not asked: unset it, or see --dry-run.") from None
    except UserError:
        raise
    except Exception as error:  # no connection, a proxy's refusal, a broken certificate, …: many classes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"the hub cannot be reached: {reason}. Nothing was sent; the same command tries again."
        ) from None
