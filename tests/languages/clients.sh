#!/usr/bin/env bash
# Generates clients of the contract with buf for Go, Java, Python and TypeScript,
# and runs a program in each language against a server. The program stores a
# credential, reads it back, and decodes the details of a refusal with its
# language's own google.rpc types.
#
# usage: clients.sh BUF CREDCACHE FOLDER
#
# Plugins and libraries, of the versions below and in each language's manifest, go
# to FOLDER/tools, and the generated code goes to FOLDER/out.
set -euo pipefail

protoc_gen_go=v1.36.12
protoc_gen_go_grpc=v1.6.2
# The same versions as in pom.xml, which names the libraries.
protoc=4.35.1
protoc_gen_grpc_java=1.83.1

buf=$(realpath "$1")
credcache=$(realpath "$2")
mkdir -p "$3"
folder=$(realpath "$3")
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
tools=$folder/tools
out=$folder/out

main() {
  require
  install
  generate
  serve
  run_all
}

require() {
  local missing=0
  while read -r tool what; do
    command -v "$tool" >/dev/null || {
      echo "the check of generated clients needs $what: $tool is not on the PATH" >&2
      missing=1
    }
  done <<'END'
go Go
javac a JDK, 17 or later
java a JDK, 17 or later
mvn Maven
python3 Python 3
node Node.js, 20 or later
npm Node.js with npm
END
  return "$missing"
}

# Installs the tools once for these versions.
install() {
  local pins
  pins=$(cat "$0" "$here"/{java/pom.xml,python/requirements.txt,typescript/package.json} | cksum)
  [ "$(cat "$tools/installed" 2>/dev/null)" != "$pins" ] || return 0
  rm -rf "$tools"
  mkdir -p "$tools/bin"

  GOFLAGS='' GOBIN=$tools/bin go install \
    "google.golang.org/protobuf/cmd/protoc-gen-go@$protoc_gen_go"
  GOFLAGS='' GOBIN=$tools/bin go install \
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@$protoc_gen_go_grpc"

  copy_program "com.google.protobuf:protoc:$protoc" protoc
  copy_program "io.grpc:protoc-gen-grpc-java:$protoc_gen_grpc_java" protoc-gen-grpc-java
  cp "$here/java/pom.xml" "$tools/"
  (cd "$tools" && mvn -q -B -Dstyle.color=never dependency:copy-dependencies -DoutputDirectory="$tools/jars")

  python3 -m venv "$tools/python"
  "$tools/python/bin/pip" install --quiet --disable-pip-version-check \
    --requirement "$here/python/requirements.txt"

  mkdir "$tools/typescript"
  cp "$here/typescript/package.json" "$tools/typescript/"
  (cd "$tools/typescript" && npm install --no-package-lock --no-audit --no-fund --silent)

  echo "$pins" >"$tools/installed"
}

# Downloads one of the programs that Maven provides for this machine.
copy_program() {
  local kind
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) kind=linux-x86_64 ;;
    Linux-aarch64) kind=linux-aarch_64 ;;
    Darwin-*) kind=osx-x86_64 ;;
    *)
      echo "there is no $2 for this machine" >&2
      return 1
      ;;
  esac
  mvn -q -B -Dstyle.color=never dependency:copy -Dartifact="$1:exe:$kind" -DoutputDirectory="$tools/maven"
  install_as "$tools/maven/$2"-[0-9]*.exe "$tools/bin/$2"
}

install_as() {
  chmod +x "$1"
  ln -s "$1" "$2"
}

generate() {
  rm -rf "$out"
  mkdir -p "$out"
  cp -r "$here"/{go,java,python,typescript} "$out/"
  (cd "$root" && PATH=$tools/bin:$tools/typescript/node_modules/.bin:$PATH \
    "$buf" generate --template tests/languages/buf.gen.yaml --output "$out")
  ln -s "$tools/typescript/node_modules" "$out/typescript/node_modules"
}

serve() {
  "$credcache" serve --listen 127.0.0.1:0 >"$folder/listening" 2>"$folder/log" &
  server=$!
  trap 'kill "$server"' EXIT
  # The address is printed once connections are accepted.
  for _ in $(seq 100); do
    address=$(sed -n 's/^listening on //p' "$folder/listening")
    [ -z "$address" ] || return 0
    kill -0 "$server"
    sleep 0.1
  done
  echo "the server did not start: see $folder/log" >&2
  return 1
}

run_all() {
  local failed=0
  for language in go java python typescript; do
    (cd "$out/$language" && "run_$language") || {
      echo "failed: $language" >&2
      failed=$((failed + 1))
    }
  done
  printf '%d passed, %d failed\n' $((4 - failed)) "$failed"
  ((failed == 0))
}

run_go() {
  GOFLAGS=-mod=readonly go run . "$address"
}

run_java() {
  local sources
  mapfile -t sources < <(find src -name '*.java')
  javac -nowarn -d classes -cp "$tools/jars/*" "${sources[@]}" &&
    java -cp "classes:$tools/jars/*" generated.Main "$address"
}

run_python() {
  "$tools/python/bin/python" main.py "$address"
}

run_typescript() {
  node_modules/.bin/tsc && node built/main.js "$address"
}

main
