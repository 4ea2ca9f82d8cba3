/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/connect.bpf.c: TCP connections that begin: who asks for them, why they fail, how long they take;
 * and when they end, how far away the other side was.
 *
 * A connect() that finds no route or no permission fails before the socket leaves TCP_CLOSE, and the
 * kernel counts it neither as ActiveOpens nor as AttemptFails. No tracepoint but the exit of every system
 * call of the node would see it: programs at the functions' ends do, where the kernel allows them.
 */
#include "nested.bpf.h"
#include "owner.bpf.h"

const volatile bool functions_traced = false;

struct tcp {
	COUNTER(connects, "TCP connections that processes asked for (connect). "
		"High: they connect anew for each request instead of keeping connections.");
};
TABLE(HASH, tcp___connects, struct who, struct tcp, 16384);

struct failure_key {
	struct who who;
	errno_t errno;
	__u32 _pad;
};
struct tcp_failure {
	COUNTER(connect_failures, "TCP connections that were asked for and not made, by the error: ECONNREFUSED (nobody "
		"listens there), ETIMEDOUT (no answer: packets are dropped), EHOSTUNREACH and ENETUNREACH (a router "
		"says so), EADDRNOTAVAIL (no local port is free), EPERM (a policy forbids it), aborted (the process "
		"gave up). Those that the node itself refuses at once (no route, a policy) are among them where "
		"programs may hang on functions.");
};
TABLE(HASH, tcp___failures, struct failure_key, struct tcp_failure, 8192);

struct cgroup_tcp {
	COUNTER(accepts, "TCP connections that clients made to a listening process, accepted by it or still waiting. "
		"High: many clients, or some that connect anew for each request.");
	HISTOGRAM(connect_latency_ns, "Time from asking for a TCP connection until it was made: one round trip to the "
		  "other side. 1 s and more: the first packet was lost.");
	HISTOGRAM(smoothed_rtt_ns, "Round trip time of TCP connections as the kernel knew it when they ended, of both "
		  "sides. High: the other side is far away, or queues on the way are long.");
};
TABLE(HASH, cgroup_tcp___connections, cgroup_id_t, struct cgroup_tcp, 1024);

/* A connection that was asked for, until it is made or fails. */
struct attempt {
	__u64 since_ns; /* 0: it has ended */
	errno_t errno;
	bool in_call; /* connect() got so far as to make it, and has not returned */
	char _pad[3];
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct attempt);
} connect_attempts SEC(".maps");

/* By address, where sockets have no storage. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, struct attempt);
	__uint(max_entries, 16384);
} connect_attempts___before_5_11 SEC(".maps");

static __always_inline void remember_attempt(struct sock *sk)
{
	struct attempt fresh = { .since_ns = bpf_ktime_get_ns(), .in_call = functions_traced };
	__u64 address = (__u64)sk;
	struct attempt *attempt;

	if (!have_local_storage()) {
		if (bpf_map_update_elem(&connect_attempts___before_5_11, &address, &fresh, BPF_ANY))
			ADD(cgroup_tcp___connections___lost, 1); /* its latency is not seen */
		return;
	}
	attempt = bpf_sk_storage_get(&connect_attempts, sk, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (attempt)
		*attempt = fresh;
	else
		ADD(cgroup_tcp___connections___lost, 1);
}

static __always_inline struct attempt *attempt_or_end_of(struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (have_local_storage())
		return bpf_sk_storage_get(&connect_attempts, sk, 0, 0);
	return bpf_map_lookup_elem(&connect_attempts___before_5_11, &address);
}

static __always_inline struct attempt *attempt_of(struct sock *sk)
{
	struct attempt *attempt = attempt_or_end_of(sk);

	return attempt && attempt->since_ns ? attempt : 0;
}

static __always_inline void forget_attempt(struct sock *sk, struct attempt *attempt)
{
	__u64 address = (__u64)sk;

	if (attempt->in_call) {
		attempt->since_ns = 0; /* connect_returns() forgets it */
		return;
	}
	if (have_local_storage())
		bpf_sk_storage_delete(&connect_attempts, sk);
	else
		bpf_map_delete_elem(&connect_attempts___before_5_11, &address);
}

static __always_inline struct cgroup_tcp *row_of(struct who *who)
{
	return ROW(cgroup_tcp___connections, &who->cgroup);
}

static __always_inline void connect_begins(struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct who who;
	struct tcp *row;

	if (tcp && BPF_CORE_READ_BITFIELD(tcp, repair))
		return; /* restored from a checkpoint: sends nothing */
	remember_attempt(sk);
	who_current(&who);
	row = WHO_ROW(tcp___connects, &who);
	if (row)
		ADD(row->connects, 1);
}

static __always_inline void connect_succeeds(struct sock *sk)
{
	struct attempt *attempt = attempt_of(sk);
	struct cgroup_tcp *row;
	struct who who;

	if (!attempt)
		return; /* accepted, or asked for before the exporter started */
	who_of_sock(&who, sk);
	row = row_of(&who);
	if (row)
		OBSERVE_NS(row->connect_latency_ns, bpf_ktime_get_ns() - attempt->since_ns);
	forget_attempt(sk, attempt);
}

/*
 * The socket's error; or connect() itself found that it cannot go on, and that error is only in what it
 * returns: nothing is queued then, and nobody closed the socket. Without a first sequence number it
 * had not come further than to look for a local port.
 */
static __always_inline errno_t errno_of(struct sock *sk, struct attempt *attempt)
{
	struct tcp_sock *tcp;
	errno_t error = sk->sk_err;

	if (!error && attempt)
		error = attempt->errno;
	if (error)
		return error > 0 && error < ERRNO_NAMED ? error : ERRNO_OTHER;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (sk->sk_shutdown || !tcp || tcp->packets_out)
		return ERRNO_ABORTED;
	return tcp->write_seq ? ERRNO_OTHER : EADDRNOTAVAIL;
}

static __always_inline void count_failure(struct failure_key *key)
{
	struct tcp_failure *row = WHO_ROW(tcp___failures, key);

	if (row)
		ADD(row->connect_failures, 1);
}

static __always_inline void connect_fails(struct sock *sk, int from)
{
	struct attempt *attempt = attempt_of(sk);
	struct failure_key key = {};

	if (!attempt && from != TCP_SYN_SENT)
		return; /* a client that connected to us and went away at once */
	key.errno = errno_of(sk, attempt);
	if (attempt)
		forget_attempt(sk, attempt);
	who_of_sock(&key.who, sk);
	count_failure(&key);
}

/* LISTEN to SYN_RECV is the birth of the socket, where PassiveOpens is counted; it may yet be reset. */
static __always_inline void connection_accepted(struct sock *sk)
{
	struct cgroup_tcp *row;
	struct who who;

	who_accepts(&who, sk);
	row = row_of(&who);
	if (row)
		ADD(row->accepts, 1);
}

static __always_inline void connection_ends(struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct cgroup_tcp *row;
	struct who who;

	if (!tcp || !tcp->srtt_us)
		return; /* nothing was ever acknowledged in time */
	who_of_sock(&who, sk);
	row = row_of(&who);
	if (row)
		OBSERVE_NS(row->smoothed_rtt_ns, tcp->srtt_us * 125ULL); /* the kernel keeps eighths of us */
}

/*
 * Two sides that connect to each other at once go through SYN_RECV as accepted sockets do: what tells
 * them apart is the attempt. DCCP, SCTP and MPTCP (whose subflows are TCP) share this tracepoint.
 */
NESTED_PROG("tp_btf/inet_sock_set_state", connect_state, struct sock *sk, int from, int to)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	switch (from) {
	case TCP_CLOSE:
		if (to == TCP_SYN_SENT)
			connect_begins(sk);
		break;
	case TCP_LISTEN:
		if (to == TCP_SYN_RECV)
			connection_accepted(sk);
		break;
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		if (to == TCP_ESTABLISHED)
			connect_succeeds(sk);
		else if (to != TCP_SYN_RECV)
			connect_fails(sk, from);
		break;
	default:
		if (to == TCP_CLOSE)
			connection_ends(sk);
	}
	return 0;
}

/*
 * Before 6.11 (853c3bd7b791) the process hears of the error before the state changes, and may have taken
 * it from the socket on another CPU by then: the failure would look like its own close.
 */
NESTED_PROG("?tp_btf/inet_sk_error_report", connect_error, struct sock *sk)
{
	struct attempt *attempt;

	if (sk->sk_protocol != IPPROTO_TCP || sk->__sk_common.skc_state != TCP_SYN_SENT)
		return 0;
	attempt = attempt_of(sk);
	if (attempt)
		attempt->errno = sk->sk_err;
	return 0;
}

/* ---- what the node refuses at once ---- */

static __always_inline void refused_at_once(int error)
{
	struct failure_key key = {};

	if (error >= 0)
		return;
	key.errno = error > -ERRNO_NAMED ? -error : ERRNO_OTHER;
	who_current(&key.who);
	count_failure(&key);
}

/* An attempt that was made counts its failure itself, now or later. */
static __always_inline void connect_returns(struct sock *sk, int error)
{
	struct attempt *attempt = attempt_or_end_of(sk);

	if (!attempt || !attempt->in_call) {
		refused_at_once(error);
		return;
	}
	attempt->in_call = false;
	if (!attempt->since_ns)
		forget_attempt(sk, attempt);
}

/* An IPv6 socket comes here on its way to an IPv4 address, and returns to tcp_v6_connect(). */
SEC("?fexit/tcp_v4_connect")
int BPF_PROG(connect_returns_v4, struct sock *sk, void *to, int size, int error)
{
	if (sk->__sk_common.skc_family == AF_INET)
		connect_returns(sk, error);
	return 0;
}

SEC("?fexit/tcp_v6_connect")
int BPF_PROG(connect_returns_v6, struct sock *sk, void *to, int size, int error)
{
	connect_returns(sk, error);
	return 0;
}

/* Where programs of the cgroup decide. When they refuse, the functions above are not called. */
SEC("?fexit/tcp_v4_pre_connect")
int BPF_PROG(connect_decided_v4, struct sock *sk, void *to, int size, int error)
{
	refused_at_once(error);
	return 0;
}

SEC("?fexit/tcp_v6_pre_connect")
int BPF_PROG(connect_decided_v6, struct sock *sk, void *to, int size, int error)
{
	refused_at_once(error);
	return 0;
}
