#!/usr/bin/env bash
# Scripts and lists: shellcheck, Python's compiler, and one package list for setup, Dockerfile and cross.toml.
set -euo pipefail
cd "$(dirname "$0")/.."

# Not from git: a release's tarball has none.
list() { find . -path ./target -prune -o -path ./.git -prune -o -type f "$@" -print | sort; }
mapfile -t scripts < <(list '(' -name '*.sh' -o -path ./.ci/run ')')
shellcheck "${scripts[@]}"
mapfile -t pythons < <(list -name '*.py')
python3 - "${pythons[@]}" <<'PY'
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path).read(), path)
PY

fail() { echo "texts: $*" >&2; exit 1; }
for list in board/packages/*.txt; do
    LC_ALL=C sort -uc "$list" 2>/dev/null || fail "$list is not sorted"
done
grep -q '^COPY build.txt cross.txt ' board/cross/Dockerfile || fail "the Dockerfile does not read the package lists"
if grep -qE 'lib[a-z0-9]+-dev' board/cross/Dockerfile cross.toml; then fail "a package is named outside board/packages"; fi
grep -q '^context = "board/packages"$' cross.toml || fail "cross.toml does not give the Dockerfile the package lists"
# The container and .cargo/config.toml must agree, or the two cross builds drift apart.
for value in aarch64-linux-gnu-gcc qemu-aarch64 /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig; do
    for file in .cargo/config.toml board/cross/Dockerfile; do
        grep -qF "$value" "$file" || fail "$file does not name $value"
    done
done
echo "texts: ${#scripts[@]} shell scripts, ${#pythons[@]} Python files and the package lists are good"
