#!/bin/sh
# Usage: sh deploy/new-env.sh [FILE]
# Writes FILE (.env) from .env.example, with a fresh random value for every secret. Leaves a file that is there alone.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
file=${1:-$root/.env}
if [ -e "$file" ]; then
    echo "new-env.sh: $file is there already; left as it is." >&2
    exit 1
fi
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
while IFS= read -r line; do
    case $line in
        API_KEYS=) echo "API_KEYS=analyst=$(secret),admin=$(secret)" ;;
        *_PASSWORD=) echo "$line$(secret)" ;;
        *) printf '%s\n' "$line" ;;
    esac
done < "$root/.env.example" > "$file.new"
mv "$file.new" "$file"
echo "Wrote $file. The API keys in it:"
sed -n 's/^API_KEYS=/  /p' "$file"
