# A reader's shell, while a page of the documentation is tried. What follows stands in for programs that would take too
# long, would not end, or are not on this machine; everything else runs as the page says. Each of them must be in use.
# `make docs-test` and `make compose-test` run what make, pip and docker stand in for.
set -eu

wrong() {
    echo "$*" >&2
    return 64
}

# FILE: run it, and go on where a command of it fails; its exit code is printed then.
survive() {
    local failed=
    set +e
    trap 'failed=${failed:-$?}' ERR
    # shellcheck disable=SC1090 # a script of the page
    . "$1"
    trap - ERR
    set -e
    [ -z "$failed" ] || printf '\037%s' "$failed"
}

# There is such a target.
make() {
    command make --dry-run "$@" >/dev/null
}

# What is to be installed is here, and so is each extra.
pip() {
    [ "$1" = install ] || wrong "pip $1?"
    local what
    for what in "${@:2}"; do
        case $what in
            . | -e) [ -e pyproject.toml ] ;;
            anomaly-cache | anomaly-cache\[*\])
                local extra=${what#anomaly-cache}
                extra=${extra//[\[\]]/}
                [ -z "$extra" ] || grep -q "^$extra = \[" pyproject.toml || wrong "there is no extra $extra"
                ;;
            *) wrong "pip install $what?" ;;
        esac
    done
}

# The services are there; what is run inside of one runs here, its log is the demo's.
docker() {
    [ "$1" = compose ] || wrong "docker $1?"
    shift
    if [ "$1" = --profile ]; then
        grep -q "profiles:.*$2" compose.yaml || wrong "compose.yaml has no profile $2"
        shift 2
    fi
    local verb=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --scale) set -- "${2%=*}" "${@:3}" ;;
            -*) shift ;;
            *) break ;;
        esac
    done
    case $verb in
        up | ps | stop | restart | run) for service in "$@"; do service "$service"; done ;;
        port) service "$1" ;;
        logs) for service in "$@"; do service "$service" && cat ".demo/logs/$service"*.log; done ;;
        exec) service "$1" && "${@:2}" ;;
        *) wrong "docker compose $verb?" ;;
    esac
}

service() {
    grep -q "^  $1:$" compose.yaml || wrong "compose.yaml has no service $1"
}

# shellcheck disable=SC2086 # words
unset -f ${REAL:-}

psql() {
    .demo/psql "$@"
}

pgbench() {
    echo "UPDATE anomalies SET status = status WHERE account_id = 'nobody';" >your-transaction.sql
    PGSERVICEFILE=$PWD/.demo/pg_service.conf PGSERVICE=demo command pgbench "${@/#30/1}"
}

redis-cli() {
    REDISCLI_AUTH=$REDIS_PASSWORD command redis-cli -e -p "$VALKEY_PORT" "$@"
}

# What stays in the foreground has a terminal of its own.
anomaly-cache() {
    case $1 in
        api) API_PORT=$FREE_PORT_1 stays "$FREE_PORT_1" anomaly-cache "$@" ;;
        listener) LISTENER_HEALTH_PORT=$FREE_PORT_2 stays "$FREE_PORT_2" anomaly-cache "$@" ;;
        watch) stays "" anomaly-cache "$@" ;;
        migrate) DATABASE_URL=$OWNER_DATABASE_URL command anomaly-cache "$@" ;;
        *) command anomaly-cache "$@" ;;
    esac
}

uvicorn() {
    local arguments=" $* "
    local port=${arguments##* --port }
    # shellcheck disable=SC2086 # words
    stays "${port%% *}" uvicorn ${arguments/ --workers 4 / --workers 1 } # one is as good as four
}

# PORT COMMAND …: wait until it answers there.
stays() {
    local port=$1 log=stays-${#staying[@]}.log
    shift
    env "$@" </dev/null >>"$log" 2>&1 &
    staying+=("$! $log $*")
    [ -n "$port" ] || return 0
    until curl --silent --output /dev/null "127.0.0.1:$port"; do
        kill -0 $! || wrong "$* ended: $(cat "$log")"
        sleep 0.05
    done
}
staying=()

# End what stays; a program that ended by itself, or that does not end well, fails.
leave() {
    local code pid log command
    for program in ${staying[@]+"${staying[@]}"}; do
        read -r pid log command <<<"$program"
        kill -TERM "$pid" || wrong "$command was to stay, and has ended: $(tail -n 3 "$log")"
        code=0 && wait "$pid" || code=$?
        [ "$code" = 0 ] || [ "$code" = 143 ] || wrong "$command ended with $code: $(tail -n 3 "$log")"
    done
    staying=()
}
