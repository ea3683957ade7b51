#!/usr/bin/env python3
"""Runs cloudlab/profile.py against the real geni-lib, as CloudLab's portal does, and prints the RSpec.

usage: run_profile.py PROFILE [NAME=VALUE]...    (needs: pip install geni-lib six)

PyPI's geni-lib 0.9.9.4 is from Python 2's time. Two things of it are mended while it is loaded, and nothing else: its print
statements, and that it writes an RSpec's bytes to a file opened for text.
"""

import importlib.util
import json
import os
import re
import runpy
import sys
import tempfile


def load_portal():
    """Imports geni.portal, translating print statements where the installed one has them."""
    spec = importlib.util.find_spec("geni.portal")
    with open(spec.origin, encoding="utf-8") as file:
        source = file.read()
    translated = re.sub(r"^(\s*)print (.+)$", r"\1print(\2)", source, flags=re.MULTILINE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["geni.portal"] = module
    exec(compile(translated, spec.origin, "exec"), module.__dict__)  # pylint: disable=exec-used
    sys.modules["geni"].portal = module


def write_bytes_as_bytes():
    """Lets Request.writeXML write what toXMLString made, text or bytes."""
    from geni.rspec import pg

    def write_xml(self, path):
        made = self.toXMLString(True)
        with open(path, "wb") as file:
            file.write(made if isinstance(made, bytes) else made.encode())

    pg.Request.writeXML = write_xml


def main():
    """Gives the profile its parameters the way the portal does: by files that the environment names."""
    profile, *settings = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        wanted, made = os.path.join(folder, "parameters.json"), os.path.join(folder, "rspec.xml")
        with open(wanted, "w", encoding="utf-8") as file:
            json.dump(dict(setting.split("=", 1) for setting in settings), file)
        os.environ.update(GENILIB_PORTAL_MODE="1", GENILIB_PORTAL_PARAMS_PATH=wanted, GENILIB_PORTAL_REQUEST_PATH=made)
        sys.argv = [profile]
        load_portal()
        write_bytes_as_bytes()
        runpy.run_path(profile, run_name="__main__")
        with open(made, encoding="utf-8") as file:
            print(file.read())


if __name__ == "__main__":
    main()
