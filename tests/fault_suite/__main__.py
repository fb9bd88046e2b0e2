"""`python -m fault_suite --kills 300`: prints what was done to the operator and which promises it broke."""

import argparse
import random
import sys

from fault_suite.storm import blow

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    given = parser.parse_args()
    summary = blow(given.seed, given.kills)
    print(summary)
    sys.exit(1 if summary.violations else 0)
