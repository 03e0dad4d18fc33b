# Replacements for some commands in the documents: see main.rs. Bash sources this before the script.
set -eEu -o pipefail

# Records the line of the document in which a command failed, also if it failed in a function.
failed() {
    local depth
    for depth in "${!BASH_SOURCE[@]}"; do
        if [[ ${BASH_SOURCE[depth]} == */script.sh ]]; then
            echo "${BASH_LINENO[depth - 1]}" >"$RECORD/failed"
            return
        fi
    done
}
trap failed ERR

password='an engine of 1000 wheels'
program=$(type -P patd)

# Begins a part of the document: redirects the output to files that are named after its first line.
begin() {
    echo "$1" >"$RECORD/part"
    exec >"$RECORD/$1.out" 2>"$RECORD/$1.err"
}

# Compares the exit status of a command with the one that the document names.
ended() {
    [ "$1" = "$2" ] || { echo "exit status $1 instead of $2" >&2 && return 1; }
}

finish() {
    stop_server
    : >"$RECORD/done"
}

refuse() {
    echo "the tests do not run $1: mark the block no-run, or use another command" >&2
    return 1
}
sudo() { refuse sudo; }
apt-get() { refuse apt-get; }
systemctl() { refuse systemctl; }
docker() { refuse docker; }

# Waits until the file in $1 has a line that matches $2. Gives up when process $3 has ended, or after 20 s.
wait_for() {
    local tries
    for tries in {1..400}; do
        if grep -q -- "$2" "$1"; then return; fi
        kill -0 "$3" 2>/dev/null || break
        sleep 0.05
    done
    cat "$1" >&2
    return 1
}

# Runs patd, but starts servers in the background, and gives a password where patd would prompt for it.
patd() {
    if [ "$BASHPID" = $$ ] && [[ " $* " != *" --help "* ]]; then
        case ${1-} in
            serve | dev) "$1" "$@" && return ;;
        esac
    fi
    if [ "${1-} ${2-}" = "database copy" ]; then
        with_postgres "$@"
    elif [[ "${1-} ${2-}" =~ ^user\ (create|set-password)$ && " $* " != *" --password-stdin "* && " $* " != *" --invite "* ]]; then
        "$program" "$@" --password-stdin <<<"$password"
    else
        "$program" "$@"
    fi
}

# For hidden commands: writes the address of a new database in the server of tests/postgres to a file. Without that server,
# the address leads nowhere.
make_postgres() {
    local name=documents_$$
    if [ -n "${PATD_TEST_POSTGRES-}" ]; then
        "$PATD_POSTGRES_BIN/psql" --no-psqlrc --quiet --command "CREATE DATABASE $name" "$PATD_TEST_POSTGRES"
    fi
    echo "${PATD_TEST_POSTGRES-postgres://patd@127.0.0.1:1/none}" | sed "s|/[^/]*$|/$name|" >"$1"
}

# Runs a command that needs PostgreSQL. Without the server, it must fail because of that alone, and makes the file that it
# would make.
with_postgres() {
    local status=0
    if [ -n "${PATD_TEST_POSTGRES-}" ]; then
        "$program" "$@"
    else
        "$program" "$@" 2>"$RECORD/postgres" || status=$?
        [ "$status" = 5 ] && grep -q 'no connection to PostgreSQL' "$RECORD/postgres" || { cat "$RECORD/postgres" >&2 && return 1; }
        if [ "${*: -2:1}" = --to ]; then cp patd.db "${*: -1}"; fi
    fi
}

# The standard input of servers must stay open, because `patd dev` ends when it closes.
mkfifo "$TMPDIR/input"
exec {input}<>"$TMPDIR/input"
server=

# Stops the previous server first, as a reader would. A server with its own port runs at the same time.
start() {
    if [[ " $* " == *" --port "* ]]; then
        start_beside "$@"
    else
        stop_server
        if [ "$1" = dev ]; then set -- "$@" --port "$USUAL_PORT"; fi
        start_beside "$@"
        server=$!
    fi
}

start_beside() {
    # The files must not contain the output of the previous server.
    rm -f "$RECORD/server.out" "$RECORD/server.err"
    touch "$RECORD/server.out" "$RECORD/server.err"
    "$program" "$@" <&"$input" >"$RECORD/server.out" 2>"$RECORD/server.err" &
}

stop_server() {
    if [ -n "$server" ]; then
        kill "$server"
        wait "$server"
        server=
    fi
}

serve() {
    start "$@"
    wait_for "$RECORD/server.err" 'listening on http://' "$!"
}

# Starts `patd dev`, prints its output, and sets its variables in this shell, as a reader would.
dev() {
    start "$@"
    wait_for "$RECORD/server.out" 'export PATD_TOKEN=\|^{' "$!"
    eval "$(grep '^export ' "$RECORD/server.out")"
    cat "$RECORD/server.out"
}

# Records the status of the answer and the line of the request.
curl() {
    local status=0 headers
    headers=$(mktemp)
    command curl --no-progress-meter --max-time 20 --dump-header "$headers" "$@" || status=$?
    printf '%s %s\n' "${BASH_LINENO[0]}" "$(sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$headers" | tail -n 1)" \
        >>"$RECORD/requests"
    return "$status"
}

# `cargo run` runs the program under test. For tests and benches, only the names are checked.
cargo() {
    case "$*" in
        "run --release -- "*) patd "${@:4}" ;;
        "build --release"*) mkdir -p target/release && ln -sf "$program" target/release/patd ;;
        fmt* | clippy* | check* | doc* | test* | bench*) cargo_names "$@" ;;
        *) refuse "cargo $*" ;;
    esac
}

cargo_names() {
    while [ $# -gt 0 ]; do
        case $1 in
            --test) [ -e "$REPOSITORY/tests/$2.rs" ] || [ -e "$REPOSITORY/tests/$2/main.rs" ] || refuse "test $2" ;;
            --bench) [ -e "$REPOSITORY/benches/$2.rs" ] || refuse "bench $2" ;;
        esac
        shift
    done
}

# The scripts of the repository are not run. They must exist and know the given options.
mkdir tests benches
for name in tests/run tests/install benches/run benches/proxy benches/instructions benches/without benches/lists benches/nodes; do
    cat >"$name" <<END
#!/bin/sh -e
test -x "$REPOSITORY/$name"
for argument; do
    case \$argument in -*) grep -q -e "\$argument" "$REPOSITORY/$name" ;; esac
done
END
    chmod +x "$name"
done

# For hidden commands: an application with some paths, and nginx with a file from deploy/ in front of it.
start_application() {
    mkdir -p application/calls
    echo 'one call' >application/calls/1
    python3 -m http.server --directory application --bind 127.0.0.1 "$1" >"$RECORD/application" 2>&1 &
    until (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do sleep 0.05 && kill -0 $!; done
}

start_nginx() {
    local kind directory=$PWD/nginx
    mkdir "$directory"
    sed "s|/var/log/nginx|$directory|" "$1" >"$directory/site.conf"
    for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $directory/$kind;"; done \
        >"$directory/paths.conf"
    cat >"$directory/nginx.conf" <<END
daemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
    include paths.conf;
    include site.conf;
}
END
    nginx -p "$directory" -e stderr -c "$directory/nginx.conf" >"$RECORD/nginx" 2>&1 &
    local port
    port=$(sed -n 's/.*listen 127.0.0.1:\([0-9]*\).*/\1/p' "$directory/site.conf" | head -n 1)
    until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.05 && kill -0 $!; done
}
