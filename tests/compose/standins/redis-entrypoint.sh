#!/bin/sh
# As the real image starts; its build turns the protected mode off, which is an option here.
set -eu
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis {} +
    exec gosu redis "$0" "$@"
fi
umask 0077
exec "$@" --protected-mode no
