/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/listen.bpf.c: how full the accept queues of listening TCP sockets are, and what they drop. */
#include "listen.bpf.h"
#include "nested.bpf.h"
#include "owner.bpf.h"

struct port_key {
	cgroup_id_t cgroup;
	__be16 port;
	__u16 _pad[3];
};

/* Sockets that share a port (SO_REUSEPORT), or have it in several network namespaces, add up. */
struct cgroup_tcp_listen {
	GAUGE(backlog_connections, "Connections that wait for the application to accept() them, now. At the limit "
		"(tcp_listen_backlog_limit_connections) new ones are dropped: it accepts too slowly.");
	GAUGE(backlog_limit_connections, "Connections that may wait to be accepted: what the application asked "
		"listen() for, at most net.core.somaxconn. "
		"Low: short bursts of clients find no room.");
};
REFILLED_TABLE(HASH, cgroup_tcp_listen, struct port_key, struct cgroup_tcp_listen, 4096);

struct cgroup_tcp_listen_drops {
	COUNTER(drops, "Packets that a listening socket threw away (sk_drops): connection requests while its accept "
		"queue was full, the retries of the same client too, and what a socket filter refused. "
		"High: it accepts too slowly.");
};
TABLE(HASH, cgroup_tcp_listen___drops, struct port_key, struct cgroup_tcp_listen_drops, 2048);

/*
 * Listeners whose drops are being added. The poll and the end of a listener may both be at it, and
 * 5.10's programs have neither locks nor an exchange (nor arm64's before 5.18): who makes the row adds.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, __u8);
	__uint(max_entries, 256);
} listen_adding SEC(".maps");

static __always_inline void describe(struct port_key *key, struct sock *sk)
{
	struct who who;

	who_of_sock(&who, sk);
	key->cgroup = who.cgroup;
	key->port = __builtin_bswap16(sk->__sk_common.skc_num);
}

static __always_inline void add_drops(const struct port_key *key, struct sock *sk, struct listener *listener)
{
	__u32 drops = sk->sk_drops.counter, more = drops - listener->drops;
	__u64 id = (__u64)sk;
	__u8 yes = 1;
	struct cgroup_tcp_listen_drops *row;

	if (!more)
		return;
	/* (int): before 6.4 (d7ba4cc900bf) the upper half of what a map update gives is undefined */
	if ((int)bpf_map_update_elem(&listen_adding, &id, &yes, BPF_NOEXIST))
		return;
	more = drops - listener->drops; /* the other one may have been here since */
	row = (__s32)more > 0 ? ROW(cgroup_tcp_listen___drops, key) : 0;
	if (row) {
		ADD(row->drops, more);
		listener->drops = drops;
	}
	bpf_map_delete_elem(&listen_adding, &id);
}

static __always_inline void read_listener(struct sock *sk, struct listener *listener)
{
	struct cgroup_tcp_listen *row;
	struct port_key key = {};

	describe(&key, sk);
	row = ROW(cgroup_tcp_listen, &key);
	if (row) {
		row->backlog_connections += sk->sk_ack_backlog;
		row->backlog_limit_connections += sk->sk_max_ack_backlog;
	}
	add_drops(&key, sk, listener);
	add_drops(&key, sk, listener); /* its end found us adding: what came until then is left to us */
}

SEC("iter/bpf_sk_storage_map")
int listen_poll___shared_listeners(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct listener *listener = ctx->value;
	struct sock *sk = ctx->sk;

	if (sk && listener && sk->__sk_common.skc_state == TCP_LISTEN)
		read_listener(sk, listener);
	return 0;
}

ITERATORS_PERCENT(1); /* for the next one */

__u32 listen_round = 1;

/* Sees the same, but for listeners of the kernel's own (NFS), and looks at every file to find it. */
SEC("?iter/task_file")
int listen_poll_files(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct listener *listener;
	struct sock *sk;

	if (!ctx->task)
		listen_round++; /* that was the last one */
	if (!ctx->task || !file)
		return 0;
	sk = tcp_sock_of_file(file);
	if (!sk || sk->__sk_common.skc_state != TCP_LISTEN)
		return 0;
	listener = bpf_sk_storage_get(&shared_listeners, sk, 0, 0);
	if (!listener || listener->round == listen_round)
		return 0;
	listener->round = listen_round;
	read_listener(sk, listener);
	return 0;
}

/* The tracepoint comes before the state changes: nothing is dropped here unseen. Of no use without the iterator. */
NESTED_PROG("?tp_btf/inet_sock_set_state", listen_begin_or_end, struct sock *sk, int from, int to)
{
	struct listener *listener;
	struct port_key key = {};

	if (from != TCP_LISTEN && to != TCP_LISTEN)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP) /* MPTCP, SCTP */
		return 0;
	if (to == TCP_LISTEN) {
		follow_listener(sk);
		return 0;
	}
	listener = bpf_sk_storage_get(&shared_listeners, sk, 0, 0);
	if (!listener)
		return 0;
	describe(&key, sk);
	add_drops(&key, sk, listener);
	bpf_sk_storage_delete(&shared_listeners, sk);
	return 0;
}
