# Of ./tools/demo and ./tools/test: find a Python that is new enough, by whatever name it has here,
# and go on with it in tools/bootstrap.py. Uses nothing but the shell.

start() {
    root=$(cd "${0%/*}/.." && pwd) || exit 1
    for python in python3 python3.11 python3.12 python3.13 python3.14 python; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            PYTHONPATH="$root" exec "$python" -B -P -m tools.bootstrap "$@"
        fi
    done
    echo "error: Python 3.11 or later is needed, and none was found: no python3, nor python3.11 to" \
        "python3.14. On Debian 12 or later, as root: apt-get install python3 python3-venv" >&2
    exit 1
}
