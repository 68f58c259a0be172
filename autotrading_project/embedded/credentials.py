import json
import secrets
from pathlib import Path

from autotrading_project.embedded.processes import read_json, write_private

NAMES = (
    "secret_key",
    "superuser_password",
    "owner_password",
    "application_password",
    "valkey_password",
    "sealing_key",
)
# Random bytes of each; text of a sealing key is base64 of exactly the 32 that AES-256 takes.
BYTES = {"secret_key": 48, "sealing_key": 32}


def load_credentials(data_dir: Path) -> dict[str, str]:
    """The installation's passwords, secret key and sealing key, made on first use.

    They are kept in `secrets.json` (mode 0600) and consist of URL-safe characters.
    """
    path = data_dir / "secrets.json"
    known = {name: str(value) for name, value in read_json(path).items()}
    missing = [name for name in NAMES if not known.get(name)]
    if missing:
        known |= {name: secrets.token_urlsafe(BYTES.get(name, 24)) for name in missing}
        write_private(path, json.dumps(known, indent=2) + "\n")
    return known
