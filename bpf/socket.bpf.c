/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/socket.bpf.c: what went wrong on sockets of any protocol: errors, memory that was refused. */
#include "nested.bpf.h"
#include "owner.bpf.h"

struct error_key {
	cgroup_id_t cgroup;
	errno_t errno;
	__u32 _pad;
};
struct cgroup_socket_error {
	COUNTER(errors, "Errors that the network reported to TCP, UDP and other IP sockets: refused, reset, unreachable, "
		"timed out. "
		"High: what it talks to is down or out of reach.");
};
TABLE(HASH, cgroup_socket___errors, struct error_key, struct cgroup_socket_error, 4096);

struct kind {
	counter_t send, recv;
};
struct cgroup_socket_memory {
	COUNTER_BY(kind, memory_limit_hits,
		   "Times a socket was refused memory, for data to send or data received: the group's memory limit, or "
		   "the node's for the protocol (net.ipv4.tcp_mem), is used up. Received data is then dropped and has "
		   "to be sent again.");
};
TABLE(HASH, cgroup_socket___memory, cgroup_id_t, struct cgroup_socket_memory, 4096);

NESTED_PROG("tp_btf/inet_sk_error_report", socket_error, struct sock *sk)
{
	struct error_key key = {};
	struct cgroup_socket_error *row;
	errno_t error = sk->sk_err;
	struct who who;

	if (!error)
		return 0; /* news of another kind: a time stamp of a packet that was sent, a zero copy that ended */
	who_of_sock(&who, sk);
	key.cgroup = who.cgroup;
	key.errno = error > 0 && error < ERRNO_NAMED ? error : ERRNO_OTHER;
	row = ROW(cgroup_socket___errors, &key);
	if (row)
		ADD(row->errors, 1);
	return 0;
}

NESTED_PROG("tp_btf/sock_exceed_buf_limit", socket_memory_limit, struct sock *sk, struct proto *protocol,
	    long allocated, int kind)
{
	struct cgroup_socket_memory *row;
	struct who who;

	who_of_sock(&who, sk);
	row = ROW(cgroup_socket___memory, &who.cgroup);
	if (!row)
		return 0;
	if (kind == SK_MEM_SEND)
		ADD(row->memory_limit_hits.send, 1);
	else
		ADD(row->memory_limit_hits.recv, 1);
	return 0;
}
