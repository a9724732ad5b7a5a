#!/bin/sh
# Sends signed orders with curl, as another service would, and reads them back.
# Usage: WEBHOOK_SECRET=… try.sh [URL]
set -eu
url=${1:-http://127.0.0.1:3210}

# send DELIVERY BODY [SECRET]
send() {
    seconds=$(date +%s)
    digits=$(printf '%s.%s' "$seconds" "$2" | openssl dgst -sha256 -hmac "${3:-$WEBHOOK_SECRET}" | sed 's/.* //')
    curl -sS -d "$2" -w ' %{http_code}\n' "$url/webhooks/orders" \
        -H "x-delivery-id: $1" -H "x-signature: t=$seconds,v1=$digits"
}

# Listens in the background: the orders below appear here as they are received.
events=$(mktemp)
curl -sSN "$url/orders/events" >"$events" &
trap "kill $!; rm -f '$events'" EXIT
until grep -q waiting "$events"; do sleep 0.1; done

echo '# a first delivery, and the same one again'
send d-1 '{"item":"tea","quantity":2}'
send d-1 '{"item":"tea","quantity":2}'
echo '# another one'
send d-2 '{"item":"cups","quantity":4}'
echo '# signed by somebody else'
send d-3 '{"item":"gold","quantity":99}' wrong-secret
echo '# what was received'
curl -sS "$url/orders"
echo '# and what was told while it came in'
until grep -q cups "$events"; do sleep 0.1; done
cat "$events"
