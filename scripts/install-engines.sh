#!/usr/bin/env bash
# Redis and NATS for the tests of backplanes. Debian and Ubuntu only. The tests start the servers that they need.
set -euo pipefail
if command -v redis-server >/dev/null && { command -v nats-server || [ -x /usr/sbin/nats-server ]; } >/dev/null; then exit 0; fi
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends redis-server nats-server >/dev/null
