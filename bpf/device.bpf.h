/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The label of a network device: physical ones by their name, as they are few and somebody's to
 * repair; of the others, which come and go with containers, only what they are.
 */
#pragma once

#include "metrics.bpf.h"
#include "compat.bpf.h"

struct device_name {
	char device[16];
};

/* Kernel addresses begin with a one; what else may lie in these fields are small numbers. */
#define is_address(pointer) (!is_null(pointer) && (__s64)(pointer) < 0)

/*
 * skb->dev, or NULL when it is something else. Queues use its place: a node of a red-black tree lies
 * over it (TCP's out-of-order queue, IP fragments, the qdiscs fq and netem) and its rest stays there
 * when the packet leaves; a UDP socket's queue keeps a size in it. Only a device has queues that point
 * back to it.
 */
static __always_inline struct net_device *device_of(struct sk_buff *skb)
{
	struct net_device *dev = skb->dev;

	if (!is_address(dev) || dev->_tx->dev != dev)
		return NULL;
	return dev;
}

/* The name is copied at each event, so that one that is renamed begins a series and loses nothing. */
static __always_inline void device_name(char *name, const struct net_device *dev)
{
	unsigned int flags = dev->flags, kind = BPF_CORE_READ_BITFIELD(dev, priv_flags);
	unsigned short type = dev->type;

	if (dev->dev.parent) {
		for (int i = 0; i < 16; i++)
			name[i] = dev->name[i];
		return;
	}
#define IS(text) __builtin_memcpy(name, text, sizeof(text))
	if (flags & IFF_LOOPBACK)
		IS("lo");
	else if (kind & bpf_core_enum_value(enum netdev_priv_flags, IFF_EBRIDGE))
		IS("bridge");
	else if (flags & IFF_MASTER && kind & bpf_core_enum_value(enum netdev_priv_flags, IFF_BONDING))
		IS("bond");
	else if (kind & bpf_core_enum_value(enum netdev_priv_flags, IFF_802_1Q_VLAN))
		IS("vlan");
	else if (type == ARPHRD_TUNNEL || type == ARPHRD_TUNNEL6 || type == ARPHRD_SIT ||
		 type == ARPHRD_IPGRE || type == ARPHRD_IP6GRE || type == ARPHRD_NONE)
		IS("tunnel");
	else
		IS("virtual");
#undef IS
}
