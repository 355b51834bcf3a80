# Run by `helm test`, with sh and curl; see values.yaml. API servers take up a webhook configuration some seconds after it
# was written, so everything is tried for a minute.

deployment='{
  "apiVersion": "apps/v1",
  "kind": "Deployment",
  "metadata": {"generateName": "reroll-test-", "annotations": {"reroll.dev/restart-on": "auto"}},
  "spec": {
    "selector": {"matchLabels": {"app": "reroll-test"}},
    "template": {
      "metadata": {"labels": {"app": "reroll-test"}},
      "spec": {
        "containers": [{"name": "test", "image": "registry.k8s.io/pause:3.10"}],
        "volumes": [{"name": "ca", "configMap": {"name": "kube-root-ca.crt"}}]
      }
    }
  }
}'

is_ready() { curl --silent --show-error --fail --max-time 5 --output /dev/null "$READY_URL"; }

# A dry run passes through the webhook like any other write; what it answers is in what comes back.
is_called() {
  answer=$(curl --silent --show-error --max-time 10 --cacert "$SERVICE_ACCOUNT/ca.crt" \
    --header "Authorization: Bearer $(cat "$SERVICE_ACCOUNT/token")" \
    --header 'Content-Type: application/json' --data "$deployment" "$DEPLOYMENTS_URL") || return 1
  case "$answer" in
    *'"reroll.dev/observed"'*) ;;
    *'"kind":"Deployment"'* | *'"kind": "Deployment"'*) echo "the API server did not ask the webhook" && return 1 ;;
    *) echo "the API server says: $answer" && return 1 ;;
  esac
}

# Where another installation works, this one does nothing. Only the replica that leads may know it, so a few are asked.
tell_who_works_elsewhere() {
  for _ in 1 2 3 4 5; do
    curl --silent --max-time 5 "$METRICS_URL" | sed -n 's/^reroll_namespaces_elsewhere{\(.*\)} \(.*\)$/\2 namespaces: \1/p'
  done | sort -u | sed 's/^/WARNING: another installation of reroll works in /'
}

within_a_minute() {
  tries=0
  until "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || { echo "FAILED: $2" && exit 1; }
    sleep 3
  done
  echo "ok: $2"
}

[ -z "${READY_URL-}" ] || within_a_minute is_ready "reroll is ready"
[ -z "${METRICS_URL-}" ] || tell_who_works_elsewhere
[ -z "${DEPLOYMENTS_URL-}" ] || within_a_minute is_called "the API server asks reroll about a Deployment"
