"""The CloudLab profile against the real geni-lib, and setup-node.sh on stand-in nodes."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree

from fake_nodes import CHECKS, CLUSTER_SETUP, FakeNodes, need_nodes

CLOUDLAB = CLUSTER_SETUP / "cloudlab"
SETUP = "bash /local/repository/cluster-setup/cloudlab/setup-node.sh"
GENI_PYTHON = os.environ.get("GENI_PYTHON", sys.executable)


class Profile(unittest.TestCase):
    def setUp(self):
        found = subprocess.run([GENI_PYTHON, "-c", "import geni, six, lxml"], capture_output=True, check=False)
        if found.returncode != 0:
            self.skipTest("geni-lib is not installed (pip install geni-lib six, or GENI_PYTHON=a Python that has them)")

    def rspec(self, *settings):
        return subprocess.run([GENI_PYTHON, CHECKS / "run_profile.py", CLOUDLAB / "profile.py", *settings],
                              capture_output=True, text=True, check=False)

    def expect(self, recorded, *settings):
        made = self.rspec(*settings)
        self.assertEqual(made.returncode, 0, made.stderr)
        same = [ElementTree.canonicalize(xml, strip_text=True) for xml in (made.stdout, (CLOUDLAB / recorded).read_text())]
        self.assertEqual(*same)

    def test_three_nodes_on_a_lan_by_default_and_no_public_address(self):
        self.expect("expected.rspec.xml")
        self.assertNotIn("routable_pool", (CLOUDLAB / "expected.rspec.xml").read_text())

    def test_count_type_and_public_addresses_follow_the_parameters(self):
        self.expect("expected-public.rspec.xml", "nodes=2", "hardware_type=c220g5", "public_addresses=3", "disk_gb=50")

    def test_a_wrong_parameter_is_named(self):
        for setting, message in (("nodes=0", "Between 1 and 50 nodes."), ("public_addresses=-1", "public_addresses: 0 or more.")):
            made = self.rspec(setting)
            self.assertNotEqual(made.returncode, 0)
            self.assertIn(message, made.stderr)


class ProfileAndScript(unittest.TestCase):
    def test_the_script_called_by_hand_takes_the_profiles_values(self):
        command = ElementTree.parse(CLOUDLAB / "expected.rspec.xml").find(".//{*}execute").get("command")
        script = (CLOUDLAB / "setup-node.sh").read_text()
        for flag, value in re.findall(r"--([a-z-]+) (\S+)", command):
            self.assertIn(f"\n{flag.upper().replace('-', '_')}={value}\n", script)

    def test_the_profile_lies_where_cloudlab_looks_for_it(self):
        self.assertEqual((CLOUDLAB / "profile.py").resolve(), CLUSTER_SETUP.parent / "profile.py")
        self.assertFalse((CLUSTER_SETUP.parent / "profile.py").is_symlink(), "CloudLab reads the file out of git")


class SetUp(unittest.TestCase):
    def setUp(self):
        need_nodes()
        if shutil.which("ssh-keygen") is None:
            self.skipTest("ssh-keygen is not installed (Debian package openssh-client)")
        self.nodes = FakeNodes(3, cloudlab=True)
        self.addCleanup(self.nodes.remove)
        self.key = self.nodes.nodes / "cluster/geni-key"
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", self.key], check=True)

    def state(self, node):
        return self.nodes.file(node, "var/lib/testbed/setup-state").read_text().strip()

    def boot(self, node, ends="done"):
        ran = self.nodes.on(node, SETUP)
        self.assertEqual(self.state(node), ends, ran.stdout + ran.stderr)
        return ran

    def test_nodes_make_themselves_a_cluster_and_stay_one_after_a_reboot(self):
        for node in ("node0", "node1", "node2"):
            self.boot(node)
        self.assertEqual(sorted(self.nodes.file("cluster", "nodes").read_text().split()), ["node0", "node1", "node2"])
        self.assertIn('- "node0.testbed.example"', self.nodes.file("node0", "etc/testbed/kubeadm-init.yaml").read_text())

        # The experiment's key opens one door on node0 only, and lies on no disk.
        allowed = self.nodes.file("node0", "root/.ssh/authorized_keys2").read_text()
        self.assertRegex(allowed, r'\Arestrict,from="10\.10\.1\.0/24",command="/opt/testbed/kubeadm/control-plane\.sh --print-join-command" ssh-rsa \S+ testbed-join\n\Z')
        private = self.key.read_text().splitlines()[2]
        for node in ("node0", "node1", "node2"):
            for path in self.nodes.file(node, ".").rglob("*"):
                if path.is_file() and "cluster" not in path.parts[len(self.nodes.nodes.parts):]:
                    text = path.read_bytes()
                    self.assertNotIn(private.encode(), text, str(path))
                    self.assertNotRegex(text, rb"token [a-z0-9]{6}\.[0-9]{16}", str(path))
        for node in ("node1", "node2"):
            self.assertFalse(self.nodes.file(node, "root/.ssh/authorized_keys2").exists())

        # Public addresses from the manifest; cluster.sh recognises the nodes and only waits.
        self.assertEqual(self.nodes.file("node0", "var/lib/testbed/load-balancer-addresses").read_text(), "192.0.2.50-192.0.2.51\n198.51.100.7-198.51.100.7\n")
        self.nodes.forget_calls()
        up = self.nodes.run("kubeadm/cluster.sh", "node0", "node1", "node2")
        self.assertEqual(up.returncode, 0, up.stderr)
        self.assertIn("addresses for load balancers: 192.0.2.50-192.0.2.51 198.51.100.7-198.51.100.7\n", up.stdout)
        self.assertIn("STEP 4/8 node0: sets itself up (CloudLab)", up.stdout)
        self.assertEqual([line for node in ("node0", "node1", "node2") for line in self.nodes.calls(node, "apt-get")], [])

        # A reboot changes nothing.
        self.nodes.forget_calls()
        for node in ("node0", "node1"):
            self.boot(node)
            self.assertFalse([line for line in self.nodes.calls(node) if re.match("apt-get|kubeadm|curl", line)])
        self.assertEqual(self.nodes.file("node0", "root/.ssh/authorized_keys2").read_text(), allowed)
        self.assertIn("worker: joined already", self.nodes.file("node1", "local/logs/setup-node.log").read_text())

    def test_a_failed_set_up_says_where_and_goes_on_when_called_again(self):
        (self.nodes.nodes / "cluster/geni-manifest").write_text("<rspec/>")
        self.nodes.fail_once("node0", "apt-get", "cri-o=")
        self.boot("node0", ends="failed at: make node0 ready")
        self.assertIn("apt could not install", self.nodes.file("node0", "local/logs/setup-node.log").read_text())
        status = self.nodes.run("kubeadm/cluster.sh", "--status", "node0")
        self.assertIn("STATUS node0: its own set-up on CloudLab: failed at: make node0 ready", status.stdout)
        up = self.nodes.run("kubeadm/cluster.sh", "node0")
        self.assertEqual(up.returncode, 1)
        self.assertIn("once mended: sudo bash /local/repository/cluster-setup/cloudlab/setup-node.sh", up.stderr)
        self.boot("node0")
        self.assertEqual(self.nodes.file("node0", "var/lib/testbed/load-balancer-addresses").read_text(), "10.10.1.240-10.10.1.250\n")

    def test_a_machine_that_is_none_of_the_profiles_is_refused(self):
        self.nodes.file("node1", "etc/hostname").write_text("laptop\n")
        ran = self.nodes.on("node1", SETUP)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("this machine is called laptop", ran.stderr)
        self.assertEqual(self.nodes.calls("node1", "apt-get"), [])


class Recorded(unittest.TestCase):
    def test_recorded_rspecs_are_of_the_repository_that_cloudlab_clones(self):
        for path in CLOUDLAB.glob("*.rspec.xml"):
            for execute in ElementTree.parse(path).iterfind(".//{*}execute"):
                inside = execute.get("command").split()[2].replace("/local/repository/", "")
                self.assertTrue((CLUSTER_SETUP.parent / pathlib.Path(inside)).is_file(), inside)
