# Lays out /etc: every file of the new system's etc folder ($1) is linked through /etc/static, which names that folder,
# so that one rename changes all of them at once; what only the old system had goes away. Sourced by `activate`.

setup_etc() {
  local new=$1 old file
  old=$(readlink /etc/static || true)

  ln -sfn "$new" /etc/.static.new && mv -T /etc/.static.new /etc/static
  if [ -n "$old" ] && [ "$old" != "$new" ]; then
    while IFS= read -r file; do
      [ -e "$new/$file" ] || [ -L "$new/$file" ] || forget_etc "$file"
    done < <(etc_files "$old")
  fi

  while IFS= read -r file; do
    link_etc "$file"
  done < <(etc_files "$new")
  while read -r mode user group file; do
    mkdir -p "$(dirname "/etc/$file")"
    install -m "$mode" -o "$user" -g "$group" "$new/$file" /etc/.copy.new && mv -T /etc/.copy.new "/etc/$file"
  done <"${new%/etc}/etc-copies"
}

# The files and links below an etc folder, by relative path.
etc_files() { [ ! -d "$1" ] || find "$1" \( -type f -o -type l \) -printf '%P\n'; }

link_etc() {
  local path=/etc/$1 target=/etc/static/$1
  [ -L "$path" ] && [ "$(readlink "$path")" = "$target" ] && return 0
  case "$copies" in *" $1 "*) return 0 ;; esac
  mkdir -p "${path%/*}"
  ln -sfn "$target" "$path.slipway-new" && mv -T "$path.slipway-new" "$path"
}

forget_etc() {
  rm -f "/etc/$1"
  rmdir --parents --ignore-fail-on-non-empty "/etc/$(dirname "$1")" 2>/dev/null || true
}

copies=" $(cut -d ' ' -f 4 "${1%/etc}/etc-copies" | tr '\n' ' ')"
setup_etc "$1"
