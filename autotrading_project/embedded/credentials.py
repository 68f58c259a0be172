import json
import secrets
from pathlib import Path

from autotrading_project.embedded.errors import EmbeddedServerError
from autotrading_project.embedded.processes import write_private

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

    They are kept in `secrets.json` (mode 0600) and consist of URL-safe characters. What an older version did not know
    is added. A file that cannot be read is never replaced: the brokers' keys open with nothing else. Raises
    EmbeddedServerError for it.
    """
    path = data_dir / "secrets.json"
    known = _kept(path)
    missing = [name for name in NAMES if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(BYTES.get(name, 24)) for name in missing}
        write_private(path, json.dumps(known, indent=2) + "\n")
    return known


def _kept(path: Path) -> dict[str, str]:
    """What the file holds; empty if there is none yet."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise _unreadable(path, "it is not JSON") from error
    if not isinstance(content, dict) or not content:
        raise _unreadable(path, "it is not an object with secrets")
    for name in content.keys() & set(NAMES):
        if not isinstance(content[name], str) or not content[name]:
            raise _unreadable(path, f"{name} is no text")
    return content


def _unreadable(path: Path, why: str) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"{path} cannot be read ({why}), and was left as it is: it holds the key that opens the brokers' keys. Restore "
        "it from a backup; only where nothing sealed is to be kept, move it away together with the data directory."
    )
