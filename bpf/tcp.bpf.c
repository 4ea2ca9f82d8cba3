/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/tcp.bpf.c: what went wrong on TCP connections: segments sent again, connections reset. */
#include "nested.bpf.h"
#include "owner.bpf.h"

enum cause { CAUSE_UNKNOWN, CAUSE_FAST, CAUSE_RTO, CAUSE_PROBE, CAUSE_SYN };

struct cause_key {
	struct who who;
	struct {
		enum cause cause;
		__u32 _pad;
	} group;
};
struct tcp_by_cause {
	COUNTER(retransmits, "TCP segments sent again because no acknowledgement came: lost packets or an "
		"overloaded peer. By cause: fast (duplicate acknowledgements), rto (timeout), probe (tail loss "
		"probe), syn (connection request).");
};
TABLE(HASH, tcp___by_cause, struct cause_key, struct tcp_by_cause, 16384);

struct reason_key {
	struct who who;
	struct {
		enum sk_rst_reason reason;
		__u32 _pad;
	} group;
};
struct tcp_by_reason {
	COUNTER(resets_sent, "TCP connections this host refused or aborted by sending a reset, by the "
		"kernel's reason. Those to a port nobody listens on count for the root group. "
		"High: clients ask where nobody listens, or the application aborts connections.");
};
TABLE(HASH, tcp___by_reason, struct reason_key, struct tcp_by_reason, 16384);

struct tcp {
	COUNTER(synack_retransmits, "Answers to a connection request (SYN-ACK) sent again because the client did "
		"not acknowledge: lost on the way, or a SYN flood.");
	COUNTER(resets_received, "TCP connections that the other side refused or aborted by sending a reset. "
		"High: what it talks to is down, restarts or sheds load.");
};
TABLE(HASH, tcp, struct who, struct tcp, 16384);

/*
 * Segments, not calls: one skb holds up to 64 kB. tcp_gso_segs is two bytes of skb->cb, read one by
 * one because cb is an array of chars to the verifier.
 */
static __always_inline __u32 segments(struct sk_buff *skb)
{
	const __u8 *cb = (const __u8 *)skb->cb;
	__u32 offset = bpf_core_field_offset(struct tcp_skb_cb, tcp_gso_segs);

	return cb[offset] | cb[offset + 1] << 8;
}

static __always_inline enum cause cause_of(struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	if (!tcp)
		return CAUSE_UNKNOWN;
	if (sk->__sk_common.skc_state == TCP_SYN_SENT || sk->__sk_common.skc_state == TCP_SYN_RECV)
		return CAUSE_SYN;
	switch (BPF_CORE_READ_BITFIELD(&tcp->inet_conn, icsk_ca_state)) {
	case TCP_CA_Recovery:
		return CAUSE_FAST;
	case TCP_CA_Loss:
		return CAUSE_RTO;
	default:
		return CAUSE_PROBE;
	}
}

NESTED_PROG("tp_btf/tcp_retransmit_skb", tcp_retransmit)
{
	struct sock *sk = (void *)ctx[0];
	struct sk_buff *skb = (void *)ctx[1];
	struct cause_key key = {};
	struct tcp_by_cause *row;

	if (bpf_core_type_exists(btf_trace_tcp_retransmit_skb___err) && (int)ctx[2])
		return 0; /* not sent: the kernel counts these as TCPRetransFail */
	who_of_sock(&key.who, sk);
	key.group.cause = cause_of(sk);
	row = WHO_ROW(tcp___by_cause, &key);
	if (row)
		ADD(row->retransmits, segments(skb));
	return 0;
}

NESTED_PROG("tp_btf/tcp_retransmit_synack", tcp_synack_retransmit, struct sock *listener)
{
	struct who who;
	struct tcp *row;

	who_of_sock(&who, listener);
	row = WHO_ROW(tcp, &who);
	if (row)
		ADD(row->synack_retransmits, 1);
	return 0;
}

NESTED_PROG("tp_btf/tcp_send_reset", tcp_reset_sent)
{
	struct sock *sk = (void *)ctx[0];
	struct reason_key key = { .who.cgroup = CGROUP_ROOT };
	struct tcp_by_reason *row;

	if (!is_null(sk) && is_full_socket(sk))
		who_of_sock(&key.who, sk);
	if (bpf_core_type_exists(btf_trace_tcp_send_reset___reason))
		key.group.reason = ctx[2];
	row = WHO_ROW(tcp___by_reason, &key);
	if (row)
		ADD(row->resets_sent, 1);
	return 0;
}

NESTED_PROG("tp_btf/tcp_receive_reset", tcp_reset_received, struct sock *sk)
{
	struct who who;
	struct tcp *row;

	who_of_sock(&who, sk);
	row = WHO_ROW(tcp, &who);
	if (row)
		ADD(row->resets_received, 1);
	return 0;
}
