"""`python -m builders COMMAND`: what the nox sessions run."""

import sys

from builders.cli import main

sys.exit(main(sys.argv[1:]))
