#!/bin/sh
# Stand-in for nixos-install on a machine of the lab that plays the installer: checks what it was given, writes it down,
# and has the machine start from what was installed, as its firmware would do with its disk.
set -eu
fail() {
  echo "slipway lab: nixos-install: $1" >&2
  exit 1
}
mkdir -p /var/log/slipway-lab
echo "nixos-install $*" >>/var/log/slipway-lab/calls

root='' system='' flags=''
while [ $# -gt 0 ]; do
  case $1 in
    --root | --system)
      [ $# -gt 1 ] || fail "$1 wants a value"
      if [ "$1" = --root ]; then root=$2; else system=$2; fi
      shift 2
      ;;
    --no-root-passwd | --no-channel-copy) flags="$flags $1" && shift ;;
    *) fail "unknown argument: $1" ;;
  esac
done
[ -n "$flags" ] || fail 'it would ask for the password of root'
mountpoint -q "$root" || fail "nothing is mounted at $root"
nix-store --store "local?root=$root" --check-validity "$system" || fail "$system is not in the store below $root"
[ -x "$root$system/activate" ] || fail "$system is no system"
key=$root/etc/ssh/ssh_host_ed25519_key
[ -s "$key" ] && [ "$(stat -c %a "$key")" = 600 ] || fail "no host key for the new system's sshd, or others can read it"

# A fault that tests ask for: it is cut off in the midst of its work, once.
if [ -e /run/slipway-lab/cut-install ]; then
  rm /run/slipway-lab/cut-install
  fail 'cut off, as asked'
fi

nix --extra-experimental-features nix-command copy --no-check-sigs --from "local?root=$root" "$system"
ln -sfn "$system" /nix/var/nix/profiles/system-2-link
ln -sfn system-2-link /nix/var/nix/profiles/system
# What /usr/lib/slipway-lab/init takes at the next boot.
mkdir -p /boot/installed/etc/ssh
cp -p "$key" "$key.pub" /boot/installed/etc/ssh/
ln -sfn "$system" /boot/default
sync
