/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Who owns a socket, learned once for all collectors by owner.bpf.c. Events of a socket run in
 * softirqs and timers, where `current` is whoever was interrupted.
 */
#pragma once

#include "netns.bpf.h"

struct owner {
	struct who who;
	bool by_itself; /* this very socket was connected, listened on or found open; else inherited */
	char _pad[3];
	__u32 sweep; /* the last one that found the process holding it; TCP's need none */
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
} shared_owner_ports___before_5_11 SEC(".maps");

static __always_inline struct port port_of_sock(const struct sock *sk)
{
	return (struct port){ (__u64)sk->__sk_common.skc_net.net, sk->__sk_common.skc_num };
}

static __always_inline struct owner *owner_of_sock(struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (have_local_storage())
		return bpf_sk_storage_get(&shared_owners, sk, 0, 0);
	return bpf_map_lookup_elem(&shared_owners___before_5_11, &address);
}

/* Full sockets only: a time-wait or request socket ends before the fields below. */
static __always_inline bool is_full_socket(const struct sock *sk)
{
	unsigned char state = sk->__sk_common.skc_state;

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/*
 * The group of a full socket whose owner is not known: on cgroup v2 that of who made it, else, and for
 * the kernel's own sockets, that of its network namespace.
 */
static __always_inline cgroup_id_t cgroup_of_sock(struct sock *sk)
{
	if (!node_cgroup_v1 && have_sock_cgroup() && BPF_CORE_READ_BITFIELD(&sk->__sk_common, skc_net_refcnt)) {
		cgroup_id_t cgroup = sk->sk_cgrp_data.cgroup->kn->id;

		if (cgroup)
			return cgroup;
	}
	return cgroup_of_netns(sk->__sk_common.skc_net.net);
}

/* The owner of a full socket; when none is known, pid 0 with its group: counted for that alone. */
static __always_inline void who_of_sock(struct who *who, struct sock *sk)
{
	struct owner *owner = owner_of_sock(sk);

	if (owner) {
		*who = owner->who;
		return;
	}
	__builtin_memset(who, 0, sizeof(*who));
	who->cgroup = cgroup_of_sock(sk);
}

/*
 * For sockets that owner.bpf.c finds only when it looks for them, as UDP's: no hook says that one was
 * made. Asks it to look before its time, once for a socket: one that no process holds would ask for
 * ever. `who` is what is known by now, and stays until then.
 */
static __always_inline void want_owner(struct sock *sk, const struct who *who)
{
	struct owner asked = { .who = *who };

	if (!have_local_storage() || owner_of_sock(sk))
		return;
	if (bpf_sk_storage_get(&shared_owners, sk, &asked, BPF_LOCAL_STORAGE_GET_F_CREATE))
		want_sweep();
}

/* The same of a socket that its listener has just cloned: no owner is known by its address yet. */
static __always_inline void who_accepts(struct who *who, struct sock *child)
{
	struct owner *listener;

	if (!have_local_storage()) {
		struct port port = port_of_sock(child);

		listener = bpf_map_lookup_elem(&shared_owner_ports___before_5_11, &port);
		if (listener) {
			*who = listener->who;
			return;
		}
	}
	who_of_sock(who, child);
}
