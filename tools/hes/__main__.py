"""`python -m tools.hes` is `ami-hes`."""

import sys

from tools.hes.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
