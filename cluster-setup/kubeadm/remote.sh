#!/usr/bin/env bash
# How cluster.sh and reset.sh reach the nodes: SSH, the same step on many nodes at once, progress lines, one log a node.
# Sourced after lib.sh, never run.

NODES=()
LOGS=${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/testbed/logs
STEPS_DONE=0
STEPS_ALL=0
# The first contact records a node's host key; a key that changed later is refused.
SSH=(ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=8 -o StrictHostKeyChecking=accept-new)

# Takes the command line's nodes into NODES.
take_nodes() {
  local node
  [ $# -gt 0 ] || mistake "name the nodes, as [USER@]HOST; the first is the control plane"
  for node; do
    [[ $node =~ ^([A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9._:-]*$ ]] || mistake "'$node' is no node: write [USER@]HOST"
    [[ " ${NODES[*]} " != *" $node "* ]] || mistake "node $node is named twice"
    NODES+=("$node")
  done
}

log_of() { printf '%s/%s.log\n' "$LOGS" "${1//[^A-Za-z0-9._@-]/_}"; }

# Runs SCRIPT by sh on NODE, whatever the user's shell there is. `as_root COMMAND` in it asks sudo where that is needed.
on() {
  local node=$1 script
  # shellcheck disable=SC2016  # the node expands it
  script='as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }; '$2
  "${SSH[@]}" "$node" "sh -c '${script//\'/\'\\\'\'}'"
}

# One line of progress, the only thing on standard output beside results.
announce() {
  STEPS_DONE=$((STEPS_DONE + 1))
  printf 'STEP %s/%s %s: %s\n' "$STEPS_DONE" "$STEPS_ALL" "$1" "$2"
}

# each TEXT FUNCTION NODE...: FUNCTION NODE on all of them at once, output to each node's log. All end before a failure is told.
each() {
  local text=$1 action=$2 node failed=() pids=() i
  shift 2
  for node; do
    announce "$node" "$text"
    if $DRY_RUN; then continue; fi
    printf '\n#### %s  %s\n' "$(date -u +%FT%TZ)" "$text" >>"$(log_of "$node")"
    (set -e; "$action" "$node") >>"$(log_of "$node")" 2>&1 </dev/null &
    pids+=($!)
  done
  i=0
  for node; do
    if $DRY_RUN; then continue; fi
    wait "${pids[i]}" || failed+=("$node")
    i=$((i + 1))
  done
  if [ ${#failed[@]} -eq 0 ]; then return; fi
  for node in "${failed[@]}"; do
    printf 'FAILED %s: %s: %s (log: %s)\n' "$node" "$text" "$(last_words "$node")" "$(log_of "$node")" >&2
  done
  fail "mend that and call the same command again: what is done already is not done twice"
}

# The line of a node's log that says why: its last error, else its last line.
last_words() {
  local log
  log=$(log_of "$1")
  { grep -v 'unable to resolve host' "$log" | grep -E '^(error|E|fatal|ssh|sudo)[: ]|Permission denied|Could not resolve|Connection (refused|timed out)|Host key verification' | tail -n 1 | grep . || tail -n 1 "$log"; } | cut -c 1-300
}

# Puts this folder's scripts and versions.toml into INSTALL_DIR of NODE, owned by root.
copy_scripts() {
  tar -C "$KUBEADM_DIR/.." --owner=0 --group=0 --exclude='*.md' -czf - kubeadm versions.toml |
    on "$1" "as_root mkdir -p $INSTALL_DIR && as_root tar -C $INSTALL_DIR --no-same-owner -xzf -"
}

prepare_logs() {
  if $DRY_RUN; then return; fi
  mkdir -p "$LOGS" && chmod 700 "$LOGS"
}
