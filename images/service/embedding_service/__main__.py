"""`python -m embedding_service`: serve the model that the environment names (see `settings`).

Exit codes: 0 after SIGTERM or SIGINT, 2 for settings that cannot be used, 3 for a model that is
not what its recipe declares, 4 for a port that cannot be listened on.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import time

from embedding_service.errors import StartError
from embedding_service.listener import listen
from embedding_service.settings import Settings


def main() -> int:
    """Run the service; return its exit code."""
    # Before anything slow, and explicitly: the kernel gives process 1 no default handlers.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    # A library's crash (an instruction that this processor lacks, say) then shows where.
    faulthandler.enable()
    log_to_stderr()
    try:
        settings = Settings.from_environment(os.environ)
        with listen(settings.host, settings.port) as listener:
            # The libraries take their time: they are imported once the port is known to be free.
            from embedding_service.server import serve  # noqa: PLC0415

            serve(settings, listener)
    except StartError as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 -- one line, no trace
        return error.exit_code
    return 0


def log_to_stderr() -> None:
    """Log one plain line for each event, with the time in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # Without the interpreter's destructors: a library's threads, still loading or computing, must
    # not meet them, and torch's modules take them seconds of the time that `docker stop` grants.
    os._exit(status)
