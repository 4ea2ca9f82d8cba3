# tests/debian.sh: sourced by what needs a new Debian machine; needs tests/tap.sh and $tap_tmp.
# shellcheck shell=bash
#
#   debian_cache     from $suite (bookworm, trixie) makes $cache, $tarball and $packages (a folder of .deb)
#   debian_tarball   makes $tarball, a minbase folder of the suite, unless there is one of these two weeks;
#                    calls `no WHY` when it cannot and there is none
#   debian_sources   "URI SUITE" of each Debian source of this machine's, for $suite
#
# The suite comes from the machine's own apt sources, with the suite's name rewritten. All is kept in
# ${XDG_CACHE_HOME:-~/.cache}/bpf_exporter, which may be removed at any time.

cache='' tarball='' packages=''

debian_cache() {
	# shellcheck disable=SC2154 # the caller's
	cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bpf_exporter
	tarball=$cache/$suite.tar.gz
	packages=$cache/$suite.packages
	mkdir -p "$packages"
}

debian_sources() {
	# shellcheck disable=SC2016 # the fields are apt's
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE)' 'Identifier: Packages' |
		awk -v suite="$suite" '$1 == "Debian" { sub(/^[a-z]+/, suite, $3); print $2, $3 }' | sort -u
}

make_tarball() {
	local uri new=$cache/$suite.new.$$ log=$cache/$suite.log
	uri=$(debian_sources | awk -v suite="$suite" '$2 == suite { print $1; exit }')
	[ -n "$uri" ] || { echo "no Debian source in this machine's apt lists"; return 1; }
	root=$tap_tmp/root # the caller's, whose cleanup looks there
	debootstrap --variant=minbase "$suite" "$root" "$uri" >"$log" 2>&1 || { tail -n 2 "$log"; return 1; }
	mkdir -p "$packages"
	debian_sources | while read -r uri release; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $release main"
	done >"$root/etc/apt/sources.list"
	apt-config dump | grep -E '^Acquire::(Check-|http|https|Retries)' >"$root/etc/apt/apt.conf.d/00machine"
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io" # nobody's disk fails here
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	chroot "$root" apt-get -q update >>"$log" 2>&1 || { grep -m1 '^[EW]:' "$log"; return 1; }
	tar -C "$root" --numeric-owner -cf - . | gzip -1 >"$new" && mv "$new" "$tarball" || return 1
	rm -rf --one-file-system "$root" "$packages"
	mkdir -p "$packages"
}

# An old tarball is better than none: its lists are only out of date.
have_tarball() {
	local why
	[ -z "$(find "$tarball" -mtime -14 2>/dev/null)" ] || return 0
	why=$(make_tarball 2>&1) && return 0
	rm -rf --one-file-system "$tap_tmp/root" "$cache/$suite.new.$$"
	[ -e "$tarball" ] || no "cannot make it: $why"
}

debian_tarball() {
	exec 9>"$cache/$suite.lock"
	flock 9
	have_tarball
	flock -u 9
}
