#!/bin/sh
# Fills in the template of nginx's configuration from the environment, then becomes nginx.
#   GATEWAY     host:port of the gateway
#   HTTPS_PORT  the port that people reach, for the redirect from plain HTTP
set -eu
port=${HTTPS_PORT:-443}
suffix=
if [ "$port" != 443 ]; then suffix=":$port"; fi
resolver=$(awk '$1 == "nameserver" { print ($2 ~ /:/ ? "[" $2 "]" : $2); exit }' /etc/resolv.conf)
sed -e "s|@GATEWAY@|${GATEWAY:-gateway:8080}|" -e "s|@HTTPS_SUFFIX@|$suffix|" -e "s|@RESOLVER@|${resolver:-127.0.0.11}|" \
    /etc/nginx/assistant.conf > /tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -e stderr -g 'daemon off;'
