#!/usr/bin/env bash
# Runs on every CloudLab node at each boot (profile.py says so) and makes the nodes a cluster by themselves: node0 becomes the
# control plane, the others join it over the experiment's LAN. By hand after a failure: sudo bash setup-node.sh.
# Its log is /local/logs/setup-node.log; what it has come to, `cluster.sh --status` tells.
#
# The join command reaches a worker over SSH with the experiment's own key (`geni-get key`), which on node0 may do one thing
# only: print a join command that is good for 15 minutes. No secret lies in the repository, on a disk or open on the LAN.
#
# usage: setup-node.sh [--lan CIDR] [--control-plane ADDRESS] [--private-pool RANGE] [--dry-run]
#   --lan CIDR                the experiment's LAN (default: as in profile.py)
#   --control-plane ADDRESS   node0's address in it (default: as in profile.py)
#   --private-pool RANGE      addresses of the LAN for MetalLB, where no public ones were asked for (default: as in profile.py)
#   --dry-run                 print what would be done and change nothing
set -euo pipefail
CLUSTER_SETUP=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=cluster-setup/kubeadm/lib.sh
. "$CLUSTER_SETUP/kubeadm/lib.sh"

LAN=10.10.1.0/24
CONTROL_PLANE=10.10.1.1
PRIVATE_POOL=10.10.1.240-10.10.1.250
while [ $# -gt 0 ]; do
  case $1 in
    --lan) LAN=$(value_of "$@"); shift ;;
    --control-plane) CONTROL_PLANE=$(value_of "$@"); shift ;;
    --private-pool) PRIVATE_POOL=$(value_of "$@"); shift ;;
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    *) mistake "unknown argument $1" ;;
  esac
  shift
done

LOG=/local/logs/setup-node.log
JOIN_LIMIT_S=2400               # node0 installs, pulls its images and starts the network first
KEY_DIR=/run/testbed            # in memory only
SCRIPTS=$INSTALL_DIR/kubeadm
OPTIONS=()
if $DRY_RUN; then SCRIPTS=$CLUSTER_SETUP/kubeadm OPTIONS=(--dry-run); fi

# What cluster.sh reads: running, done, or failed with the step.
STEP="begin"
state() { if ! $DRY_RUN; then mkdir -p "$STATE_DIR"; printf '%s\n' "$1" >"$STATE_DIR/setup-state"; fi; }
begin() { STEP=$1; step "$(date -u +%FT%TZ) $1"; }
ending() {
  local status=$?
  rm -rf "$KEY_DIR/key"
  if [ "$status" = 0 ]; then state 'done'; else state "failed at: $STEP"; fi
}

# The scripts where only root can change them: the clone belongs to the experiment's user.
install_scripts() {
  begin "copy the scripts to $INSTALL_DIR"
  run mkdir -p "$INSTALL_DIR/kubeadm"
  run cp "$CLUSTER_SETUP"/kubeadm/*.sh "$INSTALL_DIR/kubeadm/"
  run cp "$CLUSTER_SETUP/versions.toml" "$INSTALL_DIR/"
}

# The experiment's key pair: every node gets the same from the testbed's own channel.
experiment_key() {
  begin "the experiment's key"
  if $DRY_RUN; then echo "would run: geni-get key"; return; fi
  (umask 077 && mkdir -p "$KEY_DIR" && geni-get key >"$KEY_DIR/key") || fail "geni-get key failed: is this a CloudLab node?"
  [ -s "$KEY_DIR/key" ] || fail "geni-get key gave nothing"
}

# On node0: whoever holds the experiment's key, and comes from the LAN, may have a join command printed, and nothing else.
allow_joining() {
  local file=/root/.ssh/authorized_keys2 public   # Emulab rewrites authorized_keys
  begin "let the workers ask for a join command"
  if $DRY_RUN; then echo "would write: $file (one forced command)"; return; fi
  public=$(ssh-keygen -y -f "$KEY_DIR/key" | cut -d' ' -f1-2)
  install -d -m 700 /root/.ssh
  { if [ -f "$file" ]; then grep -v ' testbed-join$' "$file" || true; fi
    printf 'restrict,from="%s",command="%s/control-plane.sh --print-join-command" %s testbed-join\n' "$LAN" "$SCRIPTS" "$public"
  } | write_file "$file" 600
}

# The public addresses that the profile asked for, from the experiment's manifest, as ranges FIRST-LAST, one a line; none if it
# asked for none.
public_addresses() {
  geni-get manifest | tr '<' '\n' | awk '
    /^[a-z0-9]*:?routable_pool / { inside = 1 }
    /^\/[a-z0-9]*:?routable_pool/ { inside = 0 }
    inside && match($0, /address="[0-9.]+"/) { print substr($0, RSTART + 9, RLENGTH - 10) }' | sort -t . -k 1,1n -k 2,2n -k 3,3n -k 4,4n | awk '
    { split($0, part, "."); number = ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4] }
    NR > 1 && number != before + 1 { print first "-" last; first = "" }
    first == "" { first = $0 }
    { last = $0; before = number }
    END { if (NR) print first "-" last }'
}

# Ranges for MetalLB, one a line, where whoever installs it can read them.
load_balancer_addresses() {
  local addresses
  begin "addresses for MetalLB"
  if $DRY_RUN; then echo "would write: $STATE_DIR/load-balancer-addresses"; return; fi
  addresses=$(public_addresses) || addresses=
  printf '%s\n' "${addresses:-$PRIVATE_POOL}" | write_file "$STATE_DIR/load-balancer-addresses" 644
}

ask_for_join_command() {
  ssh -n -i "$KEY_DIR/key" -o BatchMode=yes -o IdentitiesOnly=yes -o ConnectTimeout=10 \
    -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="$STATE_DIR/known_hosts" \
    "root@$CONTROL_PLANE" control-plane.sh --print-join-command
}

join() {
  local command end_s=$((SECONDS + JOIN_LIMIT_S))
  begin "join the control plane at $CONTROL_PLANE"
  if $DRY_RUN; then "$SCRIPTS/worker.sh" --lan "$LAN" --dry-run; return; fi
  until command=$(ask_for_join_command); do
    [ "$SECONDS" -lt "$end_s" ] || fail "node0 gave no join command within $JOIN_LIMIT_S s; see $LOG there"
    sleep 10
  done
  "$SCRIPTS/worker.sh" --lan "$LAN" <<<"$command"
}

require_root
NAME=$(node_name)
[[ $NAME =~ ^node[0-9]+$ ]] || fail "this machine is called $NAME; the profile's nodes are node0 (control plane), node1 and so on"
if ! $DRY_RUN; then
  mkdir -p "$(dirname "$LOG")" /run/lock
  exec > >(tee -a "$LOG") 2>&1
  exec 9>/run/lock/testbed-setup
  flock -n 9 || fail "setup-node.sh is running already; follow it in $LOG"
  trap ending EXIT
fi
state running
install_scripts
begin "make $NAME ready"
"$SCRIPTS/node.sh" "${OPTIONS[@]}"
if [ "$NAME" = node0 ]; then
  experiment_key
  begin "control plane"
  # The full name is public: with it kubectl reaches the API server from anywhere.
  "$SCRIPTS/control-plane.sh" --lan "$LAN" --san "$(hostname -f)" "${OPTIONS[@]}"
  allow_joining
  load_balancer_addresses
elif [ -e "$STATE_DIR/joined" ]; then
  begin "worker: joined already"
else
  experiment_key
  join
fi
begin "done"
