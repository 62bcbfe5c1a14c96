#!/bin/sh
# Print the path of a Python >= 3.12 that can make virtual environments.
#
# $PYTHON is taken when it is set, and nothing else. Otherwise the usual names on PATH are tried, then the versions
# kept by pyenv and uv. A name on PATH proves nothing (pyenv leaves shims for versions that are not active), so every
# candidate is run.
set -u

probe='
import sys
if sys.version_info < (3, 12):
    sys.exit(3)
try:
    import venv, ensurepip
except ImportError:
    sys.exit(4)
print(sys.executable)
'
no_venv=""

try() {
    found=$("$1" -c "$probe" 2>/dev/null)
    status=$?
    if [ "$status" -eq 0 ] && [ -n "$found" ]; then
        printf '%s\n' "$found"
        exit 0
    fi
    if [ "$status" -eq 4 ] && [ -z "$no_venv" ]; then no_venv=$1; fi
}

complain_no_venv() {
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$1 is Python $version but cannot make virtual environments (module venv or ensurepip is missing)." >&2
    echo "On Debian or Ubuntu: sudo apt-get install python$version-venv. Or: make PYTHON=/path/to/another/python" >&2
    exit 1
}

if [ -n "${PYTHON:-}" ]; then
    try "$PYTHON"
    if [ -n "$no_venv" ]; then complain_no_venv "$no_venv"; fi
    echo "PYTHON=$PYTHON does not run, or is older than 3.12. Give the path of a Python >= 3.12." >&2
    exit 1
fi

for name in python3.13 python3.12 python3.14 python3 python; do
    try "$name"
done
for path in "${PYENV_ROOT:-${HOME:-/root}/.pyenv}"/versions/3.1[2-9]*/bin/python; do
    if [ -x "$path" ]; then try "$path"; fi
done
if command -v uv >/dev/null 2>&1; then
    path=$(uv python find '>=3.12' 2>/dev/null) && try "$path"
fi

if [ -n "$no_venv" ]; then complain_no_venv "$no_venv"; fi
while read -r line; do echo "$line" >&2; done <<"TEXT"
No Python >= 3.12 found. Install one (for example from python.org, with `pyenv install 3.13`, `uv python install 3.13`,
or `sudo apt-get install python3.13 python3.13-venv`), or name it: make PYTHON=/path/to/python3.13
TEXT
exit 1
