/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The TCP sockets that listen, of all network namespaces: an iterator over this storage visits just
 * them, with no more than its own descriptor. An iterator over the sockets of a namespace would have
 * to be opened in each one, which needs CAP_SYS_ADMIN for as long as pods come and go.
 */
#pragma once

#include "metrics.bpf.h"

struct listener {
	__u32 drops; /* of sk_drops: counted, or older than us */
	__u32 round; /* in which it was read last, where files are visited: one socket, many files */
};

/* Not BPF_F_CLONE: accepted sockets do not listen. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct listener);
} shared_listeners SEC(".maps");

/* A socket that begins to listen, or was found listening (owner.bpf.c: older than the exporter). */
static __always_inline struct listener *follow_listener(struct sock *sk)
{
	struct listener fresh = { .drops = sk->sk_drops.counter };

	return bpf_sk_storage_get(&shared_listeners, sk, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
}
