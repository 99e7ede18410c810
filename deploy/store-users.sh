#!/bin/sh
# Gives each user of the store a random password, once, and writes what the store may let each of them do. Nothing secret
# leaves the volumes: the store reads digests, each client a URL of its own. With the argument `rotate` all passwords change.
set -eu
umask 022
users_file="${USERS_FILE:-/users/users.acl}"
urls="${URLS:-/urls}"
host="${STORE_HOST:-redis:6379}"

digest_of() {
    folder="$urls/$1"
    if [ ! -s "$folder/REDIS_URL" ] || [ "${2:-}" = rotate ]; then
        password="$(od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n')"
        [ "${#password}" -eq 64 ] || { echo "no randomness was read" >&2; exit 1; }
        # Renamed, so that whoever is stopped here leaves either a whole file or none.
        printf 'redis://%s:%s@%s/0\n' "$1" "$password" "$host" > "$folder/.REDIS_URL"
        mv "$folder/.REDIS_URL" "$folder/REDIS_URL"
    fi
    sed "s,^redis://$1:\([0-9a-f]*\)@.*,\1," "$folder/REDIS_URL" | tr -d '\n' | sha256sum | cut -d ' ' -f 1
}

service="$(digest_of service "$@")"
trainer="$(digest_of trainer "$@")"
archiver="$(digest_of archiver "$@")"
operator="$(digest_of operator "$@")"

connect="+ping +hello +client|setinfo +client|setname +config|get +info +waitaof"
scripts="+eval +evalsha +script|load"
values="+get +mget +set +del +exists +expire +persist +ttl +pttl +incr +incrby +rename +time"
hashes="+hget +hset +hsetnx +hdel +hexists +hgetall +hkeys +hlen +hmget +hscan +hstrlen"
sorted_sets="+zadd +zcard +zincrby +zmscore +zrange +zrangebyscore +zrem +zremrangebyrank +zremrangebyscore +zrevrange"
sorted_sets="$sorted_sets +zrevrangebyscore +zscore +zunionstore"
streams="+xadd +xdel +xlen +xrange +xrevrange +xread"
transactions="+multi +exec +watch +unwatch"
nothing="reset -@all"

# A tenant's keys begin with its name, so that patterns begin with anything.
users="~*{p*}:*"
histories="~*{p*}:[hiovc]:* ~*{p*}:forgotten"
logs="~*{p*}:log ~*{p*}:e:*"
all="$users ~*{items}:* ~*{trend}:* ~*liverec:*"

# Nobody can log in as the default user, and yet it may do everything: while the server reads its log again after a crash
# it asks what that user may do, and leaves out, unseen, each transaction that it may not (valkey-io/valkey issue 3983).
cat > "$users_file.new" << END
user default reset off ~* &* +@all
user health $nothing on nopass +ping
user service $nothing on #$service $all $connect $scripts $values $hashes $sorted_sets $streams $transactions
user trainer $nothing on #$trainer $histories %R~*{p*}:log ~*liverec:* $connect $scripts $values $hashes $sorted_sets +xlen +xrange
user archiver $nothing on #$archiver $logs %R~*{p*}:forgotten ~*liverec:* $connect $scripts $values $hashes +xdel +xlen +xrange
user operator $nothing on #$operator $all +@read +@write +@transaction -@dangerous -function $connect $scripts +scan +time
END
mv "$users_file.new" "$users_file"
