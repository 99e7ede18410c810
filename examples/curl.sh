#!/bin/sh
# Calls every endpoint of a running service once, and shows the beginning of each answer.
#
#     make demo                                  # or any other way to have a service
#     sh examples/curl.sh
#     LIVEREC_URL=http://127.0.0.1:8001 sh examples/curl.sh
#
# It needs curl only. What it writes belongs to a user of its own, who is forgotten at the end; the item that it adds goes
# too. A bundle without a content network takes no new items, and answers 409 to those calls.
set -eu

url=${LIVEREC_URL:-http://127.0.0.1:8000}
user="curl-$$-$(date +%s)"
new="film-$user"
key=${LIVEREC_API_KEY:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# call STATUSES METHOD PATH [OPTION OF CURL ...]: ends the script where the status is none of STATUSES.
call() {
    allowed=$1 method=$2 path=$3
    shift 3
    status=$(curl -sS --max-time 20 --path-as-is -o "$folder/answer" -w '%{http_code}' -X "$method" \
        ${key:+-H "X-API-Key: $key"} "$@" "$url$path")
    printf '%s %s %s\n    %s\n' "$status" "$method" "$path" "$(cut -c 1-150 "$folder/answer" | head -n 1)"
    case " $allowed " in
    *" $status "*) ;;
    *)
        cat "$folder/answer"
        echo "the service answered $status, not $allowed" >&2
        exit 1
        ;;
    esac
}

# send STATUSES METHOD PATH JSON
send() {
    call "$1" "$2" "$3" -H 'Content-Type: application/json' -d "$4"
}

# ids: the ids of the items of the last answer, as texts of JSON, one a line
ids() {
    tr '{' '\n' <"$folder/answer" | sed -n 's/^"item_id":\("[^"]*"\).*/\1/p'
}

# segment TEXT: a text of JSON without its quotes, percent-encoded enough for a path
segment() {
    printf '%s' "$1" | sed 's/^"//; s/"$//; s/%/%25/g; s/ /%20/g; s|/|%2F|g; s/?/%3F/g; s/#/%23/g'
}

echo "# Is it there?"
call 200 GET /health/live
call 200 GET /health/ready
call 200 GET /metrics

echo "# Lists that are nobody's"
call 200 GET "/latest?n=3"
call 200 GET "/trending?window=day&n=3"
call 200 GET "/popular?n=6"
one=$(ids | sed -n 1p) two=$(ids | sed -n 2p) three=$(ids | sed -n 3p) four=$(ids | sed -n 4p)

echo "# What a user does, and what comes of it"
send 200 POST /rate "{\"user_id\": \"$user\", \"item_id\": $one, \"rating\": 5, \"event_id\": \"$user-1\"}"
send 200 POST /rate "[{\"user_id\": \"$user\", \"item_id\": $two, \"rating\": 4}]"
printf '{"user_id": "%s", "item_id": %s, "kind": "view", "event_id": "%s"}\n' "$user" "$two" "$user-2" >"$folder/events"
call 200 POST /events/bulk -T "$folder/events" -H 'Content-Type: application/x-ndjson'
send 200 POST /feedback "{\"user_id\": \"$user\", \"item_id\": $three, \"kind\": \"click\"}"
send 200 PUT /feedback "[{\"UserId\": \"$user\", \"ItemId\": $four, \"FeedbackType\": \"view\"}]"
call 200 DELETE "/rate/$user/$(segment "$two")"
call 200 GET "/users/$user/history?n=10"
call 200 GET "/recommend/$user?n=3"
call 200 GET "/recommend/$user?n=3&exclude_seen=false&diversity=0.3&explain=counterfactual&include=title" \
    -H 'X-Deadline-Ms: 2000'
# 422 where no item has such a field.
call "200 422" GET "/recommend/$user" -G --data-urlencode 'filter=year >= 1990 and not categories = "Horror"' \
    --data-urlencode 'boost=0.5 if year >= 1995'
send 200 POST /recommend/batch "{\"queries\": [{\"user_id\": \"$user\", \"n\": 2}, {\"user_id\": \"42\", \"n\": 2}]}"
send 200 POST /session/recommend "{\"history\": [{\"item_id\": $one, \"rating\": 5}, {\"item_id\": $two, \"kind\": \"click\"}], \"n\": 3}"
send 200 POST /rank "{\"user_id\": \"$user\", \"items\": [$one, $two, $three], \"explain\": \"estimated\"}"
send "200 409" POST /predict "{\"user_id\": \"$user\", \"items\": [$two, $three]}"

echo "# Items"
call 200 GET "/items?n=2"
call 200 GET "/items/$(segment "$one")"
call 200 GET "/items/$(segment "$one")/similar?n=3"
send 200 PATCH "/items/$(segment "$one")" '{"is_hidden": true}'
send 200 PATCH "/items/$(segment "$one")" '{"is_hidden": false}'
send "200 409" POST /items "{\"item_id\": \"$new\", \"title\": \"Owl and the Moon, The\", \"categories\": [\"Musical\"]}"
echo iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg== |
    base64 -d >"$folder/image"
echo UklGRjQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YRAAAACAgICAgICAgICAgICAgICA | base64 -d >"$folder/audio"
call "200 404 409" PUT "/items/$new/image" -H 'Content-Type: image/png' --data-binary "@$folder/image"
call "200 404 409" PUT "/items/$new/audio" -H 'Content-Type: audio/wav' --data-binary "@$folder/audio"
call "200 404 409" DELETE "/items/$new"

echo "# What is stored of the user, and that it goes"
call 200 GET "/users/$user/export"
call 200 DELETE "/users/$user"
