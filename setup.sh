#!/usr/bin/env bash
# Everything worldagen needs on a bare Debian or Ubuntu machine with Python 3.11. Safe to run again: what is there stays.
#   PYTHON=python3.11      the interpreter to build the virtual environment with
#   TORCH_INDEX_URL=...    where to take torch from, e.g. https://download.pytorch.org/whl/cpu (default: pip's own index)
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3.11}
as_root=""
if [ "$(id -u)" -ne 0 ]; then as_root="sudo -n"; fi

say() { printf '\033[1msetup:\033[0m %s\n' "$*"; }

apt_install() { # apt_install WHY PACKAGE...
    local why=$1
    shift
    say "installing with apt ($why): $*"
    if ! { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null; then
        say "could not install them from here. Please run this line, then the same command again:"
        echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
        exit 1
    fi
}

if ! command -v "$python" >/dev/null || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    apt_install "Python 3.11 with venv" python3.11 python3.11-venv
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    say "$python is $("$python" --version 2>&1); worldagen needs Python 3.11 (set PYTHON=/path/to/python3.11)"
    exit 1
fi

stamp=.venv/.installed
wanted=$(cat requirements.lock requirements-libero.txt pyproject.toml setup.sh | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    say "creating .venv and installing the locked Python packages (4 GB on disk, with CUDA more; 3 to 10 minutes)"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    pip=".venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input"
    # torch first and on its own: CPU or CUDA build is the machine's choice, and an unpinned torch would replace it.
    $pip "torch==$(sed -n 's/^torch==//p' requirements.lock)" ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"}
    grep -v '^torch==' requirements.lock >.venv/without-torch.txt
    $pip --no-deps -r .venv/without-torch.txt
    $pip --no-deps -r requirements-libero.txt
    $pip --no-deps --no-build-isolation -e .
    echo "$wanted" >"$stamp"
fi

if ! .venv/bin/python -m worldagen.envs.gl --quiet; then
    apt_install "headless OpenGL for the simulator's cameras" libosmesa6 libegl1 libegl-mesa0 libopengl0 libgl1-mesa-dri
    .venv/bin/python -m worldagen.envs.gl
fi
say "ready"
