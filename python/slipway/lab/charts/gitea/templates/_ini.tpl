{{- /* app.ini: what the stand-in needs, overridden by gitea.config. Secrets are made on the volume by init.sh. */}}
{{- define "gitea.ini" }}
{{- $base := dict
  "server" (dict "HTTP_PORT" "3000" "DISABLE_SSH" "true" "LFS_JWT_SECRET_URI" "file:/data/gitea/conf/lfs-jwt"
    "APP_DATA_PATH" "/data" "OFFLINE_MODE" "true" "STATIC_ROOT_PATH" "/usr/share/gitea")
  "database" (dict "PATH" "/data/gitea.db")
  "repository" (dict "ROOT" "/data/git/gitea-repositories")
  "security" (dict "INSTALL_LOCK" "true" "SECRET_KEY_URI" "file:/data/gitea/conf/secret-key"
    "INTERNAL_TOKEN_URI" "file:/data/gitea/conf/internal-token")
  "oauth2" (dict "JWT_SECRET_URI" "file:/data/gitea/conf/jwt")
  "log" (dict "MODE" "console" "LEVEL" "info") }}
{{- range $section, $keys := mergeOverwrite $base (deepCopy .Values.gitea.config) }}
[{{ $section }}]
{{- range $key, $value := $keys }}
{{ $key }} = {{ $value }}
{{- end }}
{{ end }}
{{- end }}
