#!/usr/bin/env bash
# The two commands of the README on a new Debian machine: a minbase folder of the suite, a clean clone
# of the tree in it, `apt-get install -y make` and then the command.
#
#   tests/fresh.sh bookworm|trixie [run|check]
#
# Catches: a package that nobody named, a package that the suite does not have, a compiler's or a
# library's new warning, a build that wants root, the network or the build machine's kernel.
#
# The suite comes from the machine's own apt sources, with the suite's name rewritten. The folder and
# the packages are kept in ${XDG_CACHE_HOME:-~/.cache}/bpf_exporter; with them `run` uses no network
# at all: it lives in a network namespace of its own, on the default port. `check` has the machine's
# network, and shows the whole output. All mounts are in a namespace of the test's own.
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
# shellcheck source=tests/debian.sh
. tests/debian.sh
tree=$PWD
suite=${1-}
command=${2:-run}
root='' netns='' run_pid='' exporter_pid=''
case "$suite/$command" in
bookworm/run | bookworm/check | trixie/run | trixie/check) ;;
*)
	tap_finished=1
	echo "usage: tests/fresh.sh bookworm|trixie [run|check]" >&2
	exit 2
	;;
esac

no() {
	skip "a new $suite machine: make $command" "$1"
	finish
}
[ -z "${FRESH-}" ] || no "this is already one (FRESH=$FRESH)"
[ "$(id -u)" = 0 ] || no "needs root to make it"
for tool in debootstrap git curl ip flock setpriv unshare nsenter; do
	command -v "$tool" >/dev/null || no "$tool is not installed"
done
[ -e .git ] || no "the tree is no git clone"
if [ -z "${FRESH_SANDBOX-}" ]; then
	tap_finished=1 # this shell goes away without a word
	FRESH_SANDBOX=1 exec unshare --mount --propagation private bash "tests/${0##*/}" "$@"
fi
unset FRESH_SANDBOX
debian_cache || no "cannot write $cache"

# ---- the end: also of a test that is killed ----

inside() { # the processes whose / is the new machine's: nobody else's can be
	local link
	for link in /proc/[0-9]*/root; do
		[ "$(readlink "$link" 2>/dev/null)" = "$root" ] || continue
		link=${link#/proc/}
		echo "${link%/root}"
	done
}

# Nothing of this machine's is below $root afterwards, to be removed with it.
end_machine() {
	local pid
	for _ in 1 2 3; do # again: what those were just starting
		for pid in $(inside); do
			kill -KILL "$pid" 2>/dev/null
		done
	done
	umount -R -l "$root" 2>/dev/null
	! grep -qE " $root(/| )" /proc/self/mounts
}

tap_cleanup() {
	local pid
	for pid in $(jobs -p); do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	if [ -n "$root" ] && ! end_machine; then
		echo "# still mounted below $root"
		tap_tmp=''
	fi
}

# In a process group of its own: ends the machine when this test was killed without a chance to.
watch_over() {
	set -m
	(
		trap '' HUP INT TERM
		setpriv --pdeathsig KILL tail --pid=$$ -f /dev/null
		[ -d "$root" ] && end_machine && rm -rf --one-file-system "$tap_tmp"
	) >/dev/null 2>&1 &
	set +m
}
trap 'exit 143' HUP INT TERM

# What a test left that was killed without a chance; its mounts went with its namespace.
sweep() {
	local folder pid
	for folder in "${TMPDIR:-/tmp}"/bpf_exporter_fresh_*; do
		pid=${folder##*_fresh_}
		pid=${pid%%_*}
		[ -d "$folder" ] && [ ! -d "/proc/$pid" ] && rm -rf --one-file-system "$folder"
	done
}

# ---- the new machine ----

unpack() {
	root=$tap_tmp/root
	mkdir "$root"
	watch_over
	mount --bind "$root" "$root" || return 1 # as on any machine, / is a mount point
	tar -C "$root" --numeric-owner -xzf "$tarball" || return 1
	git clone -q --no-hardlinks "$tree" "$root/src" && chown -R 1000:1000 "$root/src" || return 1
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	[ -z "${NODE_EXTRA_CA_CERTS-}" ] || cp "$NODE_EXTRA_CA_CERTS" "$root/etc/ca.pem"
	mount --rbind /proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev"
}

# How this machine reaches the network: its proxy, and who signs for it.
network_env=()
for variable in http_proxy https_proxy no_proxy; do
	[ -z "${!variable-}" ] || network_env+=("$variable=${!variable}")
done
[ -z "${NODE_EXTRA_CA_CERTS-}" ] || network_env+=(NODE_EXTRA_CA_CERTS=/etc/ca.pem)

# new CMD: a line of shell on the new machine, in the clone, as sudo runs it for who cloned it.
new() {
	${netns:+nsenter --net="$netns"} env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb FRESH=1 SUDO_UID=1000 SUDO_GID=1000 \
		"${network_env[@]}" chroot "$root" sh -c "cd /src && $1" </dev/null
}

# The packages that are to be missing: in apt's cache, as if just downloaded.
fetch() {
	local get="apt-get install -y --no-install-recommends --download-only"
	cp "$packages"/*.deb "$root/var/cache/apt/archives/" 2>/dev/null
	new "list=\"make \$(sh deploy/deps.sh $1 list)\"; $get \$list || { apt-get update; $get \$list; }" || return 1
	cp -n "$root"/var/cache/apt/archives/*.deb "$packages/"
}

installed() { # what dpkg did so far
	cksum <"$root/var/log/dpkg.log"
}

# ---- make run ----

outside() { # from this machine's folder, in the new one's network
	nsenter --net="$netns" "$@"
}

answers() {
	outside curl -sf --max-time 5 -o /dev/null http://localhost:9435/health
}

# make_run WHAT: starts it and waits until the exporter answers.
make_run() {
	local start=$SECONDS
	new "exec make run" >"$tap_tmp/run.log" 2>&1 &
	run_pid=$!
	until answers; do
		if [ ! -d "/proc/$run_pid" ] || [ $((SECONDS - start)) -gt 400 ]; then
			not_ok "$1" "$(tail -n 5 "$tap_tmp/run.log")"
			tail -n 40 "$tap_tmp/run.log" | sed 's/^/# /'
			return 1
		fi
		sleep 0.2
	done
	exporter_pid=$(outside ss -Htlnp 'sport = 9435' | sed -n 's/.*pid=\([0-9]*\).*/\1/p')
	ok "$1 ($((SECONDS - start)) s)"
}

make_run_ends() { # in this shell: only it can wait for its child
	local rc=0 left
	kill -TERM "$exporter_pid"
	wait "$run_pid" || rc=$?
	left=$(inside)
	if [ "$rc" -eq 0 ] && [ -z "$left" ]; then
		ok "$1"
	else
		not_ok "$1" "status $rc, still there: $left; $(tail -n 1 "$tap_tmp/run.log")"
	fi
}

# A family shows once it has counted something: some do at once, and none that is not in the list.
test_families() {
	local up down shown unknown
	outside curl -sf --max-time 20 http://localhost:9435/metrics >"$tap_tmp/metrics" || return 1
	up=$(grep -c '^bpf_exporter_collector_up{.*} 1$' "$tap_tmp/metrics")
	down=$(grep '^bpf_exporter_collector_up{.*} 0$' "$tap_tmp/metrics")
	if [ "$up" -eq 0 ] || [ -n "$down" ]; then
		echo "$up collectors are up, but not $down"
		return 1
	fi
	sed -n 's/^# TYPE \(ebpf_[a-z0-9_]*\) .*/\1/p' "$tap_tmp/metrics" | sort >"$tap_tmp/shown"
	new "build/bpf_exporter --list" | sed -n 's/^[a-z]* \(ebpf_[a-z0-9_]*\).*/\1/p' | sort >"$tap_tmp/listed"
	shown=$(wc -l <"$tap_tmp/shown")
	unknown=$(comm -23 "$tap_tmp/shown" "$tap_tmp/listed")
	if [ "$shown" -lt 5 ] || [ -n "$unknown" ]; then
		echo "$shown ebpf_ families, not listed: $unknown"
		return 1
	fi
}

test_printed_lines() {
	local line
	grep -q 'http://localhost:9435/metrics' "$tap_tmp/run.log" || { echo "no address to open"; return 1; }
	line=$(sed -n 's/.*try: \(curl .*[^"]\)"*$/\1/p' "$tap_tmp/run.log")
	[ -n "$line" ] || { echo "no curl to try"; return 1; }
	new "$line" | grep -q '^ebpf_.* [0-9]' || { echo "$line: shows nothing"; return 1; }
}

test_mounts() {
	grep -q ' /sys/kernel/tracing tracefs ' "/proc/$exporter_pid/mounts" || { echo "no tracefs"; return 1; }
	grep -q ' /sys/fs/bpf bpf ' "/proc/$exporter_pid/mounts" || { echo "no bpffs"; return 1; }
}

# as_user FOLDER CMD
as_user() {
	new "cd $1 && HOME=/nonexistent setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all $2"
}

# Without root, network and /sys; from nothing; a warning is an error.
test_build_as_user() {
	local make="make -j2 WERROR=1 $*"
	new "exec unshare --mount --propagation unchanged sh -c 'umount -l /sys && exec setpriv --reuid 1000 \
		--regid 1000 --clear-groups --inh-caps=-all $make'"
}

# What sudo built is not in the way of who cloned the tree.
test_build_after_sudo() {
	as_user /src "make" && as_user /src "touch exporter/main.c" && as_user /src "make" && as_user /src "make clean"
}

test_deps_installs_nothing() {
	local before
	before=$(installed)
	new "http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 make deps" || return 1
	as_user /src "make deps" || return 1
	[ "$before" = "$(installed)" ]
}

test_nothing_built_again() {
	[ "$before" = "$(installed)" ] || { echo "dpkg did something"; return 1; }
	! grep -E '^ +(BPF|CC|GEN|LINK) ' "$tap_tmp/run.log"
}

run() {
	local before
	unshare --net setpriv --pdeathsig KILL sleep 3600 &
	until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
		sleep 0.05
	done
	netns=/proc/$!/ns/net
	outside ip link set lo up
	check "apt-get install -y make" new "cd / && apt-get install -y make"
	umount -l "$root/sys/kernel/tracing" "$root/sys/fs/bpf" 2>/dev/null
	if make_run "make run: installs, builds, and the exporter answers"; then
		check "/metrics has the families of the collectors" test_families
		check "the address and the curl that it prints are right" test_printed_lines
		check "tracefs and bpffs are mounted" test_mounts
		make_run_ends "SIGTERM ends it, and make, with status 0"
	fi
	check "make deps installs nothing again, needs no root and no proxy that answers" test_deps_installs_nothing
	before=$(installed)
	if make_run "a second make run, without network"; then
		check "it installs nothing and builds nothing" test_nothing_built_again
		make_run_ends "SIGTERM ends it too"
	fi
	check "--check: every collector loads and attaches" new "build/bpf_exporter --check"
	check "make WERROR=1 without root, network or /sys" test_build_as_user BUILD=/tmp/built
	check "make, without root, after sudo make run" test_build_after_sudo
}

# ---- make check ----

check_closes() {
	grep -qE '^[0-9]+ passed, 0 failed, [0-9]+ skipped$' <<<"$closing"
}

no_process_left() {
	local pid
	for pid in $(inside); do
		tr '\0' ' ' <"/proc/$pid/cmdline"
	done | grep . && return 1
	return 0
}

checks() {
	local closing start=$SECONDS
	check "apt-get install -y make" new "cd / && apt-get install -y make"
	rm -rf "$root"/var/lib/apt/lists/* # as in an image: make check has to ask for them itself
	new "make check" 2>&1 | tee "$tap_tmp/check.log" | sed -u 's/^/# /'
	closing=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$tap_tmp/check.log" | tail -n 1)
	check "make check: ${closing:-no closing line} ($((SECONDS - start)) s)" check_closes
	check "no service and no process is left" no_process_left
	check "the policy against services is gone again" test ! -e "$root/usr/sbin/policy-rc.d"
	check "--check: every collector loads and attaches" new "build/bpf_exporter --check"
	check "make CC=clang WERROR=1 without root, network or /sys" test_build_as_user CC=clang BUILD=/tmp/clang
	# the sanitizers' libraries come with gcc; for clang they are a package of their own
	check "make CC=gcc WERROR=1 all unit without root, network or /sys" test_build_as_user CC=gcc BUILD=/tmp/gcc all unit
	check "make, without root, after sudo make check" test_build_after_sudo
	cp -n "$root"/var/cache/apt/archives/*.deb "$packages/"
}

sweep
tap_tmp=$(mktemp -d -t "bpf_exporter_fresh_$$_XXXXXX") || no "no temp folder"
debian_tarball
unpack || no "cannot unpack $tarball"
if [ "$command" = run ]; then
	why=$(fetch build 2>&1) || no "cannot fetch the packages: $(grep -m1 '^E:' <<<"$why")"
	run
else
	why=$(fetch check 2>&1) || no "cannot fetch the packages: $(grep -m1 '^E:' <<<"$why")"
	checks
fi
finish
