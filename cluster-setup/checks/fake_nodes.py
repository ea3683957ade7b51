"""Stand-in nodes: folders in which the scripts run for real as root of a machine of their own, with stubs for what changes one."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import tomllib
import unittest

CHECKS = pathlib.Path(__file__).resolve().parent
CLUSTER_SETUP = CHECKS.parent
PROGRAMS = """apt-get apt-mark crictl curl df dpkg-query geni-get gpg hostname ip ip6tables-restore ip6tables-save iptables-restore
iptables-save kubeadm kubectl modprobe nproc swapoff swapon sysctl systemctl""".split()
CALICO = """spec:
          env:
            - name: IP
              value: "autodetect"
            - name: CALICO_IPV4POOL_IPIP
              value: "Always"
"""
MANIFEST = """<rspec xmlns="http://www.geni.net/resources/rspec/3" xmlns:emulab="http://www.protogeni.net/resources/rspec/ext/emulab/1"><node
 client_id="node0"><host ipv4="192.0.2.9"/></node><emulab:routable_pool client_id="load-balancer" count="3" type="any"><emulab:ipv4
 address="192.0.2.51" netmask="255.255.255.0"/><emulab:ipv4 address="198.51.100.7" netmask="255.255.255.0"/><emulab:ipv4
 address="192.0.2.50" netmask="255.255.255.0"/></emulab:routable_pool><emulab:vlan
 address="192.0.2.99"/></rspec>
"""


class FakeNodes:
    """node0, node1 and so on in a folder; `cluster_setup` is a copy of this folder that fits the stubs."""

    def __init__(self, count, cloudlab=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fake-nodes-"))
        self.nodes, self.stubs, self.home = self.folder / "nodes", self.folder / "stubs", self.folder / "home"
        self.cluster_setup = self.folder / "cluster-setup"
        for folder in (self.nodes / "cluster", self.home):
            folder.mkdir(parents=True)
        shutil.copytree(CHECKS / "stubs", self.stubs)
        for program in PROGRAMS:
            (self.stubs / program).symlink_to("stub")
        for part in ("kubeadm", "cloudlab"):
            shutil.copytree(CLUSTER_SETUP / part, self.cluster_setup / part, ignore=shutil.ignore_patterns("*.py", "*.xml"))
        self._write_versions()
        (self.nodes / "cluster/calico.yaml").write_text(CALICO)
        (self.nodes / "cluster/geni-manifest").write_text(MANIFEST)
        (self.nodes / "cluster/nodes").touch()
        for number in range(count):
            self._make_node(f"node{number}", cloudlab)

    def _write_versions(self):
        """versions.toml with the checksum of the stubs' Calico: the check of it stays on."""
        text = (CLUSTER_SETUP / "versions.toml").read_text()
        pinned, ours = tomllib.loads(text)["cni"]["sha256"], hashlib.sha256(CALICO.encode()).hexdigest()
        (self.cluster_setup / "versions.toml").write_text(text.replace(pinned, ours))

    def _make_node(self, name, cloudlab):
        root = self.nodes / name
        for folder in ("etc", "var/lib", "opt", "run", "root", "tmp", "fail", "nodes", "stubs", "cluster", "sys/fs/cgroup", "local"):
            (root / folder).mkdir(parents=True)
        (root / "sys/fs/cgroup/cgroup.controllers").touch()
        (root / "etc/hostname").write_text(name + "\n")
        (root / "etc/os-release").write_text("ID=ubuntu\nID_LIKE=debian\n")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (root / "calls").touch()
        for path in ("alternatives", "ld.so.cache"):
            source = pathlib.Path("/etc") / path
            if source.is_dir():
                shutil.copytree(source, root / "etc" / path, symlinks=True)
            elif source.exists():
                shutil.copy(source, root / "etc" / path)
        if cloudlab:
            shutil.copytree(self.cluster_setup, root / "local/repository/cluster-setup")

    def environment(self):
        path = f"{self.folder}/client:/usr/sbin:/usr/bin:/sbin:/bin"
        (self.folder / "client").mkdir(exist_ok=True)
        if not (self.folder / "client/ssh").exists():
            (self.folder / "client/ssh").symlink_to(self.stubs / "ssh")
        return {"PATH": path, "HOME": str(self.home), "FAKE_NODES": str(self.nodes), "FAKE_STUBS": str(self.stubs), "LC_ALL": "C"}

    def run(self, script, *arguments):
        """A script of the copy, run by the user on their own machine, which reaches the nodes by the stub ssh."""
        return subprocess.run(["bash", self.cluster_setup / script, *arguments], env=self.environment(), capture_output=True,
                              text=True, timeout=120, check=False, stdin=subprocess.DEVNULL)

    def on(self, node, command, stdin=""):
        """A command as root of a node."""
        return subprocess.run([self.stubs / "enter", node, command], env=self.environment(), capture_output=True, text=True,
                              timeout=120, check=False, input=stdin)

    def calls(self, node, program=""):
        return [line for line in (self.nodes / node / "calls").read_text().splitlines() if line.startswith(program)]

    def forget_calls(self):
        for node in self.nodes.glob("node*"):
            (node / "calls").write_text("")

    def fail_once(self, node, what, when=""):
        (self.nodes / node / "fail" / what).write_text(when)

    def file(self, node, path):
        return self.nodes / node / path.lstrip("/")

    def log(self, node):
        return (self.home / ".local/state/testbed/logs" / f"{node}.log").read_text()

    def remove(self):
        shutil.rmtree(self.folder)


def need_nodes():
    """Skips, by name, where the machine does not let us make a mount namespace."""
    options = ["--mount", "--net"] + ([] if os.getuid() == 0 else ["--map-root-user"])
    try:
        tried = subprocess.run(["unshare", *options, "mount", "--bind", "/usr", "/usr"], capture_output=True, check=False)
    except FileNotFoundError:
        raise unittest.SkipTest("unshare is not installed (Debian package util-linux)") from None
    if tried.returncode != 0:
        raise unittest.SkipTest("this machine allows no mount or network namespace: " + tried.stderr.decode().strip())
