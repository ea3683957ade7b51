"""A serverless testbed: three bare-metal nodes on a LAN that make themselves a Kubernetes cluster.

node0 is the control plane, the others are workers. Every node runs cluster-setup/cloudlab/setup-node.sh from its clone of
this repository at boot; the platforms and the monitoring are put on it by `harness cluster up --profile cloudlab`.

Instructions:
From your own machine, in a clone of this repository: `harness cluster up --profile cloudlab --nodes USER@NODE0,USER@NODE1,USER@NODE2`,
with the names that the experiment's list view shows. cluster-setup/cloudlab/README.md has the whole way, from reservation to report.
"""
# CloudLab reads a repository's profile only from its top-level folder; cluster-setup/cloudlab/profile.py is a link to here.

import geni.portal as portal
import geni.rspec.igext as igext
import geni.rspec.pg as pg

NETWORK = "10.10.1"  # node0 has .1; .240 to .250 are MetalLB's
NETMASK = "255.255.255.0"
NODES_MAX = 50
SETUP = "/local/repository/cluster-setup/cloudlab/setup-node.sh"

context = portal.Context()
context.defineParameter(
    "nodes", "Number of nodes", portal.ParameterType.INTEGER, 3,
    longDescription="node0 is the control plane; the functions run on the others.")
context.defineParameter(
    "hardware_type", "Type of node", portal.ParameterType.NODETYPE, "",
    longDescription="All nodes are of one type: comparisons need that. Empty: any type that is free.")
context.defineParameter(
    "image", "Disk image", portal.ParameterType.IMAGE, "urn:publicid:IDN+emulab.net+image+emulab-ops//UBUNTU24-64-STD",
    longDescription="Ubuntu or Debian with cgroup v2.")
context.defineParameter(
    "public_addresses", "Public addresses for MetalLB", portal.ParameterType.INTEGER, 0,
    longDescription="0: services get addresses of the experiment's LAN, which only its nodes reach. "
    "More makes what you deploy reachable from the internet.")
context.defineParameter(
    "disk_gb", "Disk for container images, in GB", portal.ParameterType.INTEGER, 0,
    longDescription="0: images lie on the node's root disk. More mounts that much of its other disk space at /var/lib/containers.")
parameters = context.bindParameters()

if not 1 <= parameters.nodes <= NODES_MAX:
    context.reportError(portal.ParameterError("Between 1 and %d nodes." % NODES_MAX, ["nodes"]))
for name in ("public_addresses", "disk_gb"):
    if getattr(parameters, name) < 0:
        context.reportError(portal.ParameterError("%s: 0 or more." % name, [name]))
context.verifyParameters()

request = context.makeRequestRSpec()
lan = pg.LAN("lan")
for number in range(parameters.nodes):
    node = request.RawPC("node%d" % number)
    node.disk_image = parameters.image
    if parameters.hardware_type:
        node.hardware_type = parameters.hardware_type
    interface = node.addInterface("lan")
    interface.addAddress(pg.IPv4Address("%s.%d" % (NETWORK, number + 1), NETMASK))
    lan.addInterface(interface)
    if parameters.disk_gb > 0:
        disk = node.Blockstore("images%d" % number, "/var/lib/containers")
        disk.size = "%dGB" % parameters.disk_gb
    node.addService(pg.Execute(shell="bash", command=(
        "sudo bash %s --lan %s.0/24 --control-plane %s.1 --private-pool %s.240-%s.250"
        % (SETUP, NETWORK, NETWORK, NETWORK, NETWORK))))
request.addResource(lan)
if parameters.public_addresses > 0:
    request.addResource(igext.AddressPool("load-balancer", parameters.public_addresses))
context.printRequestRSpec()
