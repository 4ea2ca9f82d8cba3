/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/drop.bpf.c: packets that the kernel threw away, and why. */
#include "device.bpf.h"
#include "nested.bpf.h"
#include "owner.bpf.h"

COLLECTOR(ON, HOT);

/*
 * Two tables and two look-ups for an event: all pairs of group and device in one would be many more
 * rows. Per CPU, because a flood is dropped on all of them.
 */
struct cgroup_reason {
	cgroup_id_t cgroup;
	enum skb_drop_reason reason;
	__u32 _pad;
};
struct cgroup_skb {
	COUNTER(drops, "Packets that the kernel threw away, by its reason: those to or from a socket count for the "
		"socket's group, others for the group whose network namespace they were in, or for the root "
		"group. Some are normal (NO_SOCKET, TCP_OLD_DATA); many that the node could not take "
		"(SOCKET_RCVBUFF, QDISC_DROP, CPU_BACKLOG, PROTO_MEM) are lost data.");
};
TABLE(PERCPU_HASH, cgroup_skb, struct cgroup_reason, struct cgroup_skb, 4096);

struct device_reason {
	char device[16];
	enum skb_drop_reason reason;
};
struct node_skb {
	COUNTER(drops, "Packets that the kernel threw away, by its reason and the network device they were on: a "
		"physical one, lo, or the kind of a virtual one; none: on their way inside the kernel. "
		"Many that the node could not take (QDISC_DROP, CPU_BACKLOG, NOMEM) are lost data.");
};
TABLE(PERCPU_HASH, node_skb, struct device_reason, struct node_skb, 1024);

/* The socket's group, when there is a whole socket; 0: there is none. `by_helper`: may be given to one. */
static __always_inline cgroup_id_t cgroup_of_drop_socket(struct sock *sk, bool by_helper)
{
	struct who who = {};

	if (!is_full_socket(sk))
		return 0;
	if (!by_helper)
		return cgroup_of_sock(sk);
	who_of_sock(&who, sk);
	if (node_cgroup_v1 && !who.pid && (sk->__sk_common.skc_family == AF_INET || sk->__sk_common.skc_family == AF_INET6))
		want_owner(sk, &who);
	return who.cgroup;
}

static __always_inline cgroup_id_t cgroup_of_drop(struct sk_buff *skb, struct sock *rx_sk,
						  struct net_device *dev)
{
	cgroup_id_t cgroup = 0;
	struct sock *sk;

	if (rx_sk)
		cgroup = cgroup_of_drop_socket(rx_sk, true);
	if (cgroup)
		return cgroup;
	sk = skb->sk;
	if (is_address(sk))
		cgroup = cgroup_of_drop_socket(sk, !skb_sk_is_shared() || !have_local_storage());
	if (cgroup)
		return cgroup;
	return dev ? cgroup_of_netns(dev->nd_net.net) : CGROUP_ROOT;
}

NESTED_PROG("tp_btf/kfree_skb", skb_drop)
{
	struct sk_buff *skb = (void *)ctx[0];
	struct net_device *dev = device_of(skb);
	struct cgroup_reason by_cgroup = {};
	struct device_reason by_device = { .device = "none" };
	struct cgroup_skb *cgroup_row;
	struct node_skb *node_row;

	if (have_drop_reason())
		by_cgroup.reason = by_device.reason = ctx[2];
	if (have_drop_socket()) {
		struct sock *rx_sk = ctx_arg(ctx, 3);

		by_cgroup.cgroup = is_null(rx_sk) ? cgroup_of_drop(skb, NULL, dev) :
						    cgroup_of_drop(skb, rx_sk, dev);
	} else {
		by_cgroup.cgroup = cgroup_of_drop(skb, NULL, dev);
	}
	if (dev)
		device_name(by_device.device, dev);
	cgroup_row = ROW(cgroup_skb, &by_cgroup);
	if (cgroup_row)
		ADD(cgroup_row->drops, 1);
	node_row = ROW(node_skb, &by_device);
	if (node_row)
		ADD(node_row->drops, 1);
	return 0;
}
