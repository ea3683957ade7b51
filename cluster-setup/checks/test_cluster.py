"""cluster.sh and reset.sh over three stand-in nodes, which a stub ssh reaches: the whole way, and what goes wrong on it."""

import re
import stat
import unittest

from fake_nodes import FakeNodes, need_nodes

NODES = ("node0", "user@node1", "node2")
SECRET = re.compile(r"[a-z0-9]{6}\.[0-9]{16}")


def setUpModule():
    need_nodes()


class Cluster(unittest.TestCase):
    def setUp(self):
        self.nodes = FakeNodes(3)
        self.addCleanup(self.nodes.remove)
        self.kubeconfig = self.nodes.home / "kubeconfig"

    def up(self, *arguments):
        return self.nodes.run("kubeadm/cluster.sh", "--kubeconfig", str(self.kubeconfig), *(arguments or NODES))

    def status(self):
        return self.nodes.run("kubeadm/cluster.sh", "--status", *NODES)

    def test_three_machines_become_a_cluster_and_machines_again(self):
        before = self.status()
        self.assertEqual(before.returncode, 1)
        self.assertIn("STATUS node0: reachable, not a node of this cluster", before.stdout)

        up = self.up()
        self.assertEqual(up.returncode, 0, up.stdout + up.stderr)
        steps = re.findall(r"^STEP (\d+)/(\d+) \S+: .+$", up.stdout, re.MULTILINE)
        self.assertEqual(steps, [(str(n), "14") for n in range(1, 15)])
        self.assertEqual(sorted(self.nodes.file("cluster", "nodes").read_text().split()), ["node0", "node1", "node2"])
        for node in ("node0", "node1", "node2"):
            self.assertIn("apt-mark hold kubelet kubeadm kubectl cri-o", self.nodes.calls(node))
            self.assertIn("systemctl mask --quiet swap.target", self.nodes.calls(node))
            self.assertIn("signed-by=/etc/apt/keyrings/testbed-crio.gpg]", self.nodes.file(node, "etc/apt/sources.list.d/testbed-crio.list").read_text())

        # Calico is told where a node's address stands, once.
        manifest = self.nodes.file("node0", "var/lib/testbed/cni.yaml").read_text()
        self.assertEqual(manifest.count('- name: IP_AUTODETECTION_METHOD\n              value: "kubernetes-internal-ip"'), 1)

        # The kubeconfig is the user's alone, names the address that the user knows, and keeps the certificate checkable.
        text = self.kubeconfig.read_text()
        self.assertIn("server: https://node0:6443\n    tls-server-name: kubernetes\n", text)
        self.assertEqual(stat.S_IMODE(self.kubeconfig.stat().st_mode), 0o600)

        # No token in a log, in a process's arguments or left on a node.
        for name, node in zip(NODES, ("node0", "node1", "node2")):
            self.assertNotRegex(self.nodes.log(name), SECRET)
            self.assertFalse([line for line in self.nodes.calls(node) if SECRET.search(line)])
            self.assertFalse(self.nodes.file(node, "run/testbed/join.yaml").exists())

        after = self.status()
        self.assertEqual(after.returncode, 0, after.stdout + after.stderr)
        self.assertIn("STATUS user@node1: Ready, kubelet v1.36.5, cri-o://1.36.6\n", after.stdout)

        # A second call changes nothing.
        self.nodes.forget_calls()
        again = self.up()
        self.assertEqual(again.returncode, 0, again.stderr)
        for node in ("node0", "node1", "node2"):
            changed = [line for line in self.nodes.calls(node) if re.match("apt-get|kubeadm (init|join|reset)|curl", line)]
            self.assertEqual(changed, [])

        # And all of it is thrown away.
        reset = self.nodes.run("kubeadm/reset.sh", *NODES)
        self.assertEqual(reset.returncode, 0, reset.stderr)
        for node in ("node0", "node1", "node2"):
            for path in ("etc/kubernetes", "var/lib/testbed", "etc/sysctl.d/90-testbed.conf", "etc/apt/keyrings/testbed-crio.gpg", "opt/testbed"):
                self.assertFalse(self.nodes.file(node, path).exists(), f"{node} still has {path}")
            kept = [line for line in self.nodes.calls(node) if line.startswith("iptables-restore:")]
            self.assertEqual(kept, ["iptables-restore: *filter", "iptables-restore: -A INPUT -i lo -j ACCEPT", "iptables-restore: COMMIT"])
        self.assertEqual(self.nodes.run("kubeadm/reset.sh", *NODES).returncode, 0, "a second reset finds nothing to do")

    def test_after_a_failed_step_the_same_command_goes_on(self):
        self.nodes.fail_once("node2", "apt-get", "cri-o=")
        first = self.up()
        self.assertEqual(first.returncode, 1)
        self.assertRegex(first.stderr, r"FAILED node2: kernel, CRI-O \S+, Kubernetes \S+: error: apt could not install .* \(log: .*/node2\.log\)")
        self.assertIn("call the same command again", first.stderr)
        self.assertNotIn("kubeadm init", "\n".join(self.nodes.calls("node0")), "nothing goes on after a failed stage")
        self.assertFalse(self.kubeconfig.exists())

        self.nodes.fail_once("node0", "init")
        self.nodes.forget_calls()
        second = self.up()
        self.assertEqual(second.returncode, 1)
        self.assertIn("FAILED node0: control plane", second.stderr)
        self.assertEqual(self.nodes.calls("node1", "apt-get"), [], "what node1 has is not installed again")

        self.nodes.fail_once("node1", "kubeadm", "join")
        self.nodes.forget_calls()
        third = self.up()
        self.assertEqual(third.returncode, 1)
        self.assertIn("FAILED user@node1: join the cluster", third.stderr)
        self.assertEqual(len(self.nodes.calls("node0", "kubeadm reset")), 1, "what the failed init left is cleared away first")

        self.nodes.forget_calls()
        fourth = self.up()
        self.assertEqual(fourth.returncode, 0, fourth.stderr)
        self.assertEqual(self.nodes.calls("node0", "kubeadm init"), [])
        self.assertEqual(self.nodes.calls("node2", "kubeadm join"), [])
        self.assertEqual(len(self.nodes.calls("node1", "kubeadm join")), 1)

    def test_one_machine_alone_takes_ordinary_pods(self):
        up = self.up("--lan", "10.10.1.0/24", "node0")
        self.assertEqual(up.returncode, 0, up.stderr)
        configuration = self.nodes.file("node0", "etc/testbed/kubeadm-init.yaml").read_text()
        self.assertIn("\n  taints: []\n", configuration)
        self.assertIn("advertiseAddress: 10.10.1.1\n", configuration)
        self.assertIn('certSANs:\n    - "node0"\n', configuration)

    def test_a_machine_of_a_strangers_cluster_is_left_alone(self):
        self.nodes.file("node0", "etc/kubernetes").mkdir()
        self.nodes.file("node0", "etc/kubernetes/kubelet.conf").touch()
        up = self.up()
        self.assertEqual(up.returncode, 1)
        self.assertIn("a cluster that these scripts did not make", up.stderr)
        fresh = FakeNodes(1)
        self.addCleanup(fresh.remove)
        fresh.file("node0", "etc/kubernetes").mkdir()
        fresh.file("node0", "etc/kubernetes/kubelet.conf").touch()
        reset = fresh.run("kubeadm/reset.sh", "node0")
        self.assertEqual(reset.returncode, 1)
        self.assertIn("nothing was removed", reset.stderr)
        self.assertTrue(fresh.file("node0", "etc/kubernetes/kubelet.conf").exists())

    def test_a_key_or_a_manifest_other_than_pinned_is_not_used(self):
        self.nodes.fail_once("node1", "key")
        up = self.up()
        self.assertEqual(up.returncode, 1)
        self.assertIn("is 0000000000000000000000000000000000000000, versions.toml says DE15B14486CD377B9E876E1A234654DA9A296436: not trusted", up.stderr)
        self.assertFalse(self.nodes.file("node1", "etc/apt/keyrings/testbed-kubernetes.gpg").exists())

        (self.nodes.nodes / "cluster/calico.yaml").write_text("something else\n")
        up = self.up()
        self.assertEqual(up.returncode, 1)
        self.assertRegex(up.stderr, "calico.yaml has sha256 [0-9a-f]{64}, versions.toml says [0-9a-f]{64}: nothing was used")
        self.assertEqual(self.nodes.calls("node0", "kubectl apply"), [])

    def test_nodes_that_cannot_be_reached_or_share_a_name_are_named(self):
        up = self.up("node0", "node7")
        self.assertEqual(up.returncode, 1)
        self.assertRegex(up.stderr, "FAILED node7: answers over SSH.*Could not resolve hostname node7")
        self.nodes.file("node1", "etc/hostname").write_text("node0\n")
        up = self.up()
        self.assertEqual(up.returncode, 1)
        self.assertIn("two nodes call themselves node0", up.stderr)
        status = self.nodes.run("kubeadm/cluster.sh", "--status", "node7")
        self.assertEqual(status.returncode, 1)
        self.assertIn("STATUS node7: not reachable", status.stdout)

    def test_a_kubeconfig_that_somebody_else_wrote_is_not_written_over(self):
        self.kubeconfig.write_text("mine\n")
        up = self.up()
        self.assertEqual(up.returncode, 1)
        self.assertIn("was not written by cluster.sh: name another file with --kubeconfig", up.stderr)
        self.assertEqual(self.kubeconfig.read_text(), "mine\n")
        self.assertEqual(self.nodes.calls("node0"), [])

    def test_an_unfit_machine_is_told_why_before_anything_changes(self):
        self.nodes.file("node2", "sys/fs/cgroup/cgroup.controllers").unlink()
        self.nodes.file("node1", "etc/os-release").write_text("ID=fedora\n")
        self.nodes.fail_once("node0", "df-gib", "4")
        up = self.up()
        self.assertEqual(up.returncode, 1)
        self.assertRegex(up.stderr, "FAILED node2: .*cgroup v2 is off")
        self.assertRegex(up.stderr, "FAILED user@node1: .*this is fedora")
        self.assertRegex(up.stderr, "FAILED node0: .*4 GiB are free for images in /var/lib/containers, 10 are needed")
        self.assertEqual(self.nodes.calls("node2", "apt-get"), [])
