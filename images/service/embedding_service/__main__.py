"""`python -m embedding_service`: serve the model that the environment names (see `settings`).

Exit codes: 0 after SIGTERM or SIGINT, 2 for settings that cannot be used, 3 for a model that is
not what its recipe declares, 4 for a port that cannot be listened on.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal

from embedding_service import logs
from embedding_service.configuration import Configuration
from embedding_service.errors import StartError
from embedding_service.listener import listen


def main() -> int:
    """Run the service; return its exit code."""
    # Before anything slow, and explicitly: the kernel gives process 1 no default handlers.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    # Held back until there is a model to reload; it would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    # A library's crash (an instruction that this processor lacks, say) then shows where.
    faulthandler.enable()
    logs.begin("text" if os.environ.get("EMBEDDING_LOG_FORMAT") == "text" else "json", "info")
    try:
        configuration = Configuration(os.environ)
        settings = configuration.proposed({}).settings
        logs.begin(settings.log_format, settings.log_level)
        with listen(settings.host, settings.port) as listener:
            # The libraries take their time: they are imported once the port is known to be free.
            from embedding_service.server import serve  # noqa: PLC0415

            serve(configuration, listener)
    except StartError as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 -- one line, no trace
        return error.exit_code
    return 0


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # Without the interpreter's destructors: a library's threads, still loading or computing, must
    # not meet them, and torch's modules take them seconds of the time that `docker stop` grants.
    os._exit(status)
