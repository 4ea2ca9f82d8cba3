/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/sockets.bpf.c: how many TCP sockets there are, and in which state. */
#include "owner.bpf.h"

/* net/ipv4/tcp_states.h: TCP_CLOSE and so on, a nameless enum. */
enum tcp_sk {
	TCP_SK_UNKNOWN,
	TCP_SK_ESTABLISHED,
	TCP_SK_SYN_SENT,
	TCP_SK_SYN_RECV,
	TCP_SK_FIN_WAIT1,
	TCP_SK_FIN_WAIT2,
	TCP_SK_TIME_WAIT,
	TCP_SK_CLOSE,
	TCP_SK_CLOSE_WAIT,
	TCP_SK_LAST_ACK,
	TCP_SK_LISTEN,
	TCP_SK_CLOSING,
};
struct state_key {
	cgroup_id_t cgroup;
	enum tcp_sk state;
	__u32 _pad;
};
struct cgroup_tcp {
	GAUGE(sockets, "TCP sockets now, by state. Many in close_wait: the application does not close what its peer "
		"has closed. Many in time_wait, which are their network namespace's and hold a port for a minute: it "
		"connects anew for each request. Many in syn_recv: clients begin and do not go on, as in a SYN flood.");
};
REFILLED_TABLE(HASH, cgroup_tcp___state, struct state_key, struct cgroup_tcp, 8192);

ITERATORS_PERCENT(1);

static __always_inline void count_sockets(cgroup_id_t cgroup, enum tcp_sk state, __u64 n)
{
	struct state_key key = { .cgroup = cgroup, .state = state };
	struct cgroup_tcp *row;

	if (!n)
		return;
	row = ROW(cgroup_tcp___state, &key);
	if (row)
		row->sockets += n;
}

/* A connection that a client has begun is no socket yet, but a request that waits at the listening one. */
static __always_inline void count_socket(struct sock *sk, struct owner *owner)
{
	enum tcp_sk state = sk->__sk_common.skc_state;
	struct tcp_sock *tcp;

	count_sockets(owner->who.cgroup, state, 1);
	if (state != TCP_SK_LISTEN)
		return;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (tcp)
		count_sockets(owner->who.cgroup, TCP_SK_SYN_RECV,
			      tcp->inet_conn.icsk_accept_queue.qlen.counter);
}

/* Every TCP socket has an owner; an accepted one inherits its listener's (owner.bpf.c). */
SEC("iter/bpf_sk_storage_map")
int sockets_count___shared_owners(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct owner *owner = ctx->value;
	struct sock *sk = ctx->sk;

	if (sk && owner && is_tcp(sk))
		count_socket(sk, owner);
	return 0;
}

__u32 sockets_round = 1;

/* Does not see those that are closing and have no file any more. */
SEC("?iter/task_file")
int sockets_count_files(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct owner *owner;
	struct sock *sk;

	if (!ctx->task)
		sockets_round++; /* that was the last one */
	if (!ctx->task || !file)
		return 0;
	sk = tcp_sock_of_file(file);
	if (!sk)
		return 0;
	owner = owner_of_sock(sk);
	if (!owner || owner->round == sockets_round)
		return 0; /* one socket may be many files */
	owner->round = sockets_round;
	count_socket(sk, owner);
	return 0;
}

__u64 netns_round = 1;

/*
 * In time_wait a connection is no socket any more, but something smaller that has no storage and knows of
 * nobody but its namespace. That knows how many it has, as sockstat's `tw`: those that wait in fin_wait2 for
 * a peer are among them. One without a task is not met.
 */
SEC("iter/task")
int sockets_in_time_wait(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct nsproxy *nsproxy;
	struct netns *known;
	struct net *net;

	if (!task) {
		netns_round++; /* that was the last one */
		return 0;
	}
	if (task->pid != task->tgid)
		return 0;
	nsproxy = task->nsproxy;
	if (!nsproxy)
		return 0; /* it exits */
	net = nsproxy->net_ns;
	known = find_netns(net);
	if (!known || known->round == netns_round)
		return 0;
	known->round = netns_round;
	count_sockets(known->cgroup, TCP_SK_TIME_WAIT, time_wait_sockets(net));
	return 0;
}
