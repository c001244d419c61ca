# The stand-in for flux-operator: makes Flux what the FluxInstance `flux` of this namespace says, and reports on it.
# /flux holds the CRDs (crds-*.yaml) and our manifests of the controllers; /operator/versions what they are.
set -u
. /operator/versions
work=/tmp/flux

# No --request-timeout: with any flag about the connection kubectl no longer takes the one of its pod.
k() { timeout 60 kubectl --namespace "$RUNTIME_NAMESPACE" "$@"; }

# read_instance: what the instance wants, in one request; empty `generation` while there is none
read_instance() {
  path='{.metadata.generation}{"\n"}{.status.conditions[?(@.status=="True")].observedGeneration}{"\n"}'
  path=$path'{.spec.distribution.version}{"\n"}{.spec.distribution.registry}{"\n"}{.spec.cluster.domain}{"\n"}'
  path=$path'{.spec.components[*]}{"\n"}{.spec.kustomize.patches}{"\n"}'
  path=$path'{.spec.sync.kind}{"\n"}{.spec.sync.url}{"\n"}{.spec.sync.ref}{"\n"}{.spec.sync.path}{"\n"}'
  path=$path'{.spec.sync.interval}{"\n"}{.spec.sync.pullSecret}{"\n"}'
  k get fluxinstance flux --ignore-not-found --output "jsonpath=$path" > /tmp/instance
  for name in generation handled version registry domain components patches \
    kind url ref folder interval secret; do
    read -r "$name" || eval "$name="
  done < /tmp/instance
}

# report STATUS REASON MESSAGE: the condition Ready, as upstream writes it; the revision once it is applied
report() {
  message=$(printf '%s' "$3" | tail -n 3 | tr '\n"\\' "  '" | cut -c 1-500)
  revision=
  [ "$1" != True ] || revision="\"lastAppliedRevision\":\"v$FLUX_VERSION\","
  {
    printf '{"status":{%s"conditions":[{"type":"Ready","status":"%s","reason":"%s",' "$revision" "$1" "$2"
    printf '"message":"%s","lastTransitionTime":"%s",' "$message" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    printf '"observedGeneration":%s}]}}' "$generation"
  } > /tmp/status
  k patch fluxinstance flux --subresource=status --type=merge --patch-file=/tmp/status > /dev/null
  echo "$1 $2: $message"
}

# The wanted release may be a range of the one that is here.
carried() {
  case "$1" in
    2.x | "${FLUX_VERSION%.*}.x" | "$FLUX_VERSION" | "v$FLUX_VERSION") return 0 ;;
  esac
  return 1
}

# The source and the Kustomization of the repository, as upstream makes them (templates.go): pruning, nothing decrypted.
sync() {
  echo "apiVersion: source.toolkit.fluxcd.io/v1"
  printf 'kind: %s\nmetadata: {name: flux-system}\nspec:\n  interval: %s\n' "$kind" "$interval"
  case $kind in
    GitRepository) printf '  url: "%s"\n  ref: {name: "%s"}\n' "$url" "$ref" ;;
    OCIRepository) printf '  url: "%s"\n  ref: {tag: "%s"}\n' "$url" "$ref" ;;
    Bucket) printf '  endpoint: "%s"\n  bucketName: "%s"\n' "$url" "$ref" ;;
  esac
  [ -z "$secret" ] || printf '  secretRef: {name: %s}\n' "$secret"
  printf -- '---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system}\n'
  printf 'spec:\n  interval: 10m\n  path: "%s"\n  prune: true\n' "$folder"
  printf '  sourceRef: {kind: %s, name: flux-system}\n' "$kind"
}

# One kustomization out of the manifests of the wanted components, with registry, domain and patches of the instance.
build() {
  rm -rf "$work" && mkdir -p "$work" || return 1
  {
    echo 'apiVersion: kustomize.config.k8s.io/v1beta1'
    echo 'kind: Kustomization'
    echo "namespace: $RUNTIME_NAMESPACE"
    echo 'resources:'
    for name in common $components ${kind:+sync}; do echo "  - $name.yaml"; done
    echo 'images:'
    for name in $components; do
      echo "  - {name: $name, newName: $registry/$name, newTag: $(eval "echo \$$(echo "$name" | tr - _)")}"
    done
    echo "patches: ${patches:-[]}"
  } > "$work/kustomization.yaml"
  for name in common $components; do
    sed "s/\.cluster\.local/.$domain/g" "/flux/$name.yaml" > "$work/$name.yaml" || return 1
  done
  [ -z "$kind" ] || sync > "$work/sync.yaml"
  # The lab's controllers are of a release before that argument.
  kubectl kustomize "$work" > /tmp/built.yaml && grep -v -e '- --override-manager=' /tmp/built.yaml > /tmp/flux.yaml
}

apply() {
  k apply --server-side --force-conflicts --field-manager=flux-operator "$@" > /dev/null
}

crds() {
  files=$(printf -- '--filename=%s ' /flux/crds-*.yaml)
  # shellcheck disable=SC2086 (one word a file)
  apply $files && k wait --for=condition=Established --timeout=50s $files > /dev/null
}

rollout() {
  k rollout status deployment --selector app.kubernetes.io/part-of=flux --timeout=55s > /dev/null
}

reconcile() {
  read_instance
  [ -n "$generation" ] && [ "$generation" != "$handled" ] || return 0
  echo 15 > /tmp/pause
  if ! carried "$version"; then
    report False BuildFailed "no Flux $version here: this stand-in carries $FLUX_VERSION"
    return 0
  fi
  report Unknown Progressing "reconciliation in progress"
  if error=$({ crds && build && apply --filename /tmp/flux.yaml && rollout; } 2>&1); then
    echo 300 > /tmp/pause
    report True ReconciliationSucceeded "Reconciliation finished, Flux $FLUX_VERSION (stand-in of flux-operator)"
  else
    report False ReconciliationFailed "$error"
  fi
}

# A new generation of the instance wakes the loop, which sleeps in the watch otherwise; a failure is tried again soon.
trap 'exit 0' TERM
until k get fluxinstances > /dev/null; do sleep 1; done
touch /tmp/ready
while :; do
  reconcile
  sleep 1
  pause=$(cat /tmp/pause 2> /dev/null || echo 300)
  timeout "$pause" kubectl --namespace "$RUNTIME_NAMESPACE" get fluxinstances --watch \
    --output 'jsonpath={.metadata.generation}{"\n"}' 2> /dev/null |
    while read -r seen; do
      [ "$seen" = "${last:-}" ] || reconcile
      last=$seen
    done
done
