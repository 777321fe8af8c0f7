#!/bin/sh
# service.sh ROOT: boots a Debian root in which the package is installed, and uses the service as those do whom it is for.
# What happens there is in memory, and the root stays as it is.
set -eu
root=$1
log=$(mktemp)
systemd-nspawn --directory="$root" --machine=dora-check --register=no --keep-unit --private-network --volatile=overlay \
    --boot </dev/null >"$log" 2>&1 &
container=$!
# It is shut down, not killed.
trap 'kill "$container" 2>/dev/null || true; wait "$container" || true; rm -f "$log"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
inside() {
    nsenter --target "$(pgrep -P "$container" -x systemd)" --mount --uts --ipc --net --pid --cgroup --root --wd \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@" 2>&1
}
expect() { [ "$2" = "$3" ] || { inside journalctl --no-pager -u dora; fail "$1: '$2' instead of '$3'"; } >&2; echo "  $1: $2"; }
about() { inside systemctl show --property="$1" --value dora; }
as() {
    user=$1
    shift
    inside runuser -u "$user" -- dora-generate --connect unix:/run/dora/dora.sock "$@" || true
}
prompt='Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.
Input: News from Lima: the board of Marawick Mining is ordered to pay $32 million in damages by a jury
Answer: '

tries=0
until inside systemctl is-active --quiet multi-user.target >/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 120 ] || { cat "$log"; fail "the root does not boot"; } >&2
    sleep 0.5
done
expect "started, at boot" "$(about ActiveState)" active
expect "status" "$(about StatusText)" "listening on unix:/run/dora/dora.sock"
expect "the socket" "$(inside stat -c '%a %G' /run/dora /run/dora/dora.sock | tr '\n' ' ')" "750 dora 660 dora "

# Here services are started and stopped.
inside rm -f /usr/sbin/policy-rc.d
for user in member stranger; do inside useradd --create-home "$user"; done
inside adduser --quiet member dora
expect "a member asks" "$(as member --adapter topic --prompt "$prompt" --max-tokens 8)" lawsuit
as stranger ping | grep -q 'Permission denied' || fail "a stranger may ask"
echo "  a stranger: Permission denied"

process=$(about MainPID)
inside systemctl reload dora
expect "reloaded" "$(about ActiveState) $(inside journalctl --no-pager -u dora | grep -c 'adapters under the root')" "active 1"
[ "$(about MainPID)" = "$process" ] || fail "a reload started it anew"

inside cp -r /usr/share/dora/models/adapters/sentiment /var/lib/dora/adapters/mine
inside sed -i 's|^DORA_ADAPTER_ROOT=.*|DORA_ADAPTER_ROOT=/var/lib/dora/adapters|; s|^#DORA_HTTP=|DORA_HTTP=|' /etc/dora/dora.conf
inside systemctl restart dora
expect "an adapter of one's own" "$(as member --adapter mine --prompt "$prompt" --max-tokens 8)" negative
expect "HTTP" "$(inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/8000 && printf "GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" >&3 && head -n 1 <&3')" \
    "$(printf 'HTTP/1.1 200 OK\r')"
! inside journalctl --no-pager -u dora | grep -iE 'fail|error|denied' || fail "the journal"

inside sed -i 's|^DORA_MODEL=.*|DORA_MODEL=/nowhere|' /etc/dora/dora.conf
! inside systemctl restart dora >/dev/null || fail "no model"
expect "no model" "$(about ActiveState) $(about ExecMainStatus)" "failed 66"
inside journalctl --no-pager -o cat -u dora | grep 'dora-serve: /nowhere' | sed 's/^/  /'

inside sed -i 's|^DORA_MODEL=.*|DORA_MODEL=/usr/share/dora/models/base|' /etc/dora/dora.conf
inside systemctl restart dora
inside dpkg --purge dora >/dev/null
expect "purged while it ran" "$(inside find /etc /run /usr /var -xdev -name '*dora*' ! -path '/var/lib/dpkg/*' ! -path '/var/log/*' ! -path '/var/cache/*' | sort | tr '\n' ' ')" \
    "/var/lib/dora /var/lib/private/dora "
expect "what the user made" "$(inside ls /var/lib/dora/adapters)" mine
