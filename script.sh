#!/usr/bin/env bash
# Sets the environment up, then:
#   bash script.sh [options]   trains and tests every model; options as in `python main.py --help`
#   bash script.sh test        runs the tests, lint, format and type checks
#   bash script.sh setup       only sets the environment up
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="$root/.venv"

say() { echo "$*" >&2 || true; } # a closed stderr stops nothing

# Whether this Python has everything that pyproject.toml names directly, in versions it allows.
prepared() {
    "$1" - "$root/pyproject.toml" "${2:-}" >/dev/null 2>&1 <<'EOP'
import sys
import tomllib
from importlib.metadata import version

from packaging.requirements import Requirement

project = tomllib.load(open(sys.argv[1], "rb"))["project"]
wanted = project["dependencies"] + (project["optional-dependencies"]["dev"] if sys.argv[2] else [])
for requirement in map(Requirement, wanted):
    assert requirement.specifier.contains(version(requirement.name), prereleases=True)
EOP
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$name"
            return
        fi
    done
    say "Python 3.11 or newer is needed, and none was found."
    return 1
}

# Sets `python`: that of the active environment if it has everything, else that of .venv.
setup() {
    if [[ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]] && prepared python "${1:-}"; then
        python="$(command -v python)"
        say "Using the active environment: $python"
        return
    fi
    python="$venv/bin/python"
    if [[ -x "$python" ]] && cmp -s "$root/requirements.lock" "$venv/requirements.lock"; then
        return
    fi
    say "Setting up $venv (some gigabytes, once) ..."
    if ! "$python" -m pip --version >/dev/null 2>&1; then # none yet, or an incomplete one
        local base
        base="$(find_python)" || exit 2
        "$base" -m venv --clear "$venv"
    fi
    # uv installs the same files several times faster; where it cannot, pip does. Compiled now, as
    # pip does: where Python may not write byte code, every start would take 2 to 3 times as long.
    if "$python" -m pip install --quiet --disable-pip-version-check uv &&
        "$python" -m uv pip install --quiet --compile-bytecode --python "$python" -r "$root/requirements.lock"; then
        :
    else
        "$python" -m pip install --quiet --disable-pip-version-check -r "$root/requirements.lock"
    fi
    # Copied last, so that an interrupted installation is repeated.
    cp "$root/requirements.lock" "$venv/requirements.lock"
}

case "${1:-}" in
setup)
    setup
    say "Ready: $python"
    ;;
test)
    shift
    setup dev
    cd "$root"
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$python" -m mypy
    "$python" -m pytest "$@"
    ;;
*)
    setup
    exec "$python" "$root/main.py" --model all "$@"
    ;;
esac
