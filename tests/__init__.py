"""Tests: unit (no server), integration (real servers), end_to_end (real processes)."""
