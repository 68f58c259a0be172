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
)


def load_credentials(data_dir: Path) -> dict[str, str]:
    """The installation's passwords and secret key, made on first use.

    They are kept in `secrets.json` (mode 0600) and consist of URL-safe characters.
    """
    path = data_dir / "secrets.json"
    known = {name: str(value) for name, value in read_json(path).items()}
    missing = [name for name in NAMES if not known.get(name)]
    if missing:
        known |= {name: secrets.token_urlsafe(48 if name == "secret_key" else 24) for name in missing}
        write_private(path, json.dumps(known, indent=2) + "\n")
    return known
