#!/usr/bin/env bash
# Puts each fault of tests/seeded_bugs.txt into a copy of the tree in turn and runs
# the tests: each fault must build, and must be caught. Arguments: parts of the
# names of the faults to try; without arguments, all faults.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
copy=$target/seeded-bugs/tree
log=$target/seeded-bugs/log
export CARGO_TARGET_DIR=$target/seeded-bugs/target

# Copies the files that git tracks or doesn't ignore, with new modification times:
# cargo compares them, and may have built an older copy.
rm -rf "$copy"
mkdir -p "$copy"
# An interrupted run may have left a state that later builds can't continue.
rm -rf "$CARGO_TARGET_DIR/debug/incremental"
git ls-files -z --cached --others --exclude-standard |
  tar --null --files-from=- --ignore-failed-read -cf - | tar -C "$copy" -mxf -

# Exactly one line must contain the text. The rest of the line stays.
apply() {
  local file=$copy/$1 old=$2 new=$3
  [ "$(grep -cF -- "$old" "$1")" = 1 ] || return 1
  OLD=$old NEW=$new awk '
    { at = index($0, ENVIRON["OLD"]) }
    at { $0 = substr($0, 1, at - 1) ENVIRON["NEW"] substr($0, at + length(ENVIRON["OLD"])) }
    { print }' "$1" >"$file"
}

chosen() {
  [ $# = 1 ] && return 0
  local name=$1 part
  shift
  for part; do case $name in *"$part"*) return 0 ;; esac; done
  return 1
}

# A fault that makes a test hang is caught as well.
try_tests() { timeout 900 cargo test --quiet --locked "$@"; }

# The named tests come first, otherwise the quick tests that catch most faults.
tests() {
  local file=$1 first=$2 next=--lib
  case $first,$file in
  ,clients/rust/*) first='-p credcache-client' ;;
  ,packed/*) first='-p credcache-packed' ;;
  ,core/*) first='-p credcache-core --lib -- --skip as_often_as_quick_cache' next='-p credcache-core' ;;
  ,*) first='--lib' ;;
  esac
  cd "$copy"
  # shellcheck disable=SC2086 # words
  {
    try_tests $first && try_tests $next && try_tests --workspace
  } || {
    # A fault that doesn't build isn't caught.
    grep -q 'could not compile' "$log" && return 2
    return 1
  }
}

caught=0 missed=()
try() {
  local name=$1 file=$2 first=$3 old=$4 new=$5
  chosen "$name" "${@:6}" || return 0
  if ! apply "$file" "$old" "$new"; then
    missed+=("$name: its line isn't in $file just once")
  else
    local code=0
    (tests "$file" "$first") >"$log" 2>&1 || code=$?
    case $code in
    0) missed+=("$name: no test failed") ;;
    1)
      caught=$((caught + 1))
      printf 'caught: %s (%s)\n' "$name" "$(sed -n 's/^---- \(.*\) stdout ----$/\1/p' "$log" | paste -sd ' ' | cut -c1-100)"
      ;;
    *) missed+=("$name: it doesn't build") ;;
    esac
  fi
  cat "$file" >"$copy/$file"
}

name='' file='' first='' old=''
while IFS= read -r line <&3 || [ -n "$line" ]; do
  case $line in
  '#'*) ;;
  '') name='' file='' first='' old='' ;;
  '!'*) first=${line#!} ;;
  -*) old=${line#-} ;;
  +*) try "$name" "$file" "$first" "$old" "${line#+}" "$@" ;;
  *) if [ -z "$name" ]; then name=$line; else file=$line; fi ;;
  esac
done 3<tests/seeded_bugs.txt

printf '%d caught, %d not\n' "$caught" "${#missed[@]}"
if [ ${#missed[@]} -gt 0 ]; then
  printf 'NOT CAUGHT %s\n' "${missed[@]}"
  exit 1
fi
