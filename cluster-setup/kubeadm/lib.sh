#!/usr/bin/env bash
# What the scripts of cluster-setup share: messages, the dry run, files written once, waiting with a limit. Sourced, never run.
# shellcheck disable=SC2034  # some of these are read by the scripts that source this file

DRY_RUN=${DRY_RUN:-false}
KUBEADM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=cluster-setup/kubeadm/versions.sh
. "$KUBEADM_DIR/versions.sh"

STATE_DIR=/var/lib/testbed        # on a node: what these scripts did to it
INSTALL_DIR=/opt/testbed          # on a node: root's own copy of these scripts
CRI_SOCKET=unix:///var/run/crio/crio.sock
ADMIN_CONF=/etc/kubernetes/admin.conf
CONTAINER_RUNTIME_PACKAGES=(cri-o)
KUBERNETES_PACKAGES=(kubelet kubeadm kubectl)

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
# A mistake on the command line.
mistake() { printf 'error: %s (see %s --help)\n' "$*" "$(basename "$0")" >&2; exit 2; }
step() { printf '== %s\n' "$*"; }
# The comment that opens the script is its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }
# The value of option $1, which is the next argument.
value_of() {
  if [ $# -lt 2 ] || [ -z "$2" ]; then mistake "$1 needs a value"; fi
  printf '%s\n' "$2"
}

require_root() {
  $DRY_RUN || [ "$(id -u)" = 0 ] || fail "$(basename "$0") changes this machine and must run as root: sudo $0"
}

# Runs a command that changes something; a dry run prints it instead.
run() {
  if $DRY_RUN; then printf 'would run:%s\n' "$(printf ' %q' "$@")"; else "$@"; fi
}

# Writes standard input to PATH with MODE, unless that is what lies there already.
write_file() {
  local path=$1 mode=$2 content
  content=$(cat; printf x)
  if $DRY_RUN; then printf 'would write: %s\n' "$path"; return; fi
  if [ -f "$path" ] && [ "$(cat "$path"; printf x)" = "$content" ]; then return; fi
  mkdir -p "$(dirname "$path")"
  (umask 077 && printf '%s' "${content%x}" >"$path.new")
  chmod "$mode" "$path.new"
  mv "$path.new" "$path"
}

# After a step: what must hold now.
check() {
  local what=$1; shift
  if $DRY_RUN; then printf 'would check: %s\n' "$what"; return; fi
  "$@" >/dev/null 2>&1 || fail "after this step it should hold that $what, and it does not (asked with: $*)"
  printf 'ok: %s\n' "$what"
}

# Waits until a command succeeds, at most LIMIT_S seconds.
wait_until() {
  local limit_s=$1 what=$2 end_s; shift 2
  if $DRY_RUN; then printf 'would wait at most %s s: %s\n' "$limit_s" "$what"; return; fi
  end_s=$((SECONDS + limit_s))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end_s" ] || fail "not within $limit_s s: $what (asked with: $*)"
    sleep 2
  done
  printf 'ok: %s\n' "$what"
}

# Downloads URL to PATH; with a SHA256 the file is checked, without one what came is said, for the log.
download() {
  local url=$1 path=$2 sha256=${3:-} seen
  if $DRY_RUN; then printf 'would download: %s (sha256 %s)\n' "$url" "${sha256:-not known}"; return; fi
  mkdir -p "$(dirname "$path")"
  curl --fail --silent --show-error --location --retry 5 --connect-timeout 20 --max-time 300 --output "$path.new" "$url" ||
    fail "cannot download $url: is the node allowed out to the internet?"
  seen=$(sha256sum "$path.new" | cut -d' ' -f1)
  printf 'downloaded: %s sha256 %s\n' "$url" "$seen"
  if [ -n "$sha256" ] && [ "$seen" != "$sha256" ]; then
    rm -f "$path.new"
    fail "$url has sha256 $seen, versions.toml says $sha256: nothing was used"
  fi
  mv "$path.new" "$path"
}

# The name under which this machine joins. Short, because a label holds 63 characters and CloudLab's full names are longer.
node_name() { hostname -s | tr '[:upper:]' '[:lower:]'; }

# This node's address: inside LAN, or without LAN where the default route leaves from.
node_address() {
  local lan=$1 found
  if [ -n "$lan" ]; then
    found=$(ip -4 -o addr show to "$lan" | awk 'NR == 1 { sub("/.*", "", $4); print $4 }') || true
    [ -n "$found" ] || fail "no address of this machine lies in $lan: give the network that the nodes share with --lan"
  else
    found=$(ip -4 -o route get 192.0.2.1 | awk '{ for (i = 1; i < NF; i++) if ($i == "src") print $(i + 1) }') || true
    [ -n "$found" ] || fail "this machine has no default route: name the network that the nodes share with --lan"
  fi
  printf '%s\n' "$found"
}

kubernetes_is_here() {
  [ -e /etc/kubernetes/kubelet.conf ] || [ -e /etc/kubernetes/manifests/kube-apiserver.yaml ]
}

# Before init or join: never touch a cluster that somebody else made, and clear away what a failed try of ours left.
make_way() {
  if [ -e "$STATE_DIR/begun" ]; then
    step "clear away what an earlier try left"
    run kubeadm reset --force --cri-socket "$CRI_SOCKET"
  elif kubernetes_is_here; then
    fail "this machine is a node of a cluster that these scripts did not make; take it out of that first (kubeadm reset)"
  fi
  run mkdir -p "$STATE_DIR"
  run touch "$STATE_DIR/begun"
}
