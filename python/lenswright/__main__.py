"""`python -m lenswright` is the `lenswright` command."""

import sys

from lenswright.cli import main

sys.exit(main())
