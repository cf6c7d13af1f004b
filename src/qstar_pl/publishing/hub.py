"""A finished folder on its way to the Hugging Face hub."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # it is, by __getattr__

from qstar_pl.errors import UserError
from qstar_pl.secrets import shown

_REPOSITORY = re.compile(r"[^/\s]+/[^/\s]+")


def check_push(repository: str) -> None:
    """Check what can be known before anything is written: the name, the login, and that the hub may be reached.

    Raises:
        UserError: if the name is none, nobody is logged in, or the hub is off.

    """
    try:
        validate_repo_id(repository)
        valid = _REPOSITORY.fullmatch(repository) is not None
    except HFValidationError:
        valid = False
    if not valid:
        raise UserError(f"push_to_hub must be USER/NAME, got {repository}")
    if constants.is_offline_mode():
        raise UserError(f"push_to_hub must be left out while HF_HUB_OFFLINE is set, got {repository}")
    if get_token() is None:
        raise UserError(
            f"push_to_hub must be given by who is logged in (hf auth login, or HF_TOKEN), got {repository} and no token"
        )


def push(folder: Path, repository: str, *, private: bool) -> str:
    """Upload a folder as one commit, and return its address; the repository is made if it is not there.

    Args:
        folder: what `qstar export` wrote.
        repository: USER/NAME.
        private: whether a repository that is made here is private; one that is there stays as it is.

    Raises:
        UserError: if that fails, in one line without the token, or if a repository that is to be private is there and
            public; the folder stays.

    """
    token = get_token()
    try:
        # Read now, not when the library was imported.
        api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)
        address = api.create_repo(repository, private=private, exist_ok=True)
        if private and not api.repo_info(repository).private:
            raise UserError(
                f"private must be left out for a repository that is public, got {repository}; nothing was sent, and "
                f"the folder {folder} is complete"
            )
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Export by qstar-pl")
    except UserError:
        raise
    except Exception as error:  # of httpx, of the hub, of the file system: whatever a network can do
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason.replace(token, "***") if token else reason
        raise UserError(
            f"push_to_hub must reach the hub, got {shown(reason)[:300]}; the folder {folder} is complete: "
            f"hf upload {shlex.quote(repository)} {shlex.quote(str(folder))} sends it later"
        ) from error
    return str(address)
