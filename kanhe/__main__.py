"""Run the command line as `python -m kanhe`."""

import sys

from kanhe.cli import main

sys.exit(main())
