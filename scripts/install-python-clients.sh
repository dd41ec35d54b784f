#!/usr/bin/env bash
# Installs h2 and wsproto for Python, with which an independent client tests HTTP/2. Debian and Ubuntu only.
set -euo pipefail
if /usr/bin/python3 -c 'import h2, wsproto' 2>/dev/null; then exit 0; fi
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends python3-h2 python3-wsproto >/dev/null
