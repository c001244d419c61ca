# Before every start of Gitea: its configuration, its own secrets (made once), its database, its first user.
# The password comes in the environment and goes out through a socket: a program's arguments are for everybody to read.
set -euo pipefail
umask 077
conf=/data/gitea/conf
mkdir -p "$conf" "$HOME" /data/git
cp /config/app.ini "$GITEA_APP_INI"

made() { [ -s "$conf/$1" ] || gitea generate secret "$2" > "$conf/$1"; }
made secret-key SECRET_KEY
made internal-token INTERNAL_TOKEN
made jwt JWT_SECRET
made lfs-jwt LFS_JWT_SECRET

gitea() { command gitea --config "$GITEA_APP_INI" "$@"; }
gitea migrate > /dev/null

# As with upstream's `passwordMode: keepUpdated`, a changed Secret reaches Gitea with its next start.
user=$GITEA_ADMIN_USERNAME
wanted=$(printf '%s:%s' "$user" "$GITEA_ADMIN_PASSWORD" | sha256sum)
if [ "$wanted" = "$(cat "$conf/admin" 2> /dev/null)" ]; then exit 0; fi

if ! gitea admin user list --admin | grep -qw "$user"; then
  # Its random password is thrown away.
  gitea admin user create --admin --username "$user" --email "$GITEA_ADMIN_EMAIL" --random-password \
    --must-change-password=false > /dev/null
fi

# request METHOD PATH AUTHORIZATION BODY: prints the status code of the answer
request() {
  exec 3<> /dev/tcp/127.0.0.1/3000
  printf '%s /api/v1%s HTTP/1.0\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
    "$1" "$2" "$3" "${#4}" "$4" >&3
  read -r _ status _ <&3
  exec 3>&-
  echo "$status"
}

gitea web > /tmp/web.log 2>&1 &
web=$!
trap 'kill $web; wait $web || true' EXIT
for _ in $(seq 60); do
  if (exec 3<> /dev/tcp/127.0.0.1/3000) 2> /dev/null; then break; fi
  sleep 0.5
done
name=init-$RANDOM$RANDOM
token=$(gitea admin user generate-access-token --username "$user" --token-name "$name" --scopes all --raw)
body=$(printf '{"login_name":"%s","source_id":0,"must_change_password":false,"password":"%s"}' "$user" "$GITEA_ADMIN_PASSWORD")
status=$(request PATCH "/admin/users/$user" "token $token" "$body")
[ "$status" = 200 ] || { echo "setting the password of $user: HTTP $status" >&2; exit 1; }

# With the new password, which proves it, the token goes again.
basic=$(printf '%s:%s' "$user" "$GITEA_ADMIN_PASSWORD" | base64 | tr -d '\n')
status=$(request DELETE "/users/$user/tokens/$name" "Basic $basic" "")
[ "$status" = 204 ] || { echo "the new password of $user does not work: HTTP $status" >&2; exit 1; }
echo "$wanted" > "$conf/admin"
