"""``python -m underpass``."""

import sys

from underpass.cli import main

sys.exit(main())
