"""Figures, one file each: every one prints a JSON line with a ratio against a floor. Run by `make bench`."""
