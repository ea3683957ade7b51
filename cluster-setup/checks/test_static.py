"""Lints, and versions.toml against those who read it."""

import os
import pathlib
import py_compile
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest

CLUSTER_SETUP = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = CLUSTER_SETUP.parent


def need(program, package):
    """Skips the test, by name, where a program is missing."""
    if shutil.which(program) is None:
        raise unittest.SkipTest(f"{program} is not installed (Debian package {package})")


def shell_scripts():
    return sorted(CLUSTER_SETUP.rglob("*.sh"))


class Static(unittest.TestCase):
    def test_shellcheck_finds_nothing(self):
        need("shellcheck", "shellcheck")
        found = subprocess.run(["shellcheck", "-x", "-P", REPOSITORY, *shell_scripts(), *(CLUSTER_SETUP / "checks/stubs").iterdir()],
                               capture_output=True, text=True, cwd=REPOSITORY, check=False)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)

    def test_yamllint_finds_nothing(self):
        need("yamllint", "yamllint")
        files = [path for ending in ("*.yaml", "*.yml") for path in sorted(CLUSTER_SETUP.rglob(ending))]
        found = subprocess.run(["yamllint", "--strict", "-c", CLUSTER_SETUP / ".yamllint", *files], capture_output=True, text=True, check=False)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)

    def test_every_python_file_compiles(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in [REPOSITORY / "profile.py", *CLUSTER_SETUP.rglob("*.py")]:
                py_compile.compile(str(path), cfile=f"{folder}/compiled", doraise=True)

    def test_every_script_is_strict_or_says_that_it_is_sourced(self):
        for path in shell_scripts():
            text = path.read_text()
            with self.subTest(script=path.name):
                self.assertTrue(text.startswith("#!/usr/bin/env bash\n# "), "shebang, then a line that says what the file is for")
                sourced = re.search(r"[Ss]ourced", text.split("\n\n")[0])
                self.assertTrue("set -euo pipefail" in text or sourced, "neither strict nor sourced")
                self.assertTrue(sourced or os.access(path, os.X_OK), "not executable")

    def test_versions_hold_every_key_that_a_script_reads(self):
        versions = tomllib.loads((CLUSTER_SETUP / "versions.toml").read_text())
        read = set()
        for path in shell_scripts():
            read |= set(re.findall(r"\$\(version ([a-z.]+) ([a-z0-9_]+)\)", path.read_text()))
        # node.sh's repository() takes the table as its argument.
        read |= {(table, key) for table in ("kubernetes", "crio") for key in ("repository", "key_fingerprint")}
        self.assertGreaterEqual(len(read), 8)
        for table, key in sorted(read):
            self.assertIn(key, versions.get(table, {}), f"[{table}] lacks {key}")

    def test_the_shell_reads_what_toml_says(self):
        versions = tomllib.loads((CLUSTER_SETUP / "versions.toml").read_text())
        for table in ("kubernetes", "crio", "cni"):
            for key, value in versions[table].items():
                read = subprocess.run([CLUSTER_SETUP / "kubeadm/versions.sh", table, key], capture_output=True, text=True, check=True)
                self.assertEqual(read.stdout, value + "\n")

    def test_versions_fit_together(self):
        versions = tomllib.loads((CLUSTER_SETUP / "versions.toml").read_text())
        minor = versions["kubernetes"]["version"].rsplit(".", 1)[0]
        self.assertGreaterEqual(tuple(map(int, minor.split("."))), (1, 34), "Knative 1.23 asks for Kubernetes 1.34 at least")
        self.assertEqual(versions["crio"]["version"].rsplit(".", 1)[0], minor, "CRI-O follows Kubernetes' minor version")
        for table in ("kubernetes", "crio"):
            self.assertIn(f"/v{minor}/", versions[table]["repository"])
            self.assertRegex(versions[table]["key_fingerprint"], "^[0-9A-F]{40}$")
        self.assertIn(f"/v{versions['cni']['version']}/", versions["cni"]["url"])
        self.assertRegex(versions["cni"]["sha256"], "^[0-9a-f]{64}$")
