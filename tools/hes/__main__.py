"""`python -m tools.hes` is `ami-hes`."""

import sys

try:
    from tools.hes.cli.main import main
except KeyboardInterrupt:  # loading takes its time
    print("ami-hes: stopped; the orders stand", file=sys.stderr)
    sys.exit(1)

if __name__ == "__main__":
    sys.exit(main())
