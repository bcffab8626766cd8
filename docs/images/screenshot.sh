#!/bin/sh
# Picture of a report's first screens, for the README:  docs/images/screenshot.sh runs/quickstart docs/images/report.png
# Needs Chromium (apt-get install -y chromium).
set -eu
page=$(realpath "$1/report/index.html")
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --hide-scrollbars \
  --user-data-dir="$profile" --window-size="${3:-1200,1560}" --screenshot="$2" "file://$page" 2>/dev/null
echo "$2"
