"""The specification's two rules, byte for byte as it writes them."""

from pathlib import Path

EXAMPLES: tuple[str, ...] = tuple(
    (Path(__file__).parent / name).read_text(encoding="utf-8")
    for name in ("ai_strong_buy_entry.json", "stop_loss_protection.json")
)
