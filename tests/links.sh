#!/usr/bin/env bash
# Checks the links of the documents: each has to lead to a file or folder of the
# tree, and to a heading of it where it names one. Links to other hosts are left
# alone.
set -euo pipefail
cd "$(dirname "$0")/.."

# `LINE TARGET` for each link of a document that isn't in a block of code.
links() {
  awk '
    /^ *```/ { is_code = !is_code }
    !is_code {
      rest = $0
      while (match(rest, /\]\([^) ]+\)/)) {
        print NR, substr(rest, RSTART + 2, RLENGTH - 3)
        rest = substr(rest, RSTART + RLENGTH)
      }
    }' "$1"
}

# The anchors of a document's headings.
anchors() {
  awk '/^ *```/ { is_code = !is_code } !is_code && /^#+ /' "$1" |
    sed -E 's/^#+ +//' | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

count=0 broken=()
while read -r document; do
  [ -e "$document" ] || continue
  while read -r line target; do
    case $target in *:*) continue ;; esac
    count=$((count + 1))
    path=${target%%#*}
    [ -n "$path" ] && path=$(dirname "$document")/$path || path=$document
    if [ ! -e "$path" ]; then
      broken+=("$document:$line: $target leads nowhere")
    elif [[ $target == *#* ]] && ! grep -qxF -- "${target#*#}" <(anchors "$path"); then
      broken+=("$document:$line: $target names no heading")
    fi
  done < <(links "$document")
done < <(git ls-files --cached --others --exclude-standard -- '*.md')

if [ ${#broken[@]} -gt 0 ]; then
  printf '%s\n' "${broken[@]}" >&2
  exit 1
fi
[ "$count" -gt 0 ] || { echo 'no links were found: is this a git repository?' >&2; exit 1; }
printf '%d links of the documents lead somewhere\n' "$count"
