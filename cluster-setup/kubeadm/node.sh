#!/usr/bin/env bash
# Makes this Debian or Ubuntu machine ready to be a node: kernel, swap, CRI-O, kubeadm, kubelet and kubectl, held at the versions
# of versions.toml. Run it as root; run again it changes nothing that is right already.
#
# usage: node.sh [--dry-run]
#   --dry-run   print what would be done and change nothing
set -euo pipefail
# shellcheck source=cluster-setup/kubeadm/lib.sh
. "$(dirname "$0")/lib.sh"

while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) DRY_RUN=true ;;
    -h | --help) usage; exit 0 ;;
    *) mistake "unknown argument $1" ;;
  esac
  shift
done

KUBERNETES_VERSION=$(version kubernetes version)
CRIO_VERSION=$(version crio version)
DISK_MIN_GIB=10
APT=(apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5 --quiet)
export DEBIAN_FRONTEND=noninteractive

fitness() {
  local id memory_mib free_gib
  step "is this machine fit?"
  id=$(. /etc/os-release && printf '%s %s' "$ID" "${ID_LIKE:-}")
  [[ " $id " == *" debian "* || " $id " == *" ubuntu "* ]] || fail "this is $id; these scripts know Debian and Ubuntu"
  command -v apt-get >/dev/null || fail "there is no apt-get here; these scripts know Debian and Ubuntu"
  case $(uname -m) in x86_64 | aarch64) ;; *) fail "no packages for $(uname -m): use amd64 or arm64" ;; esac
  if $DRY_RUN; then return; fi
  [ -e /sys/fs/cgroup/cgroup.controllers ] || fail "cgroup v2 is off, which the kubelet needs: boot without systemd.unified_cgroup_hierarchy=0"
  memory_mib=$(awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo)
  [ "$memory_mib" -ge 1700 ] || fail "this machine has $memory_mib MiB of memory; kubeadm asks for 1700 at least"
  [ "$(nproc)" -ge 2 ] || fail "this machine has one core; kubeadm asks for two at least"
  mkdir -p /var/lib/containers
  free_gib=$(df --output=avail --block-size=1G /var/lib/containers | tail -n 1)
  [ "$free_gib" -ge "$DISK_MIN_GIB" ] || all_installed ||
    fail "$free_gib GiB are free for images in /var/lib/containers, $DISK_MIN_GIB are needed: mount a disk there (on CloudLab: the profile's parameter disk_gb)"
}

kernel() {
  step "kernel modules and settings"
  write_file /etc/modules-load.d/testbed.conf 644 <<'EOF'
overlay
br_netfilter
EOF
  run modprobe -a overlay br_netfilter
  # inotify: kubelet, CRI-O and every log reader take instances; 128 of them do not last for a hundred pods.
  write_file /etc/sysctl.d/90-testbed.conf 644 <<'EOF'
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
net.ipv4.ip_forward = 1
fs.inotify.max_user_instances = 8192
fs.inotify.max_user_watches = 524288
EOF
  run sysctl --quiet --load /etc/sysctl.d/90-testbed.conf
  check "bridged packets pass iptables" sysctl_is net.bridge.bridge-nf-call-iptables 1
  check "packets are forwarded" sysctl_is net.ipv4.ip_forward 1
}
sysctl_is() { [ "$(sysctl -n "$1")" = "$2" ]; }

swap() {
  step "swap off: the kubelet refuses it, and it would blur what is measured"
  run swapoff -a
  # The mask outlives a reboot, whether swap comes from fstab or from the partition table; reset.sh takes it away.
  run systemctl mask --quiet swap.target
  check "there is no swap" no_swap
}
no_swap() { [ -z "$(swapon --show --noheadings)" ]; }

# Is PACKAGE there at VERSION, whatever the packaging revision?
has() { [[ $(dpkg-query --show --showformat='${db:Status-Status} ${Version}' "$1" 2>/dev/null) == "installed $2-"* ]]; }
all_installed() {
  local package
  for package in "${KUBERNETES_PACKAGES[@]}"; do has "$package" "$KUBERNETES_VERSION" || return 1; done
  for package in "${CONTAINER_RUNTIME_PACKAGES[@]}"; do has "$package" "$CRIO_VERSION" || return 1; done
}

# Adds the repository of [TABLE]; its key is trusted only if it is the one that versions.toml names.
repository() {
  local table=$1 url fingerprint keyring=/etc/apt/keyrings/testbed-$1.gpg scratch seen
  url=$(version "$table" repository)
  fingerprint=$(version "$table" key_fingerprint)
  step "package repository of $table: $url"
  if $DRY_RUN; then
    printf 'would trust: only the key %s of %sRelease.key\n' "$fingerprint" "$url"
    printf 'would write: %s\nwould write: /etc/apt/sources.list.d/testbed-%s.list\n' "$keyring" "$table"
    return
  fi
  scratch=$(mktemp -d)
  download "${url}Release.key" "$scratch/key"
  seen=$(GNUPGHOME=$scratch gpg --batch --quiet --show-keys --with-colons "$scratch/key" 2>/dev/null |
    awk -F: '$1 == "pub" { primary = 1 } $1 == "fpr" && primary { print $10; primary = 0 }' | paste -sd ' ') || true
  if [ "$seen" != "$fingerprint" ]; then
    rm -rf "$scratch"
    fail "the key of $url is ${seen:-unreadable}, versions.toml says $fingerprint: not trusted; if upstream changed its key, change key_fingerprint"
  fi
  GNUPGHOME=$scratch gpg --batch --quiet --dearmor --output "$scratch/key.gpg" "$scratch/key"
  install -D -m 644 "$scratch/key.gpg" "$keyring"
  rm -rf "$scratch"
  write_file "/etc/apt/sources.list.d/testbed-$table.list" 644 <<<"deb [signed-by=$keyring] $url /"
}

packages() {
  local wanted=() package
  if ! $DRY_RUN && all_installed; then
    step "packages: there already"
  else
    if [ -e "$STATE_DIR/initialised" ] || [ -e "$STATE_DIR/joined" ]; then
      fail "this node runs other versions than versions.toml asks for: reset.sh it first, or set versions.toml back"
    fi
    step "packages that the next steps use"
    run "${APT[@]}" update
    run "${APT[@]}" install --yes --no-install-recommends ca-certificates curl gpg conntrack ethtool iptables iproute2 socat
    repository kubernetes
    repository crio
    step "CRI-O $CRIO_VERSION, Kubernetes $KUBERNETES_VERSION"
    # The revision after the dash is the packager's: a rebuild changes it and takes the old one away.
    for package in "${KUBERNETES_PACKAGES[@]}"; do wanted+=("$package=$KUBERNETES_VERSION-*"); done
    for package in "${CONTAINER_RUNTIME_PACKAGES[@]}"; do wanted+=("$package=$CRIO_VERSION-*"); done
    run "${APT[@]}" update
    run "${APT[@]}" install --yes --no-install-recommends --allow-change-held-packages --allow-downgrades "${wanted[@]}" ||
      fail "apt could not install ${wanted[*]}; see what there is with: apt-cache madison ${KUBERNETES_PACKAGES[*]} ${CONTAINER_RUNTIME_PACKAGES[*]}"
  fi
  run apt-mark hold "${KUBERNETES_PACKAGES[@]}" "${CONTAINER_RUNTIME_PACKAGES[@]}"
  check "the packages have the versions of versions.toml" all_installed
}

runtime() {
  local bridge=/etc/cni/net.d/10-crio-bridge.conflist
  step "CRI-O and the kubelet's service"
  # With CRI-O's own bridge a node would call itself Ready before the cluster's network is there.
  if [ -e "$bridge" ]; then run mv "$bridge" "$bridge.disabled"; fi
  run systemctl enable --now --quiet crio.service
  run systemctl enable --quiet kubelet.service
  check "CRI-O runs" systemctl is-active --quiet crio.service
  if ! $DRY_RUN; then printf 'versions: %s\n' "$(dpkg-query --show --showformat='${Package} ${Version}; ' "${KUBERNETES_PACKAGES[@]}" "${CONTAINER_RUNTIME_PACKAGES[@]}")"; fi
}

require_root
fitness
kernel
swap
packages
runtime
step "this machine is ready to be a node"
