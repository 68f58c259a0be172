#!/bin/sh
# Makes .venv and installs a lock file: `deploy/install.sh requirements.txt`.
# Quick when nothing changed: .venv/installed holds a checksum of what is in there, and of this file.
# .venv with the development tools also serves `make run`.
# The packages are compiled here: where the environment says PYTHONDONTWRITEBYTECODE, each process would compile them anew,
# which is more than half of its start.
set -eu
cd "$(dirname "$0")/.."
lock=$1

say() { echo "==> $*"; }
fail() { echo "make: $*" >&2; exit 1; }
checksum() { cksum "$@" deploy/install.sh | cksum; }

wanted=$(checksum "$lock")
with_tools=$(checksum requirements-dev.txt)
if [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null && [ -f .venv/installed ]; then
    installed=$(cat .venv/installed)
    if [ "$installed" = "$wanted" ] || [ "$installed" = "$with_tools" ]; then
        exit 0
    fi
fi

python=
for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 or newer is needed and none was found: install it, or give PYTHON=/path/to/python3."

rm -f .venv/installed
if ! { [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null; }; then
    say "Making .venv with $("$python" --version)."
    "$python" -m venv --clear --without-pip .venv ||
        fail "$python cannot make a virtual environment: install its venv module (Debian, Ubuntu: apt install python3-venv)."
fi

# uv does not read pip's settings; those that come as variables are handed on.
if [ -n "${PIP_CERT:-}" ] && [ -z "${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$PIP_CERT"; fi
if [ -n "${PIP_INDEX_URL:-}" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then export UV_DEFAULT_INDEX="$PIP_INDEX_URL"; fi
if [ -n "${PIP_EXTRA_INDEX_URL:-}" ] && [ -z "${UV_INDEX:-}" ]; then export UV_INDEX="$PIP_EXTRA_INDEX_URL"; fi
export UV_NO_PROGRESS=1 VIRTUAL_ENV="$PWD/.venv"

# pip into .venv, only where the Python it came from cannot do the work (it saves some seconds).
pip() {
    if [ -z "${own_pip:-}" ] && "$python" -m pip --python .venv/bin/python --version >/dev/null 2>&1; then
        "$python" -m pip --python .venv/bin/python --quiet --disable-pip-version-check "$@"
    else
        own_pip=1
        .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null ||
            fail "$python has no pip: install it (Debian, Ubuntu: apt install python3-venv)."
        .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"
    fi
}

say "Installing $lock."
uv=
if command -v uv >/dev/null 2>&1; then
    uv=uv
elif [ -x .venv/bin/uv ] || pip install "uv>=0.9,<1"; then
    uv=.venv/bin/uv
fi
if [ -n "$uv" ] && "$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes "$lock"; then
    :
else
    say "uv could not install it; trying pip, which takes longer."
    pip install --require-hashes -r "$lock" ||
        fail "The packages of $lock could not be installed (see above): check the connection to the package index and say make again."
fi
echo "$wanted" > .venv/installed
