"""What is sent, held against the documents that say what is sent."""

from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from autotrading_project.environment_files import BASE_DIR
from tests.harness.event_payloads import FORMATS

BEGIN = "Begin"


@cache
def asyncapi_document() -> dict[str, Any]:
    """The committed docs/asyncapi.yaml."""
    document: dict[str, Any] = yaml.safe_load((BASE_DIR / "docs" / "asyncapi.yaml").read_text())
    return document


def faults_of_message(message: dict[str, Any]) -> list[str]:
    """What is wrong with a message of `/ws/events`, which names its `kind`, or is a client's first."""
    messages = asyncapi_document()["components"]["messages"].values()
    named = {each["name"]: each["payload"]["$ref"].rpartition("/")[2] for each in messages}
    name = named.get(message["kind"]) if "kind" in message else BEGIN
    if name is None:
        return [f"there is no message of the kind {message['kind']}"]
    return [f"{fault.json_path}: {fault.message}" for fault in _validator(name).iter_errors(message)]


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": asyncapi_document()["components"]}
    return Draft202012Validator(schema, format_checker=FORMATS)
