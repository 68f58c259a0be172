"""How the admin shows whether a version waits for a second person, and asks for his decision."""

from typing import Any

from unfold.decorators import display

from portfolios.approval import Decidable

COLOURS = {"waiting": "warning", "approved": "success", "rejected": "danger"}
WAITS = "It waits for another person's approval; until then what was in force stays in force."


@display(description="approval", label=COLOURS)
def approval(version: Decidable) -> str:
    return version.approval.value.replace("_", " ")


def approve_dialog() -> dict[str, Any]:
    description = "Exactly this version takes effect. You must not be the one who proposed it."
    return {
        "title": "Approve",
        "description": description,
        "form_class": None,
        "form_submit_text": "Approve",
    }


def reject_dialog() -> dict[str, Any]:
    description = "This version never takes effect. Your own you withdraw so."
    return {"title": "Reject", "description": description, "form_class": None, "form_submit_text": "Reject"}
