/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Who owns a socket, learned once for all collectors by owner.bpf.c. Events of a socket run in
 * softirqs and timers, where `current` is whoever was interrupted.
 */
#pragma once

#include "who.bpf.h"

struct owner {
	struct who who;
	bool by_itself; /* this very socket was connected, listened on or found open; else inherited */
	char _pad[3];
	__u32 round; /* in which it was counted last (sockets.bpf.c) */
};

/* Accepted sockets are clones of their listener, and BPF_F_CLONE makes its owner theirs. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct owner);
} shared_owners SEC(".maps");

/* By address, where sockets have no storage; a row goes with its socket (owner.bpf.c). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, struct owner);
	__uint(max_entries, 32768);
} shared_owners___before_5_11 SEC(".maps");

static __always_inline struct owner *owner_of_sock(struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (have_local_storage())
		return bpf_sk_storage_get(&shared_owners, sk, 0, 0);
	return bpf_map_lookup_elem(&shared_owners___before_5_11, &address);
}

/* The TCP socket that an open file is; NULL for any other file. */
static __always_inline struct sock *tcp_sock_of_file(struct file *file)
{
	struct socket *socket = bpf_sock_from_file(file);
	struct sock *sk;

	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	return sk;
}

/* Full sockets only: a time-wait or request socket ends before the fields below. */
static __always_inline bool is_full_socket(const struct sock *sk)
{
	unsigned char state = sk->__sk_common.skc_state;

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/*
 * The owner of a full socket; when none is known, its group at the time it was made, and on cgroup
 * v1, where sockets carry no group, the root group. pid 0 then: counted for the group alone.
 */
static __always_inline void who_of_sock(struct who *who, struct sock *sk)
{
	struct owner *owner = owner_of_sock(sk);

	__builtin_memset(who, 0, sizeof(*who));
	if (owner) {
		*who = owner->who;
		return;
	}
	who->cgroup = CGROUP_ROOT;
	if (!node_cgroup_v1 && have_sock_cgroup()) {
		cgroup_id_t cgroup = sk->sk_cgrp_data.cgroup->kn->id;

		if (cgroup)
			who->cgroup = cgroup;
	}
}
