# Prints what a machine is made of: a fact a line, its parts parted by tabs, its kind first. probe.py reads it.
# Almost all of it comes from /proc and /sys, which are the same on NixOS, its installer and Debian. What cannot be read
# is left out: the machine is not changed, and nothing here fails.

say() {
  printf '%s' "$1"
  shift
  for part; do printf '\t%s' "$part"; done
  echo
}
# The first line of a file, empty where there is none.
line() {
  LINE=
  if [ -r "$1" ]; then IFS= read -r LINE 2>/dev/null <"$1"; fi
}
# What the files $2... of the folder $1 say, into PARTS: each begins with a tab.
tab=$(printf '\t')
lines() {
  folder=$1 PARTS=
  shift
  for file; do
    line "$folder/$file"
    PARTS=$PARTS$tab$LINE
  done
}
has() { command -v "$1" >/dev/null 2>&1; }

# --- the system that runs now ---

line /proc/sys/kernel/hostname
say hostname "$LINE"
say kernel "$(uname -r)" "$(uname -m)"
if [ -r /etc/os-release ]; then
  (
    . /etc/os-release
    say os "${ID-}" "${VARIANT_ID-}" "${PRETTY_NAME-}"
  )
fi
if has systemd-detect-virt; then say virtualization "$(systemd-detect-virt)"; fi
# client address, client port, our address, our port; sudo may have taken it away
set -- ${SSH_CONNECTION-}
say connection "${3-}"

# --- firmware, processor, memory ---

for name in sys_vendor product_name bios_vendor bios_version bios_date; do
  line "/sys/class/dmi/id/$name"
  say dmi "$name" "$LINE"
done
if [ -r /proc/device-tree/model ]; then say board "$(tr -d '\0' </proc/device-tree/model)"; fi
if [ -d /sys/firmware/efi ]; then say efi; fi
for file in /sys/firmware/efi/efivars/SecureBoot-*; do
  # four bytes of attributes, then the value
  if [ -r "$file" ]; then say secureboot "$(od -An -tu1 -j4 -N1 "$file" | tr -d ' ')"; fi
done

for file in /dev/ipmi0 /dev/ipmi/0 /dev/ipmidev/0; do
  if [ -c "$file" ]; then say bmc; fi
done

grep -E '^(vendor_id|model name|CPU implementer)[[:space:]]*:' /proc/cpuinfo | sort -u | sed "s/^/cpuinfo$tab/"
topology=/sys/devices/system/cpu/cpu[0-9]*/topology
# One core is one set of threads. The folders are those of processors that are on.
say threads "$(grep -c '^processor' /proc/cpuinfo)"
say cores "$(cat $topology/thread_siblings_list 2>/dev/null | sort -u | grep -c .)"
say sockets "$(cat $topology/physical_package_id 2>/dev/null | sort -u | grep -c .)"
grep '^MemTotal:' /proc/meminfo | sed "s/^/meminfo$tab/"

# --- disks, and what of them is mounted ---

# The modules of a device's driver and of those that it hangs on, up to the bus.
modules_of() {
  at=$1 MODULES=
  while [ "${at#/sys/devices/}" != "$at" ]; do
    if [ -e "$at/driver/module" ]; then
      module=$(readlink "$at/driver/module")
      MODULES="$MODULES ${module##*/}"
    fi
    at=${at%/*}
  done
}
for path in /sys/block/*; do
  name=${path##*/}
  line "$path/dev"
  say block "$name" "$LINE" ''
  for part in "$path/$name"*/partition; do
    part=${part%/partition}
    line "$part/dev"
    if [ -e "$part" ]; then say block "${part##*/}" "$LINE" "$name"; fi
  done
  for below in "$path"/slaves/*; do
    if [ -e "$below" ]; then say block "$name" '' "${below##*/}"; fi
  done
  # A container sees the disks of the machine below it, but has no device files of them.
  if [ -e "$path/device" ] && [ -b "/dev/$name" ]; then
    device=$(readlink -f "$path/device")
    modules_of "$device"
    lines "$path" size removable ro queue/rotational device/vendor device/model device/name
    say disk "$name" "$device" "$MODULES$PARTS"
  fi
done
for folder in by-id by-path; do
  ls -l "/dev/disk/$folder" 2>/dev/null | sed -n "s|^.* \([^ ]*\) -> .*/\([^/]*\)\$|alias$tab$folder$tab\1$tab\2|p"
done
grep ' - [^ ]* /dev/' /proc/self/mountinfo | sed "s/^/mount$tab/"

# --- links ---

for path in /sys/class/net/*; do
  name=${path##*/}
  kind=other
  if [ -e "$path/device" ]; then kind=card; fi
  if [ -e "$path/phy80211" ] || [ -e "$path/wireless" ]; then kind=wireless; fi
  for made in bonding bridge; do
    if [ -d "$path/$made" ]; then kind=${made%ing}; fi
  done
  below= driver=
  for part in "$path"/lower_*; do
    if [ -e "$part" ]; then below="$below ${part##*/lower_}"; fi
  done
  if [ -e "$path/device/driver" ]; then driver=$(readlink "$path/device/driver"); fi
  lines "$path" type address addr_assign_type bonding_slave/perm_hwaddr operstate speed mtu bonding/mode
  if [ -d "$path" ]; then say link "$name" "$kind" "${driver##*/}" "$below$PARTS"; fi
done
if [ -r /proc/net/vlan/config ]; then grep '|' /proc/net/vlan/config | sed "s/^/vlan$tab/"; fi
if has ip; then
  ip -o addr show scope global | sed "s/^/address$tab/"
  ip -4 route show default | sed "s/^/route$tab/"
  ip -6 route show default | sed "s/^/route$tab/"
else
  say missing ip
fi
# systemd-resolved's own list, where /etc/resolv.conf names only its stub
cat /run/systemd/resolve/resolv.conf /etc/resolv.conf 2>/dev/null | grep '^nameserver' | sed "s/^/resolv$tab/"
exit 0
