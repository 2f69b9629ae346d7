"""What every test needs, whoever starts the tests."""

from __future__ import annotations

import os
import signal

# A shell without job control, as CI may have, lets its background jobs ignore SIGINT, and so every
# program that they start: nothing could be interrupted then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Lines are as long as they are: whoever starts the tests may have told a width.
os.environ.pop("COLUMNS", None)
