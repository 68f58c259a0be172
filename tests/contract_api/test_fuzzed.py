"""No request that the schema allows, and none near it, is answered by a defect or by what the schema does not say."""

import os
from pathlib import Path

import pytest
from drf_spectacular.generators import SchemaGenerator
from knox.models import get_token_model

from tests.contract_api.fuzzing import (
    BY_OTHERS,
    ask,
    carried_out,
    configuration,
    furnish,
    knowledge,
    surroundings,
)
from tests.harness.processes import Processes
from tests.integration.api.conftest import empty_broker, make_world

pytestmark = [pytest.mark.integration, pytest.mark.timeout(0)]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))  # of `make fuzz`; 0: the short run
SHORT_EXAMPLES = 4
OTHERS_MIN = 20  # what is asked besides: the schema's own examples
SECONDS_MAX = 12 * 3600 if EXAMPLES else 900


@pytest.mark.parametrize("who", ["alice", "victor", "steffi"] if EXAMPLES else ["alice"])
def test_it_answers_as_the_schema_says(processes: Processes, who: str, tmp_path: Path) -> None:
    """Alice owns, Victor may only look, Steffi is staff."""
    world = make_world()
    spare = furnish(world)
    _, token = get_token_model().objects.create(user=world.users[who])
    schema = SchemaGenerator().get_schema(request=None, public=True)
    operations = sum(len(methods) for methods in schema["paths"].values())
    text = configuration(
        world,
        schema,
        spare=spare,
        examples=EXAMPLES or SHORT_EXAMPLES,
        all_phases=bool(EXAMPLES),
    )
    known = knowledge(world, schema, token=token, number=2 * (EXAMPLES or SHORT_EXAMPLES) + OTHERS_MIN)
    with empty_broker() as broker:
        processes.start("web", **surroundings(broker))
        processes.wait_ready("web")
        code, said = ask(
            processes.base_url, configuration=text, knowledge=known, directory=tmp_path, seconds=SECONDS_MAX
        )
    print(said)
    assert code == 0, said[-20_000:]
    if "--phases" not in os.environ.get("FUZZ_ARGS", ""):
        assert f"Tested: {operations}\n" in said  # every one was really asked
        assert carried_out(known) == set(BY_OTHERS)
        assert who != "alice" or broker.requests  # her keys were tried
