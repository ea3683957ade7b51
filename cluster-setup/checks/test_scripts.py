"""Each script alone: its help, its dry run, and mistakes on its command line."""

import os
import pathlib
import subprocess
import tempfile
import unittest

from fake_nodes import FakeNodes, need_nodes

CLUSTER_SETUP = pathlib.Path(__file__).resolve().parent.parent
# Script: the arguments of its dry run.
SCRIPTS = {
    "kubeadm/node.sh": [],
    "kubeadm/control-plane.sh": ["--san", "example.org"],
    "kubeadm/worker.sh": [],
    "kubeadm/cluster.sh": ["alice@one", "two"],
    "kubeadm/reset.sh": ["alice@one", "two"],
    "cloudlab/setup-node.sh": [],
}
CHANGING = "apt-get apt-mark kubeadm modprobe swapoff swapon curl gpg systemctl crictl kubectl geni-get sysctl".split()


def run(script, *arguments, **options):
    return subprocess.run([CLUSTER_SETUP / script, *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, **options)


class Scripts(unittest.TestCase):
    def test_every_script_has_help_that_shows_its_usage_and_dry_run(self):
        for script in SCRIPTS:
            with self.subTest(script=script):
                for flag in ("--help", "-h"):
                    shown = run(script, flag)
                    self.assertEqual(shown.returncode, 0, shown.stderr)
                    self.assertIn("usage: " + pathlib.Path(script).name, shown.stdout)
                    self.assertIn("--dry-run", shown.stdout)

    def test_mistakes_are_one_line_that_names_the_remedy(self):
        mistakes = [(script, ["--wrong"], "unknown argument --wrong") for script in SCRIPTS]
        mistakes += [
            ("kubeadm/node.sh", ["stray"], "unknown argument stray"),
            ("kubeadm/control-plane.sh", ["--lan"], "--lan needs a value"),
            ("kubeadm/cluster.sh", [], "name the nodes, as [USER@]HOST; the first is the control plane"),
            ("kubeadm/cluster.sh", ["one", "two", "one"], "node one is named twice"),
            ("kubeadm/cluster.sh", ["one;reboot"], "'one;reboot' is no node: write [USER@]HOST"),
            ("kubeadm/cluster.sh", ["-oProxyCommand=x"], "unknown argument -oProxyCommand=x"),
            ("kubeadm/cluster.sh", ["--lan", "10.10.1.0", "one"], "--lan 10.10.1.0 is no IPv4 network"),
            ("kubeadm/cluster.sh", ["--kubeconfig"], "--kubeconfig needs a value"),
            ("kubeadm/reset.sh", [], "name the nodes"),
            ("kubeadm/reset.sh", ["--here", "one"], "--here takes no nodes"),
            ("kubeadm/versions.sh", ["crio"], "usage: versions.sh TABLE KEY"),
        ]
        for script, arguments, message in mistakes:
            with self.subTest(script=script, arguments=arguments):
                ran = run(script, *arguments)
                self.assertEqual(ran.returncode, 2, ran.stderr)
                self.assertIn(message, ran.stderr)
                self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
                self.assertEqual(ran.stdout, "")

    def test_a_missing_version_names_the_file_and_the_table(self):
        ran = run("kubeadm/versions.sh", "crio", "flavour")
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stderr, r"versions\.toml has no flavour in \[crio\]: add it\n$")

    def test_the_dry_run_of_cluster_and_reset_contacts_nobody_and_writes_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            stub = pathlib.Path(folder) / "bin/ssh"
            stub.parent.mkdir()
            stub.write_text(f"#!/bin/sh\ntouch {folder}/contacted\n")
            stub.chmod(0o755)
            environment = {**os.environ, "HOME": f"{folder}/home", "PATH": f"{stub.parent}:{os.environ['PATH']}"}
            environment.pop("XDG_STATE_HOME", None)
            for script in ("kubeadm/cluster.sh", "kubeadm/reset.sh"):
                ran = run(script, "--dry-run", *SCRIPTS[script], env=environment)
                self.assertEqual(ran.returncode, 0, ran.stderr)
                self.assertIn("STEP 1/", ran.stdout)
            self.assertEqual([path.name for path in pathlib.Path(folder).iterdir()], ["bin"])


class OnANode(unittest.TestCase):
    def setUp(self):
        need_nodes()
        self.nodes = FakeNodes(1, cloudlab=True)
        self.addCleanup(self.nodes.remove)

    def test_the_dry_run_of_every_script_changes_nothing_on_a_node(self):
        before = self.snapshot()
        for script in SCRIPTS:
            arguments = "--here" if script == "kubeadm/reset.sh" else " ".join(SCRIPTS[script])
            ran = self.nodes.on("node0", f"bash /local/repository/cluster-setup/{script} --dry-run {arguments}")
            with self.subTest(script=script):
                self.assertEqual(ran.returncode, 0, ran.stderr)
                self.assertRegex(ran.stdout, r"(?m)^(would (run|write):|STEP 1/)")
        called = {line.split()[0] for line in self.nodes.calls("node0")}
        self.assertEqual(called & set(CHANGING), set(), "a dry run called what changes a machine")
        self.assertEqual(self.snapshot(), before)

    def snapshot(self):
        root = self.nodes.file("node0", ".")
        return {str(path): path.stat().st_mtime_ns for folder in ("etc", "var", "opt", "root", "local")
                for path in (root / folder).rglob("*")}

    def test_without_root_a_script_says_so_and_changes_nothing(self):
        for script in ("kubeadm/node.sh", "kubeadm/control-plane.sh", "kubeadm/worker.sh", "kubeadm/reset.sh --here", "cloudlab/setup-node.sh"):
            ran = self.nodes.on("node0", f"printf '#!/bin/sh\\necho 1000\\n' >/tmp/id; chmod +x /tmp/id; PATH=/tmp:$PATH bash /local/repository/cluster-setup/{script}")
            with self.subTest(script=script):
                self.assertEqual(ran.returncode, 1)
                self.assertRegex(ran.stderr, r"^error: \S+ changes this machine and must run as root: sudo ")
        self.assertEqual({line.split()[0] for line in self.nodes.calls("node0")} & set(CHANGING), set())

    def test_a_worker_refuses_what_is_no_join_command(self):
        for text in ("", "rm -rf /\n", "kubeadm join 1.2.3.4:6443 --token abc; reboot\n"):
            ran = self.nodes.on("node0", "bash /local/repository/cluster-setup/kubeadm/worker.sh", stdin=text)
            self.assertEqual(ran.returncode, 1)
            self.assertIn("standard input holds no join command", ran.stderr)

    def test_a_lan_that_the_machine_is_not_in_is_named(self):
        ran = self.nodes.on("node0", "bash /local/repository/cluster-setup/kubeadm/control-plane.sh --lan 172.30.0.0/24")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("no address of this machine lies in 172.30.0.0/24", ran.stderr)
