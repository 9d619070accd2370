#!/usr/bin/env bash
# Drives a real credcache with a real grpcurl, by reflection alone, as a caller in
# any other language sees the server. Usage: grpcurl.sh PATH-TO-CREDCACHE
# (GRPCURL names the grpcurl to use.)
#
# Prints `ok - …` or `not ok - …` for each check, then `N passed, M failed`.
set -euo pipefail

credcache=${1:?usage: grpcurl.sh PATH-TO-CREDCACHE}
grpcurl=${GRPCURL:-grpcurl}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
service=credcache.v1.CredentialCacheService

main() {
  start_server
  check_reflection
  check_health
  check_put_and_get
  check_refusals
  check_preconditions
  check_invalidate
  check_unix_socket
  check_stats
  check_batches
  check_leases
  check_watch
  check_shutdown
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0))
}

check_reflection() {
  ask list
  answered 'list by reflection' "^$service\$" '^grpc\.health\.v1\.Health$' '^grpc\.reflection\.v1\.ServerReflection$'

  ask describe "$service"
  answered 'describe the service' 'rpc Get \(' 'rpc Put \(' 'rpc Invalidate \(' 'rpc Stats \(' \
    'rpc BatchGet \(' 'rpc BatchPut \(' 'rpc ExtendLease \(' 'rpc AbandonLease \(' 'rpc Watch \('

  ask describe credcache.v1.PutRequest
  answered 'describe PutRequest' 'oneof lifetime \{' 'google\.protobuf\.Duration ttl' 'bytes value' \
    'oneof precondition \{' 'bool single_use' 'bytes lease_token = 11 \[debug_redact = true\]'
  ask describe credcache.v1.Credential
  answered 'describe Credential' 'google\.protobuf\.Timestamp expires_at' 'map<string, string> attributes' 'uint64 version'
  ask describe google.rpc.ErrorInfo
  answered 'describe the details of errors' 'string reason' 'string domain'
  ask describe credcache.v1.MissReason
  answered 'describe MissReason' MISS_REASON_NOT_FOUND MISS_REASON_REVOKED

  ask_with -import-path "$here" -proto reflection_v1alpha.proto -d '{"list_services": ""}' -- \
    "$address" grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo
  answered 'reflection v1alpha lists the service' "\"name\": \"$service\""
}

check_health() {
  call grpc.health.v1.Health/Check '{}'
  answered 'health is SERVING' '"status": "SERVING"'
}

check_put_and_get() {
  call Get '{"namespace": "interop", "key": "absent"}'
  answered 'Get of an unknown key is a miss, not an error' '"miss"' MISS_REASON_NOT_FOUND

  # Bytes that are neither text nor UTF-8, under a key that isn't ASCII.
  local value key='role/prüfer/读'
  value=$(printf 'secret\000\377\n' | base64)
  call Put "{\"namespace\": \"interop\", \"key\": \"$key\", \"value\": \"$value\", \"ttl\": \"600s\",
    \"attributes\": {\"region\": \"eu-central-1\"}, \"tags\": [\"team-a\"]}"
  answered 'Put' '"version": "[0-9]+"' '"tier": "15-minutes"' '"expiresAt": "20'

  call Get "{\"namespace\": \"interop\", \"key\": \"$key\"}"
  answered 'Get returns the value and its other fields' "\"value\": \"$value\"" '"ttl": "[0-9.]+s"' \
    '"expiresAt": "20' '"refreshAt": "20' '"version": "[0-9]+"' '"tier": "15-minutes"' '"region": "eu-central-1"' '"team-a"'

  call Get "{\"namespace\": \"interop\", \"key\": \"$key\", \"min_ttl\": \"3600s\"}"
  answered 'Get with a longer min_ttl is a miss' '"miss"' MISS_REASON_TTL_TOO_SHORT
  call Get "{\"namespace\": \"elsewhere\", \"key\": \"$key\"}"
  answered 'another namespace does not see it' '"miss"' MISS_REASON_NOT_FOUND

  call Put "{\"namespace\": \"interop\", \"key\": \"short\", \"value\": \"$value\", \"ttl\": \"3600s\", \"tier\": \"1-minute\"}"
  answered 'Put into a named tier' '"tier": "1-minute"'
  call Get '{"namespace": "interop", "key": "short"}'
  answered 'a lifetime is cut to its tier' '"ttl": "([0-9]|[1-5][0-9]|60)(\.[0-9]+)?s"'
}

check_refusals() {
  call Put '{"namespace": "interop", "key": "k", "value": "eA=="}'
  refused 'Put without a lifetime' InvalidArgument google.rpc.ErrorInfo '"domain": "credcache"' '"reason": "[A-Z_]+"' \
    google.rpc.BadRequest '"field": '
  call Put '{"namespace": "interop", "key": "k", "value": "eA==", "ttl": "0s"}'
  refused 'Put with a lifetime of zero' InvalidArgument google.rpc.BadRequest
  call Put '{"namespace": "interop", "key": "k", "value": "eA==", "expires_at": "2001-01-01T00:00:00Z"}'
  refused 'Put of what has already expired' InvalidArgument google.rpc.BadRequest
  call Put '{"namespace": "Not Allowed", "key": "", "value": "eA==", "ttl": "60s"}'
  refused 'every offending field is named' InvalidArgument '"field": "namespace"' '"field": "key"'
  call Put '{"namespace": "interop", "key": "k", "value": "eA==", "ttl": "60s", "tier": "no-such-tier"}'
  refused 'Put into an unknown tier' InvalidArgument google.rpc.BadRequest '"field": "tier"'
  call Put '{"namespace": "interop", "key": "k", "value": "eA==", "ttl": "60s", "single_use": true}'
  refused 'Put of a single-use credential' FailedPrecondition google.rpc.ErrorInfo

  call Get '{"namespace": "interop", "key": "k"}'
  answered 'none of the refused Puts was stored' '"miss"' MISS_REASON_NOT_FOUND
}

check_preconditions() {
  call Put '{"namespace": "interop", "key": "once", "value": "Zmlyc3Q=", "ttl": "60s", "if_absent": true}'
  answered 'Put if_absent of a new key' '"version"'
  local version
  version=$(sed -n 's/.*"version": "\([0-9]*\)".*/\1/p' <<<"$output")

  call Put '{"namespace": "interop", "key": "once", "value": "c2Vjb25k", "ttl": "60s", "if_absent": true}'
  refused 'Put if_absent of a live key' AlreadyExists google.rpc.ErrorInfo
  call Put '{"namespace": "interop", "key": "once", "value": "c2Vjb25k", "ttl": "60s", "if_version": "999999"}'
  refused 'Put if_version of another version' Aborted google.rpc.ErrorInfo
  call Get '{"namespace": "interop", "key": "once"}'
  answered 'a refused Put changes nothing' '"value": "Zmlyc3Q="'

  call Put "{\"namespace\": \"interop\", \"key\": \"once\", \"value\": \"c2Vjb25k\", \"ttl\": \"60s\", \"if_version\": \"$version\"}"
  answered 'Put if_version of the live version' '"version"'
  call Get '{"namespace": "interop", "key": "once"}'
  answered 'the Put replaced the value' '"value": "c2Vjb25k"'
}

check_invalidate() {
  local key
  for key in a/1 a/2 b/1 b/2 c/1; do
    call Put "{\"namespace\": \"revoked\", \"key\": \"$key\", \"value\": \"eA==\", \"ttl\": \"60s\", \"tags\": [\"${key#*/}\"]}"
    answered "Put $key" '"version"'
  done

  call Invalidate '{"namespace": "revoked", "key": "c/1", "if_version": "999999"}'
  answered 'Invalidate of another version removes nothing' '"revision": "[0-9]+"'
  call Get '{"namespace": "revoked", "key": "c/1"}'
  answered 'the live version stays' '"value": "eA=="'
  call Invalidate '{"namespace": "revoked", "key": "c/1"}'
  answered 'Invalidate a key' '"removed": "1"' '"revision": "[0-9]+"'
  gone c/1
  call Invalidate '{"namespace": "revoked", "key_prefix": "a/"}'
  answered 'Invalidate a prefix' '"removed": "2"'
  gone a/1
  gone a/2
  call Invalidate '{"namespace": "revoked", "tag": "1"}'
  answered 'Invalidate a tag' '"removed": "1"'
  gone b/1
  call Get '{"namespace": "revoked", "key": "b/2"}'
  answered 'a credential that matched no invalidation stays' '"value": "eA=="'
  call Invalidate '{"namespace": "revoked", "all": true}'
  answered 'Invalidate all' '"removed": "1"'
  gone b/2
  call Get '{"namespace": "interop", "key": "once"}'
  answered 'another namespace keeps its own' '"value": "c2Vjb25k"'
  call Invalidate '{"namespace": "revoked"}'
  refused 'Invalidate without a target' InvalidArgument google.rpc.BadRequest
}

check_unix_socket() {
  ask_with -unix -d '{"namespace": "interop", "key": "once"}' -- "$socket" "$service/Get"
  answered 'the Unix socket answers for the same cache' '"value": "c2Vjb25k"'
  ask_with -unix -- "$socket" list
  answered 'the Unix socket reflects' "^$service\$"
}

check_stats() {
  call Stats '{}'
  answered 'Stats of the server' '"instanceId": ".+"' '"startedAt": "20' '"hits": "[0-9]+"' '"notFound": "[0-9]+"' \
    '"ttlTooShort": "1"' '"name": "1-minute"' '"name": "15-minutes"' '"name": "1-hour"' '"name": "12-hours"' \
    '"capacityBytes": "[0-9]+"'
  call Stats '{"namespace": "revoked"}'
  answered 'Stats of a namespace' '"puts": "5"' '"invalidated": "5"'
}

check_batches() {
  call BatchPut '{"requests": [
    {"namespace": "batched", "key": "a", "value": "Zmlyc3Q=", "ttl": "60s"},
    {"namespace": "batched", "key": "", "value": "eA==", "ttl": "60s"},
    {"namespace": "batched", "key": "a", "value": "eA==", "ttl": "60s", "if_absent": true},
    {"namespace": "batched", "key": "b", "value": "c2Vjb25k", "ttl": "60s"}]}'
  answered 'BatchPut' '"version": "[0-9]+"'
  in_order 'each item of a BatchPut stands or fails alone, in its place' '"response"' '"code": 3' '"reason": "INVALID_FIELD"' \
    '"field": "key"' '"code": 6' '"reason": "KEY_LIVE"' '"response"'

  call BatchGet '{"namespace": "batched", "keys": ["b", "absent", "a", "b"]}'
  answered 'BatchGet' '"ttl": "[0-9.]+s"' '"expiresAt": "20'
  in_order 'each key of a BatchGet is answered in its place' '"value": "c2Vjb25k"' MISS_REASON_NOT_FOUND '"value": "Zmlyc3Q="' \
    '"value": "c2Vjb25k"'
  call BatchGet '{"namespace": "batched", "keys": ["a"], "min_ttl": "3600s"}'
  answered 'BatchGet with a longer min_ttl is a miss' MISS_REASON_TTL_TOO_SHORT
  call BatchGet '{"namespace": "interop", "keys": ["a", "b"]}'
  in_order 'another namespace does not see a batch' MISS_REASON_NOT_FOUND MISS_REASON_NOT_FOUND

  call BatchGet '{"namespace": "batched", "keys": []}'
  refused 'BatchGet of no keys' InvalidArgument '"field": "keys"'
  call BatchGet '{"namespace": "batched", "keys": ["a", ""]}'
  refused 'BatchGet names the bad key' InvalidArgument '"field": "keys\[1\]"'
  call BatchPut "{\"requests\": [$(printf '{},%.0s' {1..1000}){}]}"
  refused 'BatchPut of more than a thousand' InvalidArgument '"field": "requests"'
}

check_leases() {
  local token version
  call Get '{"namespace": "leased", "key": "k", "acquire_lease": true}'
  answered 'a miss grants the lease' MISS_REASON_NOT_FOUND '"token": ".{24}"' '"ttl": "10s"'
  token=$(field token)
  call Get '{"namespace": "leased", "key": "k", "acquire_lease": true, "wait": "0.05s"}'
  answered 'no other caller is granted the lease' MISS_REASON_PENDING '"retryAfter": "[0-9.]+s"'
  call Put '{"namespace": "leased", "key": "k", "value": "eA==", "ttl": "60s", "lease_token": "AAAAAAAAAAAAAAAAAAAAAA=="}'
  refused 'Put under another lease' Aborted '"reason": "LEASE_LOST"'
  call ExtendLease "{\"namespace\": \"leased\", \"key\": \"k\", \"lease_token\": \"$token\", \"lease_ttl\": \"30s\"}"
  answered 'ExtendLease' '"ttl": "30s"'
  call ExtendLease '{"namespace": "leased", "key": "k", "lease_token": "AAAAAAAAAAAAAAAAAAAAAA=="}'
  refused 'ExtendLease of another lease' Aborted '"reason": "LEASE_LOST"'
  call ExtendLease "{\"namespace\": \"leased\", \"key\": \"k\", \"lease_token\": \"$token\", \"lease_ttl\": \"301s\"}"
  refused 'ExtendLease for too long' InvalidArgument '"field": "lease_ttl"'
  call Put "{\"namespace\": \"leased\", \"key\": \"k\", \"value\": \"eA==\", \"ttl\": \"60s\", \"lease_token\": \"$token\"}"
  answered 'Put under the lease' '"version": "[0-9]+"'
  version=$(field version)
  call Put "{\"namespace\": \"leased\", \"key\": \"k\", \"value\": \"eA==\", \"ttl\": \"60s\", \"lease_token\": \"$token\"}"
  answered 'Put under the lease once more' "\"version\": \"$version\""

  call Get '{"namespace": "leased", "key": "short", "acquire_lease": true, "lease_ttl": "3s"}'
  answered 'a lease lasts as long as requested' '"token"' '"ttl": "3s"'

  call Get '{"namespace": "leased", "key": "stale", "acquire_lease": true}'
  token=$(field token)
  call Invalidate '{"namespace": "leased", "tag": "t"}'
  answered 'Invalidate a tag that nothing has' '"revision"'
  call Put "{\"namespace\": \"leased\", \"key\": \"stale\", \"value\": \"eA==\", \"ttl\": \"60s\", \"tags\": [\"t\"], \"lease_token\": \"$token\"}"
  refused 'a fill that began before' Aborted '"reason": "REVOKED"'
  call Put '{"namespace": "leased", "key": "stale", "value": "eA==", "ttl": "60s", "tags": ["t"], "issued_at": "2001-01-01T00:00:00Z"}'
  refused 'a credential issued before' Aborted '"reason": "REVOKED"'

  call Get '{"namespace": "leased", "key": "failing", "acquire_lease": true}'
  token=$(field token)
  call AbandonLease "{\"namespace\": \"leased\", \"key\": \"failing\", \"lease_token\": \"$token\", \"retry_after\": \"60s\"}"
  answered 'AbandonLease' '^\{\}$'
  call AbandonLease "{\"namespace\": \"leased\", \"key\": \"failing\", \"lease_token\": \"$token\"}"
  refused 'AbandonLease once more' Aborted '"reason": "LEASE_LOST"'
  call Get '{"namespace": "leased", "key": "failing", "acquire_lease": true}'
  answered 'the key is in a cool-down' MISS_REASON_NOT_FOUND '"retryAfter": "(5|6)[0-9.]+s"'
}

check_watch() {
  local instance revision
  watch '{"namespace": "watched"}'
  answered_until_the_deadline 'Watch begins with a heartbeat' '"heartbeat"' '"instanceId"'
  instance=$(field instanceId) revision=$(field revision)
  call Put '{"namespace": "watched", "key": "k", "value": "eA==", "ttl": "60s", "tags": ["t"]}'
  call Invalidate '{"namespace": "watched", "tag": "t"}'
  watch "{\"namespace\": \"watched\", \"instance_id\": \"$instance\", \"start_revision\": \"$revision\"}"
  answered_until_the_deadline 'Watch continues from its position' '"replaced"' '"key": "k"' '"invalidated"' '"tag": "t"' '"heartbeat"'
  watch '{"namespace": "watched", "instance_id": "another", "start_revision": "1"}'
  answered_until_the_deadline 'Watch of another instance begins with a Reset' '"reset"'
}

check_shutdown() {
  local exit_code=0
  kill -TERM "$pid"
  # The watchdog is the only bound on the wait if the drain hangs.
  (trap 'kill $!' TERM; sleep 60 & wait $! && kill -KILL "$pid") >/dev/null 2>&1 &
  local watchdog=$!
  wait "$pid" || exit_code=$?
  pid=
  kill "$watchdog" 2>/dev/null || true
  verdict 'SIGTERM ends the server with exit 0' "exit $exit_code" '^exit 0$'
}

# Starts the server on any free port and on a Unix socket. Sets pid, address and
# socket once the server has printed its addresses.
start_server() {
  directory=$(mktemp -d)
  pid=
  trap stop EXIT
  socket=$directory/credcache.sock
  address=
  mkfifo "$directory/stdout"
  "$credcache" serve --listen 127.0.0.1:0 --listen "unix:$socket" >"$directory/stdout" 2>"$directory/stderr" &
  pid=$!
  exec 3<"$directory/stdout"

  local line listening_on_socket=
  until [[ $address && $listening_on_socket ]]; do
    if ! IFS= read -r -t 60 line <&3; then
      echo "not ok - the server did not print its addresses; its log:" >&2
      cat "$directory/stderr" >&2
      exit 1
    fi
    case $line in
      "listening on unix:$socket") listening_on_socket=yes ;;
      'listening on 127.0.0.1:'*) address=${line#listening on } ;;
    esac
  done
}

stop() {
  if [[ $pid ]]; then
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  fi
  rm -rf "$directory"
}

# call METHOD JSON: calls a method of the service, or of another service if METHOD
# has a slash.
call() {
  local method=$1
  [[ $method == */* ]] || method=$service/$method
  ask_with -d "$2" -- "$address" "$method"
}

# watch JSON: prints the events of two seconds.
watch() { ask_with -max-time 2 -d "$1" -- "$address" "$service/Watch"; }

# answered_until_the_deadline NAME PATTERN...: only the caller's deadline ended the
# stream.
answered_until_the_deadline() {
  local name=$1
  shift
  verdict "$name" "$output" '^ *Code: DeadlineExceeded$' "$@"
}

# field NAME: the first value of this field in the output.
field() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" <<<"$output" | head -n 1; }

# ask ARGUMENT...: runs grpcurl's list or describe.
ask() { ask_with -- "$address" "$@"; }

# ask_with OPTION... -- ADDRESS ARGUMENT...: sets output and code.
ask_with() {
  local options=()
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  code=0
  output=$("$grpcurl" -plaintext -connect-timeout 10 -max-time 30 ${options[@]+"${options[@]}"} "$@" 2>&1 </dev/null) || code=$?
}

# answered NAME PATTERN...: the call succeeded, and every pattern (an extended
# regular expression) occurs in its output.
answered() {
  local name=$1
  shift
  verdict "$name" "exit $code"$'\n'"$output" '^exit 0$' "$@"
}

# refused NAME CODE PATTERN...: the call failed with this status.
refused() {
  local name="$1: $2" status=$2
  shift 2
  verdict "$name" "$output" "^ *Code: $status\$" "$@"
}

# in_order NAME PATTERN...: the call succeeded, and the patterns occur in its output
# one after the other.
in_order() {
  local name=$1 pattern
  shift
  printf -v pattern '%s.*' "$@"
  verdict "$name" "exit $code ${output//$'\n'/ }" "^exit 0 .*$pattern"
}

gone() {
  call Get "{\"namespace\": \"revoked\", \"key\": \"$1\"}"
  # The server may forget why the credential is gone, but not that it is gone.
  answered "$1 is gone" '"miss"' 'MISS_REASON_(REVOKED|NOT_FOUND)'
}

passed=0
failed=0

# verdict NAME TEXT PATTERN...
verdict() {
  local name=$1 text=$2 pattern missing=()
  shift 2
  for pattern in "$@"; do
    grep -Eq -- "$pattern" <<<"$text" || missing+=("$pattern")
  done
  if ((${#missing[@]} == 0)); then
    echo "ok - $name"
    passed=$((passed + 1))
  else
    echo "not ok - $name"
    printf '    expected: %s\n' "${missing[@]}"
    # A fixed prefix separates the server's answer from this report.
    printf '%s\n' "$text" | sed 's/^/    got: /'
    failed=$((failed + 1))
  fi
}

main
