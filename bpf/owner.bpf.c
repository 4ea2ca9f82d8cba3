/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/owner.bpf.c: remembers which process owns a socket, and who lives in a network namespace; counts nothing. */
#include "listen.bpf.h"
#include "nested.bpf.h"
#include "owner.bpf.h"

static __always_inline void remember_by_address(struct sock *sk, int from, int to)
{
	__u64 address = (__u64)sk;
	struct port port = port_of_sock(sk);
	struct owner fresh = { .by_itself = true };
	struct owner *listener;

	if (from == TCP_LISTEN && to == TCP_CLOSE) {
		bpf_map_delete_elem(&shared_owner_ports___before_5_11, &port);
	} else if (from == TCP_CLOSE && (to == TCP_SYN_SENT || to == TCP_LISTEN)) {
		who_current(&fresh.who);
		bpf_map_update_elem(&shared_owners___before_5_11, &address, &fresh, BPF_ANY);
		if (to == TCP_LISTEN)
			bpf_map_update_elem(&shared_owner_ports___before_5_11, &port, &fresh, BPF_ANY);
	} else if (from == TCP_SYN_RECV && to == TCP_ESTABLISHED) {
		listener = bpf_map_lookup_elem(&shared_owner_ports___before_5_11, &port);
		if (listener)
			bpf_map_update_elem(&shared_owners___before_5_11, &address, listener, BPF_ANY);
	}
}

/* Not at its TCP_CLOSE: a socket that is broken off (SO_LINGER 0) sends its reset after that. */
NESTED_PROG("tp_btf/tcp_destroy_sock", owner_of_no_socket, struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (!have_local_storage())
		bpf_map_delete_elem(&shared_owners___before_5_11, &address);
	return 0;
}

/* The process that connects or listens does so itself: here, and only here, `current` is right. */
NESTED_PROG("tp_btf/inet_sock_set_state", owner_of_new_socket, struct sock *sk, int from, int to)
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

__u32 socket_sweep = 1, netns_sweep = 1; /* the one that is under way, or comes next */

/*
 * Who holds a socket that many may hold, such as UDP's: the first one found stays its owner as long as
 * it holds it, or its events would go to another process each time. Only the first process hands over:
 * systemd opens sockets for its services and keeps a copy.
 */
static __always_inline void hold_socket(struct owner *owner, const struct owner *fresh)
{
	if (owner->who.pid != fresh->who.pid && owner->who.pid > 1 &&
	    owner->sweep + 1 >= fresh->sweep)
		return;
	*owner = *fresh;
}

/*
 * Sockets older than the exporter, those that are neither connected nor listened on, and accepted ones
 * that moved on to a worker process: whoever holds the file owns it, unless its own process was seen
 * to make it.
 */
SEC("iter/task_file")
int owner_of_open_socket(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct owner fresh = { .by_itself = true, .sweep = socket_sweep };
	struct owner *owner;
	struct socket *socket;
	unsigned short family;
	struct sock *sk;

	if (!task) {
		socket_sweep++; /* that was the end */
		return 0;
	}
	if (!file || !have_local_storage())
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6 && family != AF_PACKET)
		return 0;
	who_of_task(&fresh.who, task);
	owner = bpf_sk_storage_get(&shared_owners, sk, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!owner)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		hold_socket(owner, &fresh);
	else if (!owner->by_itself)
		*owner = fresh;
	if (sk->__sk_common.skc_state == TCP_LISTEN)
		follow_listener(sk);
	return 0;
}

/* The namespace's place, or one that it may have; NULL: all are taken. */
static __always_inline struct netns *place_of_netns(__u64 id)
{
	struct netns *at, *free = NULL;
	__u32 place;

#pragma unroll
	for (int i = 0; i < NETNS_PROBES; i++) {
		place = netns_place(id, i);
		at = bpf_map_lookup_elem(&shared_netns, &place);
		if (at && at->id == id)
			return at;
		if (at && (!at->id || at->sweep + 1 < netns_sweep) && !free)
			free = at;
	}
	if (free) {
		/* who reads it meanwhile finds no namespace, not that of another group */
		free->id = 0;
		free->sweep = 0;
		free->start_time = ~0ULL;
	}
	return free;
}

bool know_init_netns = false;

/*
 * A thread of the kernel lives in the host's own namespace, where packets without a socket are the
 * root group's. Where none is in sight (in a container with its own processes only) nobody can tell
 * which one that is, and no namespace has a group. Only leaders count: other threads may be visitors, as
 * agents enter a namespace by one thread to set it up.
 */
SEC("iter/task")
int group_of_netns(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct nsproxy *nsproxy;
	cgroup_id_t cgroup;
	struct netns *at;
	__u64 id, born;
	bool kernel;

	if (!task) {
		netns_sweep++;
		return 0;
	}
	if (task->pid != task->tgid)
		return 0;
	kernel = task->flags & PF_KTHREAD;
	if (!kernel && !know_init_netns)
		return 0;
	know_init_netns = true;
	nsproxy = task->nsproxy;
	if (!nsproxy)
		return 0; /* it exits */
	cgroup = kernel ? CGROUP_ROOT : cgroup_of_task(task);
	if (!kernel && cgroup == CGROUP_ROOT)
		return 0;
	id = netns_id(nsproxy->net_ns);
	if (!id)
		return 0;
	at = place_of_netns(id);
	if (!at)
		return 0;
	born = kernel ? 0 : task->start_time;
	if (born > at->start_time && at->sweep + 1 >= netns_sweep)
		return 0; /* the older one was there in the last sweep */
	at->cgroup = cgroup;
	at->start_time = born;
	at->sweep = netns_sweep;
	at->id = id;
	return 0;
}
