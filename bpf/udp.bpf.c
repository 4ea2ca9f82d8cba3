/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/udp.bpf.c: datagrams that reached their socket and found no room in it. */
#include "device.bpf.h"
#include "nested.bpf.h"
#include "owner.bpf.h"

struct reason {
	counter_t rcvbuf, memory;
};
struct udp {
	COUNTER_BY(reason, receive_drops,
		   "UDP datagrams lost at the receiving socket: rcvbuf (its buffer is full: the process reads too "
		   "slowly, or the buffer is small), memory (all UDP sockets together took what net.ipv4.udp_mem "
		   "allows).");
};
TABLE(HASH, udp, struct who, struct udp, 8192);

enum family {
	FAMILY_UNKNOWN = 0,
	FAMILY_INET = 2,
	FAMILY_INET6 = 10,
	FAMILY_PACKET = 17,
	FAMILY_CAN = 29,
	FAMILY_BLUETOOTH = 31,
};
struct family_key {
	cgroup_id_t cgroup;
	enum family family;
	__u32 _pad;
};
struct cgroup_socket {
	COUNTER(queue_drops, "Packets lost because the receive buffer of a raw, ICMP or similar socket was full, by address "
		"family: its process reads too slowly. UDP has a metric of its own; TCP does not lose data so.");
};
TABLE(HASH, cgroup_socket, struct family_key, struct cgroup_socket, 4096);

static __always_inline void count_udp(const struct who *who, bool is_rcvbuf)
{
	struct udp *row = WHO_ROW(udp, who);

	if (!row)
		return;
	if (is_rcvbuf)
		ADD(row->receive_drops.rcvbuf, 1);
	else
		ADD(row->receive_drops.memory, 1);
}

static __always_inline void who_of_receiver(struct who *who, struct sock *sk)
{
	who_of_sock(who, sk);
	if (!who->pid)
		want_owner(sk, who);
}

/*
 * -ENOMEM: the socket's own buffer is full; else (-ENOBUFS) there is no memory for UDP. The latter is
 * taken from kfree_skb where that names the socket: from 6.19 on this hook no longer fires for it.
 */
NESTED_PROG("tp_btf/udp_fail_queue_rcv_skb", udp_receive_drop, int rc, struct sock *sk)
{
	bool is_rcvbuf = rc == -ENOMEM;
	struct who who;

	if (!is_rcvbuf && have_drop_socket())
		return 0;
	who_of_receiver(&who, sk);
	count_udp(&who, is_rcvbuf);
	return 0;
}

/* The packet that a raw socket of IPv6 just lost on this CPU: it goes to kfree_skb next. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} raw_packet SEC(".maps");

/* Raw, ICMP, CAN, ... AF_PACKET has queues of its own, and no hook: see skb_drops PACKET_SOCK_ERROR. */
NESTED_PROG("tp_btf/sock_rcvqueue_full", socket_queue_drop, struct sock *sk, struct sk_buff *skb)
{
	struct family_key key = { .family = sk->__sk_common.skc_family };
	struct cgroup_socket *row;
	struct who who;

	if (!have_drop_socket()) {
		__u32 first = 0;
		__u64 *packet = bpf_map_lookup_elem(&raw_packet, &first);

		if (packet)
			*packet = (__u64)skb;
	}
	who_of_receiver(&who, sk);
	key.cgroup = who.cgroup;
	row = ROW(cgroup_socket, &key);
	if (row)
		ADD(row->queue_drops, 1);
	return 0;
}

/*
 * Before 6.10 UDP over IPv6 tells of its drops here alone, and neither of the socket nor that it is UDP:
 * so they are the group's of the namespace. A full buffer is UDP's or a raw socket's, which said so just
 * before; want of memory is UDP's when its queue had begun to use skb->dev, or else TCP's.
 */
static __always_inline void count_ipv6(struct sk_buff *skb, __u32 reason)
{
	bool is_rcvbuf = reason == drop_reason(SKB_DROP_REASON_SOCKET_RCVBUFF);
	struct who who = { .cgroup = CGROUP_ROOT };
	struct net_device *dev = skb->dev;
	__u32 first = 0;
	__u64 *packet;

	if (skb->protocol != __builtin_bswap16(ETH_P_IPV6))
		return;
	if (is_rcvbuf) {
		packet = bpf_map_lookup_elem(&raw_packet, &first);
		if (packet && *packet == (__u64)skb) {
			*packet = 0;
			return;
		}
	} else if (!dev || is_address(dev)) {
		return;
	}
	dev = device_of(skb);
	if (dev)
		who.cgroup = cgroup_of_netns(dev->nd_net.net);
	count_udp(&who, is_rcvbuf);
}

/* Of all drops, what the hooks above do not tell. */
NESTED_PROG("tp_btf/kfree_skb", udp_other_drop)
{
	bool is_memory, is_rcvbuf;
	struct who who;

	if (!have_drop_reason())
		return 0;
	is_memory = (__u32)ctx[2] == drop_reason(SKB_DROP_REASON_PROTO_MEM);
	if (have_drop_socket()) {
		struct sock *sk;

		if (!is_memory)
			return 0;
		sk = ctx_arg(ctx, 3);
		if (is_null(sk) || !is_full_socket(sk) ||
		    (sk->sk_protocol != IPPROTO_UDP && sk->sk_protocol != IPPROTO_UDPLITE))
			return 0;
		who_of_receiver(&who, sk);
		count_udp(&who, false);
		return 0;
	}
	if (bpf_core_type_exists(btf_trace_udp_fail_queue_rcv_skb___skb))
		return 0;
	is_rcvbuf = (__u32)ctx[2] == drop_reason(SKB_DROP_REASON_SOCKET_RCVBUFF);
	if (is_memory || is_rcvbuf)
		count_ipv6((void *)ctx[0], ctx[2]);
	return 0;
}
