/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/owner.bpf.c: remembers which process owns a TCP socket; counts nothing. */
#include "owner.bpf.h"

/* Who listens on a port, for its accepted sockets: they are no clones where there is no storage. */
struct port {
	__u64 netns;
	__u64 port;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct port);
	__type(value, struct owner);
	__uint(max_entries, 4096);
} owner_ports___before_5_11 SEC(".maps");

static __always_inline void remember_by_address(struct sock *sk, int from, int to)
{
	__u64 address = (__u64)sk;
	struct port port = { (__u64)sk->__sk_common.skc_net.net, sk->__sk_common.skc_num };
	struct owner fresh = { .by_itself = true };
	struct owner *listener;

	if (from == TCP_LISTEN && to == TCP_CLOSE) {
		bpf_map_delete_elem(&owner_ports___before_5_11, &port);
	} else if (from == TCP_CLOSE && (to == TCP_SYN_SENT || to == TCP_LISTEN)) {
		who_current(&fresh.who);
		bpf_map_update_elem(&shared_owners___before_5_11, &address, &fresh, BPF_ANY);
		if (to == TCP_LISTEN)
			bpf_map_update_elem(&owner_ports___before_5_11, &port, &fresh, BPF_ANY);
	} else if (from == TCP_SYN_RECV && to == TCP_ESTABLISHED) {
		listener = bpf_map_lookup_elem(&owner_ports___before_5_11, &port);
		if (listener)
			bpf_map_update_elem(&shared_owners___before_5_11, &address, listener, BPF_ANY);
	}
}

/* Not at its TCP_CLOSE: a socket that is broken off (SO_LINGER 0) sends its reset after that. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(owner_of_no_socket, struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (!have_local_storage())
		bpf_map_delete_elem(&shared_owners___before_5_11, &address);
	return 0;
}

/* The process that connects or listens does so itself: here, and only here, `current` is right. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(owner_of_new_socket, struct sock *sk, int from, int to)
{
	struct owner fresh = { .by_itself = true };
	struct owner *owner;

	if (!have_local_storage()) {
		remember_by_address(sk, from, to);
		return 0;
	}
	if (from == TCP_SYN_RECV) {
		/* a clone of its listener's owner, until the sweep finds who holds it */
		owner = bpf_sk_storage_get(&shared_owners, sk, 0, 0);
		if (owner)
			owner->by_itself = false;
		return 0;
	}
	if (from != TCP_CLOSE || (to != TCP_SYN_SENT && to != TCP_LISTEN))
		return 0;
	who_current(&fresh.who);
	owner = bpf_sk_storage_get(&shared_owners, sk, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (owner)
		*owner = fresh; /* a socket may be connected again, by somebody else */
	return 0;
}

/*
 * Sockets older than the exporter, and accepted ones that moved on to a worker process: whoever
 * holds the file owns it, unless its own process was seen to make it.
 */
SEC("iter/task_file")
int owner_of_open_socket(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct owner fresh = { .by_itself = true };
	struct owner *owner;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file || !have_local_storage())
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	who_of_task(&fresh.who, task);
	owner = bpf_sk_storage_get(&shared_owners, sk, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (owner && !owner->by_itself)
		*owner = fresh;
	return 0;
}
