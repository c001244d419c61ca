# Prints what the disks named as arguments hold: a fact a line, its parts parted by tabs, its kind first. disks.py reads
# it. Nothing is written: file systems are mounted read-only, without replaying a journal, in a place of our own.
say() {
  printf '%s' "$1"
  shift
  for word; do printf '\t%s' "$word"; done
  echo
}

# What a member of a cluster keeps: k0s, etcd, k3s, RKE2, kubeadm; where a disk of its own is mounted there, its inside.
KEPT='var/lib/k0s/pki var/lib/k0s/etcd var/lib/k0s/kubelet.conf var/lib/k0s/db var/lib/etcd/member var/lib/rancher
  etc/kubernetes/manifests etcd/member member/snap pki/etcd k3s/server rke2/server'
cluster_in() {
  for kept in $KEPT; do
    # Subvolumes of btrfs lie one folder deeper.
    for found in "$1"/$kept "$1"/*/$kept; do
      if [ -e "$found" ]; then say cluster "$2" "/${found#"$1"/}" && return; fi
    done
  done
}

place=$(mktemp -d)
trap 'umount "$place" 2>/dev/null; rmdir "$place"' EXIT
look_into() {
  case $2 in
    ext2 | ext3 | ext4) options=ro,noload ;;
    xfs) options=ro,norecovery,nouuid ;;
    btrfs) options=ro,rescue=nologreplay ;;
    vfat | swap | iso9660 | squashfs | '') return ;;
    *) say closed "$1" "$2" && return ;;
  esac
  if mount -t "$2" -o "$options" "$1" "$place" 2>/dev/null; then
    cluster_in "$place" "$1"
    umount "$place"
  else
    say closed "$1" "$2"
  fi
}

for named; do
  device=$(readlink -f "$named")
  if ! [ -b "$device" ]; then
    say missing "$named"
    continue
  fi
  say disk "$named" "$device" "$(lsblk -bdno SIZE "$device")" "$(lsblk -dno MODEL "$device")"
  lsblk -lnpo NAME "$device" | while read -r part; do
    # Read from the disk itself: what udev knows, and lsblk tells, may be old or nothing.
    kind=$(blkid -p -o value -s TYPE "$part" 2>/dev/null)
    [ $? -ne 8 ] || kind=ambiguous
    label=$(blkid -p -o value -s LABEL "$part" 2>/dev/null) place_now=$(lsblk -dno MOUNTPOINT "$part")
    say part "$named" "$part" "$(lsblk -bdno SIZE "$part")" "$kind" "$label" "$place_now"
    case $place_now in
      /*) cluster_in "${place_now%/}" "$part" ;;
      *) look_into "$part" "$kind" ;;
    esac
  done
done
# The system that runs now, wherever it has its file systems; an installer's own lie in memory.
cluster_in '' running
exit 0
