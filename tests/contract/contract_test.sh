#!/usr/bin/env bash
# Catches: a program that needs what a known kernel does not have; and a check of that which sees
# nothing: each kind of breakage is made on purpose.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
tap_mktemp

while IFS= read -r line; do
	case $line in
	"ok - "*) ok "${line#ok - }" ;;
	*) not_ok "contract" "${line#not ok - }" ;;
	esac
done < <(make --no-print-directory kernel-contract 2>&1 | grep -v '^  ')

# breaks WHAT FILE FROM TO WANTED: with FROM changed to TO in FILE, WANTED is said
breaks() {
	rm -rf "$tap_tmp/tree"
	mkdir "$tap_tmp/tree"
	cp -r Makefile bpf vmlinux exporter tests "$tap_tmp/tree/"
	# shellcheck disable=SC2086 # patterns of files
	(cd "$tap_tmp/tree" && sed -i "s/$3/$4/g" $2)
	make -C "$tap_tmp/tree" --no-print-directory kernel-contract BUILD="$tap_tmp/tree/build" >"$tap_tmp/out" 2>&1
	if grep -q "^not ok - .*$5" "$tap_tmp/out"; then
		ok "$1 is seen"
	else
		not_ok "$1 is seen" "$(tail -n 3 "$tap_tmp/out")"
	fi
}

breaks "a field that no kernel has" "bpf/*.[ch] vmlinux/vmlinux.h" '\bgroup_exit_code\b' group_exit_status \
	"no struct signal_struct.group_exit_status"
breaks "a field of another kind" vmlinux/vmlinux.h 'int group_exit_code;' 'struct net *group_exit_code;' \
	"signal_struct.group_exit_code is of kind int, not ptr"
breaks "an enum's value that is gone" "bpf/*.h vmlinux/vmlinux.h" memory_cgrp_id memori_cgrp_id \
	"no enum cgroup_subsys_id memori_cgrp_id"
breaks "a tracepoint that is gone" bpf/tcp.bpf.c 'tp_btf\/tcp_receive_reset' 'tp_btf\/tcp_received_reset' \
	"tcp_received_reset is not in shapes.txt"
breaks "a function that is gone" bpf/accept.bpf.c 'fexit\/inet_csk_accept' 'fexit\/inet_csk_accepts' \
	"inet_csk_accepts is not in shapes.txt"
breaks "a prototype that no kernel's is like" vmlinux/vmlinux.h 'struct bdi_writeback {.*' 'struct bdi_writeback; struct b {' \
	"struct bdi_writeback is only declared"
breaks "a shape that nobody wrote for" tests/contract/shapes.txt ' | bool, task_struct \*, task_struct \*$' '' \
	"sched_switch(bool, task_struct \*, task_struct \*): no program"
finish
