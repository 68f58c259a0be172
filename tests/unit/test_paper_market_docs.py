"""The page on the paper market names each setting with its range and what it begins with."""

from pathlib import Path

import pytest

from portfolios.core.paper_market import SETTINGS, Setting
from portfolios.models import BrokerAccount

PAGE = (Path(__file__).parents[2] / "docs" / "paper-market.md").read_text()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_it_names_each_setting_as_it_is(setting: Setting) -> None:
    begins = BrokerAccount._meta.get_field(setting.name).default
    assert (
        f"| `{setting.name}` | {setting.unit.removeprefix('a ')} | 0 … {setting.maximum:f} | {begins} |"
        in PAGE
    )
