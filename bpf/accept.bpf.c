/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/accept.bpf.c: how long clients wait for the process they connected to.
 *
 * The kernel has no tracepoint where a process takes a connection from its queue, so a trampoline of
 * one function is needed; that costs each accept() of the node some 100 ns, and not every kernel has it.
 */
#include "nested.bpf.h"
#include "owner.bpf.h"

COLLECTOR(OFF, MEDIUM);

struct cgroup_tcp {
	HISTOGRAM(accept_wait_ns, "Time that TCP connections waited, ready, until the listening process accepted them. "
		  "High: it is too busy, or has too few workers.");
};
TABLE(HASH, cgroup_tcp___accept, cgroup_id_t, struct cgroup_tcp, 1024);

/* Since when a connection waits. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} accept_ready SEC(".maps");

/* By address, where sockets have no storage. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, __u64);
	__uint(max_entries, 16384);
} accept_ready___before_5_11 SEC(".maps");

/* `?`, as the next: they count nothing by themselves, and where the trampoline is missing all is. */
NESTED_PROG("?tp_btf/inet_sock_set_state", accept_connection_ready, struct sock *sk, int from, int to)
{
	__u64 address = (__u64)sk, now, *since;

	if (sk->sk_protocol != IPPROTO_TCP || from != TCP_SYN_RECV || to != TCP_ESTABLISHED)
		return 0;
	now = bpf_ktime_get_ns();
	if (!have_local_storage()) {
		if (bpf_map_update_elem(&accept_ready___before_5_11, &address, &now, BPF_ANY))
			ADD(cgroup_tcp___accept___lost, 1);
		return 0;
	}
	since = bpf_sk_storage_get(&accept_ready, sk, &now, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!since)
		ADD(cgroup_tcp___accept___lost, 1);
	return 0;
}

/* Connections that nobody accepts. */
NESTED_PROG("?tp_btf/tcp_destroy_sock", accept_no_connection, struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (!have_local_storage())
		bpf_map_delete_elem(&accept_ready___before_5_11, &address);
	return 0;
}

/* In the process that accepts: it, not who called listen(), is the one that others wait for. */
SEC("fexit/inet_csk_accept")
int accept_connection(__u64 *ctx)
{
	struct sock *sk = accepted_sock(ctx);
	__u64 address = (__u64)sk, *since;
	struct cgroup_tcp *row;
	struct who who;

	if (is_null(sk))
		return 0;
	if (have_local_storage())
		since = bpf_sk_storage_get(&accept_ready, sk, 0, 0);
	else
		since = bpf_map_lookup_elem(&accept_ready___before_5_11, &address);
	if (!since)
		return 0; /* ready before the exporter started, or accepted before it was (TCP Fast Open) */
	who_current(&who);
	row = ROW(cgroup_tcp___accept, &who.cgroup);
	if (row)
		OBSERVE_NS(row->accept_wait_ns, bpf_ktime_get_ns() - *since);
	if (have_local_storage())
		bpf_sk_storage_delete(&accept_ready, sk);
	else
		bpf_map_delete_elem(&accept_ready___before_5_11, &address);
	return 0;
}
