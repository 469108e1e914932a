#!/bin/sh
# A self-signed certificate for SERVER_NAME and this machine, unless the folder holds one already.
set -eu
folder=/run/certificate
if [ -s "$folder/tls.crt" ] && [ -s "$folder/tls.key" ]; then
    echo "the certificate is there: $(openssl x509 -in "$folder/tls.crt" -noout -subject -enddate | tr '\n' ' ')"
    exit 0
fi
name=${SERVER_NAME:-localhost}
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha256 -nodes -days 90 -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" -addext "extendedKeyUsage=serverAuth" \
    -keyout /tmp/tls.key -out /tmp/tls.crt 2>/dev/null
cp /tmp/tls.key "$folder/tls.key"
cp /tmp/tls.crt "$folder/tls.crt"
echo "made a self-signed certificate for $name; browsers will warn. Put your own tls.crt and tls.key in its place"
