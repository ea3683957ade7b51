#!/usr/bin/env bash
# Joins this machine, which node.sh made ready, to a cluster. Run it as root; run again it only checks.
# Reads the command that `control-plane.sh --print-join-command` printed from standard input, so that its token stands
# neither in the list of processes nor in a log.
#
# usage: worker.sh [--lan CIDR] [--dry-run] < join-command
#   --lan CIDR   network that the nodes share; without it the one of the default route
#   --dry-run    print what would be done and change nothing
set -euo pipefail
# shellcheck source=cluster-setup/kubeadm/lib.sh
. "$(dirname "$0")/lib.sh"

LAN=
while [ $# -gt 0 ]; do
  case $1 in
    --lan) LAN=$(value_of "$@"); shift ;;
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    *) mistake "unknown argument $1" ;;
  esac
  shift
done

JOIN_FILE=/run/testbed/join.yaml   # in memory only, gone after the join
# Sets ENDPOINT, TOKEN and CA_HASH.
read_join_command() {
  local line form='^kubeadm join ([^ ]+) --token ([a-z0-9]{6}\.[a-z0-9]{16}) --discovery-token-ca-cert-hash (sha256:[0-9a-f]{64})[[:space:]]*$'
  if $DRY_RUN; then ENDPOINT=CONTROL-PLANE:6443 TOKEN=TOKEN CA_HASH=HASH; return; fi
  IFS= read -r line || true
  [[ $line =~ $form ]] || fail "standard input holds no join command: control-plane.sh --print-join-command on the control plane prints one"
  ENDPOINT=${BASH_REMATCH[1]} TOKEN=${BASH_REMATCH[2]} CA_HASH=${BASH_REMATCH[3]}
}

configuration() {
  cat <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    apiServerEndpoint: $ENDPOINT
    token: $TOKEN
    caCertHashes:
      - $CA_HASH
nodeRegistration:
  name: $NAME
  criSocket: $CRI_SOCKET
  kubeletExtraArgs:
    - name: node-ip
      value: $ADDRESS
EOF
}

join() {
  [ ! -e "$STATE_DIR/initialised" ] || fail "this machine is the control plane of a cluster; reset.sh it first"
  if [ -e "$STATE_DIR/joined" ]; then
    [ "$(cat "$STATE_DIR/joined")" = "$CA_HASH" ] || fail "this machine belongs to another cluster; reset.sh it first"
    step "worker: joined already"
  else
    make_way
    step "join $ENDPOINT as $NAME at $ADDRESS"
    trap 'rm -f "$JOIN_FILE"' EXIT
    configuration | write_file "$JOIN_FILE" 600
    run kubeadm join --config "$JOIN_FILE"
    write_file "$STATE_DIR/joined" 644 <<<"$CA_HASH"
  fi
  wait_until 120 "the kubelet runs" systemctl is-active --quiet kubelet.service
}

require_root
ADDRESS=$(node_address "$LAN")
NAME=$(node_name)
read_join_command
join
step "this worker has joined"
