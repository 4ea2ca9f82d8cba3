/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/netdev.bpf.c: network devices that did not do what they should. */
#include "device.bpf.h"

COLLECTOR(ON, RARE);

/* Ours, as a program may return any number: those that mean nothing are one label. */
enum action { ACTION_UNKNOWN, ACTION_ABORTED, ACTION_DROP, ACTION_PASS, ACTION_TX, ACTION_REDIRECT };

struct device_action {
	char device[16];
	enum action action;
};
struct node_xdp {
	COUNTER(exceptions, "Packets lost because an XDP program or the driver below it failed, by what the program "
		"wanted: aborted (it failed itself), tx or redirect (the driver could not), unknown (no such "
		"action). Any is a fault of the program or of how it is set up.");
};
TABLE(HASH, node_xdp, struct device_action, struct node_xdp, 512);

struct node_network {
	COUNTER(transmit_timeouts, "Times a network device's transmit queue stood still so long that the kernel reset it. Any is "
		"a fault of the device, its driver or its firmware.");
};
TABLE(HASH, node_network, struct device_name, struct node_network, 256);

SEC("tp_btf/xdp_exception")
int BPF_PROG(xdp_exception, struct net_device *dev, struct bpf_prog *program, __u32 action)
{
	struct device_action key = { .device = "" };
	struct node_xdp *row;

	device_name(key.device, dev);
	if (action < ACTION_REDIRECT)
		key.action = ACTION_ABORTED + action;
	row = ROW(node_xdp, &key);
	if (row)
		ADD(row->exceptions, 1);
	return 0;
}

SEC("tp_btf/net_dev_xmit_timeout")
int BPF_PROG(transmit_timeout, struct net_device *dev)
{
	struct device_name key = { .device = "" };
	struct node_network *row;

	device_name(key.device, dev);
	row = ROW(node_network, &key);
	if (row)
		ADD(row->transmit_timeouts, 1);
	return 0;
}
