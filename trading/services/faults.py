"""Which failures nobody is to blame for: the work is simply done again."""

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError
from django.db.transaction import TransactionManagementError

# The database was busy, restarted or out of reach, or the worker's time was up.
TRANSIENT = (OperationalError, InterfaceError, TransactionManagementError, SoftTimeLimitExceeded)
