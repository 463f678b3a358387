#!/bin/sh
# Make a virtual environment, or say in one line what is missing. Usage: venv.sh PYTHON DIR
set -eu
python=$1
dir=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "bridge needs Python 3.11 or newer; '$python' is not. Set PYTHON=/path/to/python3.11" >&2
    exit 1
}
[ -x "$dir/bin/python" ] && exit 0
# Debian splits venv off python3; as root we can fetch it, otherwise we say how.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-venv >/dev/null
    else
        echo "this Python has no venv; on Debian: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
"$python" -m venv "$dir"
