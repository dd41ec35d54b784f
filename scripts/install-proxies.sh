#!/usr/bin/env bash
# nginx, HAProxy and Caddy for the tests of docs/deployment. Debian and Ubuntu only. The tests start their own processes.
set -euo pipefail
if [ -x /usr/sbin/nginx ] && [ -x /usr/sbin/haproxy ] && [ -x /usr/bin/caddy ]; then exit 0; fi
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends nginx haproxy caddy >/dev/null
