# Writes what containerd reads at every pull, with the passwords of mirrors put in: registries.sh LOGINS TARGET [REGISTRY
# FILE]... A line `@login HOST@` of FILE becomes the header for HOST, from LOGINS, whose lines are HOST and the header's
# value. All of them or none: without, containerd goes on with the same files in /etc/k0s/certs.d, which have no password.
set -u
umask 077
logins=$1 target=$2
shift 2

login() {
  while read -r host value; do
    if [ "$host" = "$1" ]; then
      printf '%s' "$value"
      return
    fi
  done <"$logins"
  echo "slipway: $logins has no login for $1: slipway deploy brings it" >&2
  return 1
}

compose() {
  while IFS= read -r line; do
    case $line in
      "@login "*@)
        line=${line#@login }
        header=$(login "${line%@}") || return 1
        printf '    Authorization = "%s"\n' "$header"
        ;;
      *) printf '%s\n' "$line" ;;
    esac
  done
}

fresh=$target.new
rm -rf "$fresh"
while [ $# -gt 0 ]; do
  mkdir -p "$fresh/$1" && compose <"$2" >"$fresh/$1/hosts.toml" || { rm -rf "$fresh" "$target"; exit 1; }
  shift 2
done
# File by file: a pull that goes on meanwhile finds the one or the other.
for folder in "$target"/*; do
  if [ -d "$folder" ] && [ ! -d "$fresh/${folder##*/}" ]; then rm -rf "$folder"; fi
done
for folder in "$fresh"/*; do
  name=${folder##*/}
  mkdir -p "$target/$name" && mv -f "$folder/hosts.toml" "$target/$name/hosts.toml" || exit 1
done
rm -rf "$fresh"
