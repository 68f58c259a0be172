"""The installation's secrets are made once; a file of them that cannot be read is not replaced by new ones."""

import json
from pathlib import Path

import pytest

from autotrading_project.embedded import EmbeddedServerError
from autotrading_project.embedded.credentials import NAMES, load_credentials
from autotrading_project.embedded.processes import write_private


def test_they_are_made_once_and_kept_for_the_owner_alone(tmp_path: Path) -> None:
    made = load_credentials(tmp_path)
    assert set(made) == set(NAMES) and len(set(made.values())) == len(NAMES)
    assert load_credentials(tmp_path) == made
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


def test_what_an_older_version_did_not_know_is_added(tmp_path: Path) -> None:
    older = {name: f"old-{name}" for name in NAMES if name != "sealing_key"}
    write_private(tmp_path / "secrets.json", json.dumps(older | {"of_a_newer_one": "kept"}))
    known = load_credentials(tmp_path)
    assert known == older | {"of_a_newer_one": "kept", "sealing_key": known["sealing_key"]}
    assert load_credentials(tmp_path) == known


@pytest.mark.parametrize(
    "content",
    [
        b"",  # made by an editor or a full disk
        b'{"secret_key": "abc", "seal',  # cut short
        b"\xff\xfe\x00",  # no text
        b"[]",
        b"{}",
        b'{"secret_key": "abc", "sealing_key": ""}',
        b'{"secret_key": "abc", "sealing_key": null}',
    ],
)
def test_a_file_that_cannot_be_read_stops_the_start_and_stays_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "secrets.json"
    path.write_bytes(content)
    with pytest.raises(EmbeddedServerError, match=r"secrets\.json cannot be read .*Restore it from a backup"):
        load_credentials(tmp_path)
    assert path.read_bytes() == content


def test_what_cannot_be_opened_stops_the_start_too(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").mkdir()  # root may read whatever the mode is, but no directory
    with pytest.raises(EmbeddedServerError, match="cannot be read"):
        load_credentials(tmp_path)
