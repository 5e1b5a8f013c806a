#!/bin/sh
# Starts nginx with this container's own DNS server as its resolver: Docker's is always the same,
# Podman's differs from network to network. nginx does not read /etc/resolv.conf by itself.
set -eu
server=$(awk '$1 == "nameserver" { print $2; exit }' /etc/resolv.conf)
case $server in
    "") echo "start.sh: no nameserver in /etc/resolv.conf" >&2; exit 1 ;;
    *:*) server="[$server]" ;;
esac
# A replica that was added or removed is known within a second. The replicas listen on IPv4.
echo "resolver $server valid=1s ipv6=off;" > /tmp/resolver.conf
exec nginx -c /etc/anomaly-cache/nginx.conf -g 'daemon off;'
