#!/usr/bin/env bash
# Throws away what node.sh, control-plane.sh and worker.sh made: the cluster, its packages, repositories and settings.
# A machine whose cluster somebody else made is left alone.
#
# usage: reset.sh [--logs DIR] [--dry-run] [USER@]HOST...      over SSH, all nodes at once
#        reset.sh --here [--dry-run]                            on this machine, as root
#   --logs DIR   one log a node (default: ~/.local/state/testbed/logs)
#   --dry-run    print what would be done and change nothing
set -euo pipefail
# shellcheck source=cluster-setup/kubeadm/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=cluster-setup/kubeadm/remote.sh
. "$(dirname "$0")/remote.sh"

ON_THIS_MACHINE=false
ARGUMENTS=()
while [ $# -gt 0 ]; do
  case $1 in
    --here) ON_THIS_MACHINE=true ;;
    --logs) LOGS=$(value_of "$@"); shift ;;
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    -*) mistake "unknown argument $1" ;;
    *) ARGUMENTS+=("$1") ;;
  esac
  shift
done

# What kubeadm reset leaves of Calico and kube-proxy: the tunnel, rules and files. Nobody else's interfaces are touched.
network_away() {
  local tool rules ours='KUBE-|cali[-:]'
  step "the network between pods"
  run modprobe --remove --quiet ipip || true   # takes tunl0 with it; others may still use the module
  for tool in iptables ip6tables; do
    command -v "$tool-save" >/dev/null || continue
    if $DRY_RUN; then echo "would drop: the rules of Kubernetes and Calico from $tool"; continue; fi
    rules=$("$tool-save")
    if grep -qE "$ours" <<<"$rules"; then grep -vE "$ours" <<<"$rules" | "$tool-restore"; fi
  done
  run rm -rf /etc/cni/net.d /var/lib/cni /var/lib/calico /var/log/calico /var/run/calico
}

packages_away() {
  local package installed=()
  step "packages and their repositories"
  for package in "${KUBERNETES_PACKAGES[@]}" "${CONTAINER_RUNTIME_PACKAGES[@]}" kubernetes-cni cri-tools; do
    if $DRY_RUN || dpkg-query --show "$package" >/dev/null 2>&1; then installed+=("$package"); fi
  done
  if [ ${#installed[@]} -gt 0 ]; then
    run apt-mark unhold "${installed[@]}"
    DEBIAN_FRONTEND=noninteractive run apt-get -o DPkg::Lock::Timeout=600 --quiet purge --yes "${installed[@]}"
  fi
  run rm -f /etc/apt/sources.list.d/testbed-{kubernetes,crio}.list /etc/apt/keyrings/testbed-{kubernetes,crio}.gpg
}

reset_here() {
  require_root
  if ! $DRY_RUN && [ ! -e "$STATE_DIR" ] && [ ! -e /etc/modules-load.d/testbed.conf ]; then
    if kubernetes_is_here; then fail "this machine is a node of a cluster that these scripts did not make: nothing was removed"; fi
    step "there is nothing to remove"
    run rm -rf "$INSTALL_DIR"
    return
  fi
  step "the cluster"
  if $DRY_RUN || command -v kubeadm >/dev/null; then run kubeadm reset --force --cri-socket "$CRI_SOCKET" || echo "note: kubeadm reset ended with an error; going on"; fi
  if $DRY_RUN || command -v crictl >/dev/null; then run crictl --runtime-endpoint "$CRI_SOCKET" rmi --all || true; fi
  network_away
  packages_away
  step "settings and data"
  run rm -rf --one-file-system /etc/kubernetes /var/lib/etcd /var/lib/kubelet /etc/testbed "$STATE_DIR"
  run rm -f /etc/sysctl.d/90-testbed.conf /etc/modules-load.d/testbed.conf
  run systemctl unmask --quiet swap.target
  run swapon --all
  check "no kubelet is left" no_kubelet
  run rm -rf "$INSTALL_DIR"
  step "this machine is no node any more"
}
no_kubelet() { ! systemctl is-active --quiet kubelet.service && [ ! -e /etc/kubernetes ]; }

reset_node() { on "$1" "as_root $INSTALL_DIR/kubeadm/reset.sh --here"; }

if $ON_THIS_MACHINE; then
  [ ${#ARGUMENTS[@]} -eq 0 ] || mistake "--here takes no nodes"
  reset_here
  exit 0
fi
take_nodes ${ARGUMENTS[@]+"${ARGUMENTS[@]}"}
prepare_logs
STEPS_ALL=$((2 * ${#NODES[@]}))
each "copy the scripts to $INSTALL_DIR" copy_scripts "${NODES[@]}"
each "remove the cluster, its packages and settings" reset_node "${NODES[@]}"
if $DRY_RUN; then echo "would do on each node:"; reset_here; fi
