#!/usr/bin/env bash
# Makes a cluster of any Debian or Ubuntu machines over SSH: the first NODE is the control plane, the others are workers.
# Called again it goes on where it stopped. Nodes that set themselves up on CloudLab are recognised: then it only waits for them.
# Progress is one line a step on standard output: STEP n/m NODE: text. It ends with 0 only when every node is Ready.
#
# usage: cluster.sh [--kubeconfig FILE] [--lan CIDR] [--logs DIR] [--dry-run] [USER@]HOST...
#        cluster.sh --status [USER@]HOST...
#   --kubeconfig FILE   where to write the administrator's kubeconfig
#                       (default: ~/.local/state/testbed/kubeconfig)
#   --lan CIDR          network that the nodes share, for example 10.10.1.0/24; without it the one of their default route
#   --logs DIR          one log a node (default: ~/.local/state/testbed/logs)
#   --status            say what each node is now, and change nothing; ends with 0 only when every node is Ready
#   --dry-run           print the steps and contact no node
# SSH must work without a password, and so must sudo where USER is not root.
set -euo pipefail
# shellcheck source=cluster-setup/kubeadm/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=cluster-setup/kubeadm/remote.sh
. "$(dirname "$0")/remote.sh"

KUBECONFIG_OUT=$(dirname "$LOGS")/kubeconfig
LAN_OPTION=
STATUS=false
CLOUDLAB_LIMIT_S=3600         # for a node's own set-up, which waits for the control plane's
CLOUDLAB_BEGIN_LIMIT_S=600    # for it to begin, after the node is reachable
SETUP='/local/repository/cluster-setup/cloudlab/setup-node.sh'
ARGUMENTS=()
while [ $# -gt 0 ]; do
  case $1 in
    --kubeconfig) KUBECONFIG_OUT=$(value_of "$@"); shift ;;
    --lan)
      LAN_OPTION=$(value_of "$@"); shift
      [[ $LAN_OPTION =~ ^[0-9.]+/[0-9]+$ ]] || mistake "--lan $LAN_OPTION is no IPv4 network: write it as 10.10.1.0/24"
      LAN_OPTION="--lan $LAN_OPTION"
      ;;
    --logs) LOGS=$(value_of "$@"); shift ;;
    --status) STATUS=true ;;
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    -*) mistake "unknown argument $1" ;;
    *) ARGUMENTS+=("$1") ;;
  esac
  shift
done
take_nodes ${ARGUMENTS[@]+"${ARGUMENTS[@]}"}
CONTROL_PLANE=${NODES[0]}
WORKERS=("${NODES[@]:1}")
declare -A NAME_OF KIND_OF

# What a node says of itself: "node NAME KIND STATE", where KIND is cloudlab or plain, and STATE what setup-node.sh wrote last.
# One line, because csh, which may be the user's shell there, takes no other.
# shellcheck disable=SC2016  # the node expands it
PROBE='as_root true || { echo "error: sudo asks for a password here" >&2; exit 1; }; '
# shellcheck disable=SC2016
PROBE+='kind=plain; [ -d /local/repository/cluster-setup/cloudlab ] && kind=cloudlab; '
# shellcheck disable=SC2016
PROBE+='echo "node $(hostname -s | tr A-Z a-z) $kind $(as_root cat '$STATE_DIR'/setup-state 2>/dev/null || echo none)"'
probe() { on "$1" "$PROBE"; }

# Fills NAME_OF and KIND_OF from what the probe put into the logs.
read_probes() {
  local node name kind
  for node in "${NODES[@]}"; do
    read -r _ name kind _ < <(grep '^node ' "$(log_of "$node")" | tail -n 1) || fail "$node let us in but did not answer; see $(log_of "$node")"
    [[ " ${NAME_OF[*]:-} " != *" $name "* ]] || fail "two nodes call themselves $name: give every machine its own hostname"
    NAME_OF[$node]=$name KIND_OF[$node]=$kind
  done
  [ "$(printf '%s\n' "${KIND_OF[@]}" | sort -u | wc -l)" = 1 ] || fail "some of these nodes are CloudLab's own and others are not: give one kind"
}

prepare() { on "$1" "as_root $INSTALL_DIR/kubeadm/node.sh"; }

control_plane() {
  local host options=$LAN_OPTION
  host=$("${SSH[@]}" -T -G "$1" | awk '$1 == "hostname" { print $2 }')
  if [ ${#WORKERS[@]} -eq 0 ]; then options="$options --schedulable"; fi
  on "$1" "as_root $INSTALL_DIR/kubeadm/control-plane.sh $options --san $host"
}

# The token goes from the control plane to the worker through this process, and into no file.
join() {
  local command
  command=$(on "$CONTROL_PLANE" "as_root $INSTALL_DIR/kubeadm/control-plane.sh --print-join-command")
  on "$1" "as_root $INSTALL_DIR/kubeadm/worker.sh $LAN_OPTION" <<<"$command"
}

# On CloudLab: until the node's own set-up has ended, well or badly.
await_cloudlab() {
  local state begun_s=$SECONDS waited_s
  while :; do
    state=$(on "$1" "as_root cat $STATE_DIR/setup-state 2>/dev/null || echo none") || state='not reachable'
    waited_s=$((SECONDS - begun_s))
    case $state in
      done) return ;;
      failed*) fail "the node's own set-up $state; its log there: /local/logs/setup-node.log; once mended: sudo bash $SETUP" ;;
      none) [ "$waited_s" -lt "$CLOUDLAB_BEGIN_LIMIT_S" ] || fail "the node's own set-up has not begun in $waited_s s; start it there: sudo bash $SETUP" ;;
    esac
    [ "$waited_s" -lt "$CLOUDLAB_LIMIT_S" ] || fail "the node's own set-up did not end in $waited_s s (now: $state); its log there: /local/logs/setup-node.log"
    sleep 5
  done
}

all_ready() {
  local node names=()
  for node in "${NODES[@]}"; do names+=("node/${NAME_OF[$node]}"); done
  on "$1" "as_root kubectl --kubeconfig $ADMIN_CONF wait --for=condition=Ready --timeout=600s ${names[*]}"
}

# The administrator's kubeconfig, with the address under which this machine knows the control plane. The certificate always
# holds the name "kubernetes", so that it is checked whatever that address is (a public name of CloudLab, a tunnel).
FIRST_LINE='# Written by cluster.sh: administrator of the testbed cluster. Keep it secret.'
fetch_kubeconfig() {
  local host text
  host=$("${SSH[@]}" -T -G "$1" | awk '$1 == "hostname" { print $2 }')
  if [[ $host == *:* ]]; then host="[$host]"; fi
  text=$(on "$1" "as_root cat $ADMIN_CONF" | sed -n '/^apiVersion:/,$p')
  [[ $text == *"server: https://"* ]] || fail "the control plane's $ADMIN_CONF names no server"
  mkdir -p "$(dirname "$KUBECONFIG_OUT")"
  (
    umask 077
    { echo "$FIRST_LINE"; sed -E "s#^( *)server: https://.*:([0-9]+)\$#\1server: https://$host:\2\n\1tls-server-name: kubernetes#" <<<"$text"; } >"$KUBECONFIG_OUT.new"
  )
  mv "$KUBECONFIG_OUT.new" "$KUBECONFIG_OUT"
}

keep_strangers_kubeconfig() {
  if [ -e "$KUBECONFIG_OUT" ] && [ "$(head -n 1 "$KUBECONFIG_OUT")" != "$FIRST_LINE" ]; then
    fail "$KUBECONFIG_OUT is there and was not written by cluster.sh: name another file with --kubeconfig"
  fi
}

# One node's line of --status.
status_of() {
  local node=$1 answer name kind state line
  if ! answer=$(on "$node" "$PROBE" 2>&1 </dev/null); then printf 'STATUS %s: not reachable: %s\n' "$node" "$(tail -n 1 <<<"$answer")"; return 1; fi
  read -r _ name kind state < <(grep '^node ' <<<"$answer")
  line=$(awk -v name="$name" '$1 == name' <<<"$TABLE")
  if [ -z "$line" ]; then
    if [ "$kind" = cloudlab ] && [ "$state" != 'done' ]; then printf 'STATUS %s: its own set-up on CloudLab: %s\n' "$node" "$state"
    else printf 'STATUS %s: reachable, not a node of this cluster\n' "$node"; fi
    return 1
  fi
  awk -v node="$node" '{ printf "STATUS %s: %s, kubelet %s, %s\n", node, $2 == "True" ? "Ready" : "NotReady", $3, $4; exit $2 != "True" }' <<<"$line"
}

if $STATUS; then
  if $DRY_RUN; then for node in "${NODES[@]}"; do echo "would ask: $node"; done; exit 0; fi
  TABLE=$(on "$CONTROL_PLANE" "as_root kubectl --kubeconfig $ADMIN_CONF get nodes --no-headers --output custom-columns='NAME:.metadata.name,READY:.status.conditions[?(@.type==\"Ready\")].status,KUBELET:.status.nodeInfo.kubeletVersion,RUNTIME:.status.nodeInfo.containerRuntimeVersion'" 2>/dev/null </dev/null) || TABLE=
  all=0
  for node in "${NODES[@]}"; do status_of "$node" || all=1; done
  exit "$all"
fi

keep_strangers_kubeconfig
prepare_logs
# A first guess for the progress lines; CloudLab's nodes need fewer steps.
STEPS_ALL=$((4 * ${#NODES[@]} + 2))
each "answers over SSH, with root's rights" probe "${NODES[@]}"
if ! $DRY_RUN; then read_probes; fi
if ! $DRY_RUN && [ "${KIND_OF[$CONTROL_PLANE]}" = cloudlab ]; then
  if [ -n "$LAN_OPTION" ]; then echo "note: --lan is not used here: CloudLab's nodes have their LAN from the profile" >&2; fi
  STEPS_ALL=$((2 * ${#NODES[@]} + 2))
  each "sets itself up (CloudLab): waiting until it has" await_cloudlab "${NODES[@]}"
else
  each "copy the scripts to $INSTALL_DIR" copy_scripts "${NODES[@]}"
  each "kernel, CRI-O $(version crio version), Kubernetes $(version kubernetes version)" prepare "${NODES[@]}"
  each "control plane and network between pods" control_plane "$CONTROL_PLANE"
  if [ ${#WORKERS[@]} -gt 0 ]; then each "join the cluster" join "${WORKERS[@]}"; fi
fi
each "wait until ${#NODES[@]} of ${#NODES[@]} nodes are Ready" all_ready "$CONTROL_PLANE"
each "fetch the kubeconfig" fetch_kubeconfig "$CONTROL_PLANE"
if $DRY_RUN; then echo "would write: $KUBECONFIG_OUT"; exit 0; fi
echo "kubeconfig: $KUBECONFIG_OUT"
if [ "${KIND_OF[$CONTROL_PLANE]}" = cloudlab ]; then
  echo "addresses for load balancers: $(on "$CONTROL_PLANE" "as_root cat $STATE_DIR/load-balancer-addresses" </dev/null | paste -sd ' ')"
fi
server=$(sed -n 's#^ *server: https://##p' "$KUBECONFIG_OUT")
if ! timeout 5 bash -c ": </dev/tcp/${server%:*}/${server##*:}" 2>/dev/null; then
  echo "note: $server does not answer from this machine; forward it (ssh -L ${server##*:}:localhost:${server##*:} $CONTROL_PLANE) and name localhost as the server in $KUBECONFIG_OUT" >&2
fi
