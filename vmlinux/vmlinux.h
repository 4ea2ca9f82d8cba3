/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Every kernel type, field and constant that the programs rely on, and nothing else.
 *
 * Written by hand: the order and the offsets of the fields mean nothing here, because
 * preserve_access_index makes libbpf look each one up by name in the running kernel's BTF. So this
 * page is the same for every architecture and kernel, and building needs neither BTF nor bpftool.
 * Names that differ between kernels live in bpf/compat.bpf.h.
 */
#pragma once

typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
typedef int pid_t;
typedef __u32 dev_t;
enum { false, true };

/* include/uapi/linux/bpf.h: numbers that never change */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_ANY, BPF_NOEXIST, BPF_EXIST };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_CLONE = 1 << 9 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
/* Local storage in tracing programs, and bpf_sock_from_file(), came together in 5.11. */
enum bpf_func_id {
	BPF_FUNC_task_storage_get = 156,
	BPF_FUNC_sock_from_file = 162,
	BPF_FUNC_snprintf = 165,
	BPF_FUNC_task_pt_regs = 175,
};

/* include/uapi, include/net: constants of the protocols and the system calls */
enum { AF_INET = 2, AF_INET6 = 10, AF_PACKET = 17 };
enum { IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_UDPLITE = 136 };
enum { ETH_P_IPV6 = 0x86dd };
enum { IFF_LOOPBACK = 0x8, IFF_MASTER = 0x400 };
enum {
	ARPHRD_TUNNEL = 768,
	ARPHRD_TUNNEL6 = 769,
	ARPHRD_SIT = 776,
	ARPHRD_IPGRE = 778,
	ARPHRD_IP6GRE = 823,
	ARPHRD_NONE = 0xfffe,
};
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12,
};
enum { SK_MEM_SEND, SK_MEM_RECV };
enum { TCP_CA_Recovery = 3, TCP_CA_Loss = 4 };
enum {
	EIO = 5,
	ENOMEM = 12,
	EEXIST = 17,
	ENFILE = 23,
	EMFILE = 24,
	ENOSPC = 28,
	EROFS = 30,
	EADDRNOTAVAIL = 99,
	ENOBUFS = 105,
	ETIMEDOUT = 110,
	EDQUOT = 122,
};
enum { CLONE_THREAD = 0x10000 };
enum { PF_EXITING = 0x4, PF_KTHREAD = 0x200000 };
enum { SIGNAL_GROUP_EXIT = 0x4 };
enum { TASK_DEAD = 0x80 };
enum { S_IFMT = 0170000, S_IFBLK = 0060000 };
enum { BIO_CLONED = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

/* cgroups */
enum cgroup_subsys_id { memory_cgrp_id = 0 }; /* the number is the running kernel's */

struct kernfs_node {
	__u64 id;
};
struct cgroup_root {
	int hierarchy_id;
};
struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
};
struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

/* tasks */
struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
};
struct signal_struct {
	atomic_t live;
	int nr_threads;
	int group_exit_code;
	unsigned int flags;
};
struct nsproxy {
	struct net *net_ns;
};
struct task_struct {
	unsigned int flags;
	pid_t pid;
	pid_t tgid;
	int exit_code;
	unsigned long nvcsw;
	unsigned long nivcsw;
	__u64 start_time;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	struct bio_list *bio_list;
	struct sched_info sched_info;
	char comm[16];
};
struct kernel_siginfo {
	int si_code;
};
struct linux_binprm;

/* sockets */
struct ns_common {
	unsigned int inum;
};
struct net {
	__u64 net_cookie;
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct sock_common {
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_net_refcnt : 1;
	possible_net_t skc_net;
};
struct sock_cgroup_data {
	struct cgroup *cgroup;
};
struct sock {
	struct sock_common __sk_common;
	int sk_err;
	__u8 sk_shutdown;
	__u16 sk_protocol;
	atomic_t sk_drops;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	struct sock_cgroup_data sk_cgrp_data;
};
struct request_sock_queue {
	atomic_t qlen;
};
struct inet_connection_sock {
	struct request_sock_queue icsk_accept_queue;
	__u8 icsk_ca_state : 5;
};
struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 write_seq;
	__u32 packets_out;
	__u32 srtt_us;
	__u8 repair : 1;
};
struct request_sock;
struct proto;
struct socket {
	struct sock *sk;
};
struct file;
struct device {
	struct device *parent;
};
enum netdev_priv_flags { IFF_802_1Q_VLAN = 1, IFF_EBRIDGE = 2, IFF_BONDING = 4 };
struct netdev_queue {
	struct net_device *dev;
};
struct net_device {
	char name[16];
	unsigned int flags;
	unsigned int priv_flags : 32; /* a bit field or not, by kernel */
	unsigned short type;
	possible_net_t nd_net;
	struct netdev_queue *_tx;
	struct device dev;
};
struct bpf_prog;
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	__be16 protocol;
	char cb[48];
};
struct tcp_skb_cb {
	__u16 tcp_gso_segs;
};
/* names come from the running kernel */
enum sk_rst_reason { SK_RST_REASON_NOT_SPECIFIED = 0 };
enum skb_drop_reason {
	SKB_DROP_REASON_NOT_AVAILABLE = 0, /* not the kernel's: before it had this enum */
	SKB_DROP_REASON_SOCKET_RCVBUFF = 6,
	SKB_DROP_REASON_PROTO_MEM = 20,
};

/* block */
struct gendisk {
	int major;
	int first_minor;
};
struct request_queue {
	struct gendisk *disk;
};
struct blkcg {
	struct cgroup_subsys_state css;
};
struct blkcg_gq {
	struct blkcg *blkcg;
};
struct bvec_iter {
	unsigned int bi_size;
};
struct bio {
	unsigned int bi_opf;
	unsigned short bi_flags;
	struct bvec_iter bi_iter;
	struct blkcg_gq *bi_blkg;
};
struct block_device;
struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	struct bio *bio;
	struct block_device *part;
};

/* files */
struct super_block {
	dev_t s_dev;
};
struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	dev_t i_rdev;
};
struct address_space {
	struct inode *host;
};
struct bdi_writeback {
	unsigned long state; /* a mere declaration would be no match for the kernel's structure */
};

/* interrupts */
struct irqaction {
	struct irqaction *next;
};

/* errors of the hardware */
struct cper_sec_proc_arm {
	__u32 validation_bits; /* a mere declaration would be no match for the kernel's structure */
};

/* memory */
enum vmscan_throttle_state {
	VMSCAN_THROTTLE_WRITEBACK,
	VMSCAN_THROTTLE_ISOLATED,
	VMSCAN_THROTTLE_NOPROGRESS,
	VMSCAN_THROTTLE_CONGESTED,
	NR_VMSCAN_THROTTLE,
};

/* iterators */
struct bpf_iter__task {
	struct task_struct *task;
};
struct bpf_iter__task_file {
	struct task_struct *task;
	struct file *file;
};
struct bpf_iter__bpf_sk_storage_map {
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop
