#!/usr/bin/env python3
"""Checks cluster-setup on this machine, without a cluster: lints, dry runs, and whole set-ups of stand-in nodes.

usage: check.py [PATTERN]    only the tests whose name holds PATTERN

Ends with 0 when nothing failed. What was skipped, because a program is missing, is named. For all of it: shellcheck,
yamllint, openssh-client and util-linux (Debian), geni-lib and six (PyPI; or GENI_PYTHON=a Python that has them).
"""

import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "checks"))


def main():
    """Runs checks/test_*.py and says what became of them."""
    loader = unittest.TestLoader()
    if len(sys.argv) > 1:
        loader.testNamePatterns = [f"*{sys.argv[1]}*"]
    result = unittest.TextTestRunner(verbosity=2, buffer=True).run(loader.discover(HERE / "checks", top_level_dir=HERE / "checks"))
    for test, reason in result.skipped:
        print(f"skipped: {test.id()}: {reason}", file=sys.stderr)
    failed = len({test.id() for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)


if __name__ == "__main__":
    main()
