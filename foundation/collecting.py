"""How often Python looks for garbage in a process that works on many rows at a time."""

import gc

YOUNG_OBJECTS = 20_000
"""a batch makes some hundred thousand objects and drops nearly all of them by itself; 700 is Python's own"""


def spare_what_is_loaded() -> None:
    """Never walk again through what a process loaded at its start (Django, models, tasks), and look at new objects
    less often: a tenth of a batch's time went into walks that found nothing, the longest of them in its midst."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
