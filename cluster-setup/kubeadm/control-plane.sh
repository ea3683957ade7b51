#!/usr/bin/env bash
# Makes this machine, which node.sh made ready, the control plane: kubeadm init, then the network between pods (Calico).
# Run it as root; run again it only checks and mends.
#
# usage: control-plane.sh [--lan CIDR] [--san NAME]... [--schedulable] [--dry-run]
#        control-plane.sh --print-join-command
#   --lan CIDR              network that the nodes share; without it the one of the default route
#   --san NAME              further name or address that the API server's certificate holds
#   --schedulable           ordinary pods may run here too: for a cluster of one node
#   --print-join-command    print a command to join with, good for 15 minutes, and do nothing else
#   --dry-run               print what would be done and change nothing
set -euo pipefail
# shellcheck source=cluster-setup/kubeadm/lib.sh
. "$(dirname "$0")/lib.sh"

POD_SUBNET=10.244.0.0/16
SERVICE_SUBNET=10.96.0.0/12
LAN=
SANS=()
SCHEDULABLE=false
PRINT_JOIN=false
while [ $# -gt 0 ]; do
  case $1 in
    --lan) LAN=$(value_of "$@"); shift ;;
    --san) SANS+=("$(value_of "$@")"); shift ;;
    --schedulable) SCHEDULABLE=true ;;
    --print-join-command) PRINT_JOIN=true ;;
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    *) mistake "unknown argument $1" ;;
  esac
  shift
done
export KUBECONFIG=$ADMIN_CONF

api_is_ready() { kubectl get --raw /readyz; }

if $PRINT_JOIN; then
  require_root
  if $DRY_RUN; then run kubeadm token create --ttl 15m --print-join-command; exit 0; fi
  [ -e "$STATE_DIR/initialised" ] || fail "the control plane is not up yet"
  exec kubeadm token create --ttl 15m --print-join-command
fi

# kubeadm's configuration, in its v1beta4 form.
configuration() {
  cat <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: $ADDRESS
nodeRegistration:
  name: $NAME
  criSocket: $CRI_SOCKET
  kubeletExtraArgs:
    - name: node-ip
      value: $ADDRESS
EOF
  if $SCHEDULABLE; then printf '  taints: []\n'; fi
  cat <<EOF
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$(version kubernetes version)
networking:
  podSubnet: $POD_SUBNET
  serviceSubnet: $SERVICE_SUBNET
EOF
  if [ ${#SANS[@]} -gt 0 ]; then
    printf 'apiServer:\n  certSANs:\n'
    printf '    - "%s"\n' "${SANS[@]}"
  fi
  cat <<'EOF'
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
EOF
}

free_subnets() {
  local subnet
  for subnet in "$POD_SUBNET" "$SERVICE_SUBNET"; do
    $DRY_RUN || [ -z "$(ip -4 -o addr show to "$subnet")" ] ||
      fail "an address of this machine lies in $subnet, which pods and services are to have: change POD_SUBNET or SERVICE_SUBNET in control-plane.sh"
  done
}

init() {
  [ ! -e "$STATE_DIR/joined" ] || fail "this machine is a worker of a cluster; reset.sh it first"
  if [ -e "$STATE_DIR/initialised" ]; then
    step "control plane: there already"
  else
    if [ ! -e "$STATE_DIR/begun" ]; then free_subnets; fi
    make_way
    step "kubeadm init at $ADDRESS"
    configuration | write_file /etc/testbed/kubeadm-init.yaml 600
    # The token of the first day would stand in the log; joining makes its own.
    run kubeadm init --config /etc/testbed/kubeadm-init.yaml --skip-token-print
    run touch "$STATE_DIR/initialised"
  fi
  wait_until 300 "the API server answers" api_is_ready
}

# Calico's manifest, told to take each node's address from Kubernetes: on CloudLab the first interface is not the LAN.
network_manifest() {
  awk '{ print }
    /^            - name: IP$/ { at = NR }
    at && NR == at + 1 {
      print "            - name: IP_AUTODETECTION_METHOD"
      print "              value: \"kubernetes-internal-ip\""
      placed++
    }
    END { exit placed != 1 }' "$1" || fail "Calico's manifest has another form than $(version cni version): network_manifest in control-plane.sh must follow"
}

network() {
  local upstream=$STATE_DIR/cni-upstream.yaml manifest=$STATE_DIR/cni.yaml
  step "network between pods: $(version cni name) $(version cni version)"
  if $DRY_RUN || [ ! -e "$manifest" ]; then
    download "$(version cni url)" "$upstream" "$(version_or_empty cni sha256)"
    if ! $DRY_RUN; then network_manifest "$upstream" >"$manifest.new"; mv "$manifest.new" "$manifest"; fi
  fi
  run kubectl apply --server-side --force-conflicts --filename "$manifest"
  run kubectl --namespace kube-system rollout status daemonset/calico-node --timeout=600s
  run kubectl --namespace kube-system rollout status deployment/coredns --timeout=600s
  check "this node is Ready" kubectl wait --for=condition=Ready --timeout=300s "node/$NAME"
}

require_root
ADDRESS=$(node_address "$LAN")
NAME=$(node_name)
init
network
step "the control plane is up: $NAME, https://$ADDRESS:6443"
