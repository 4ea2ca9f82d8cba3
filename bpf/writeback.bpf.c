/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/writeback.bpf.c: what becomes of data on its way from memory to the disk.
 *
 * `device` is the file system's own (a partition, a volume, 0:45 where it has none), as in /sys/fs/ext4
 * and /proc/self/mountinfo, and not the whole disk as in bpf/block.bpf.c: two file systems on one disk
 * fail apart.
 */
#include "who.bpf.h"
COLLECTOR(ON, RARE);

struct device_key {
	dev_t device;
};
struct device_writeback {
	COUNTER(errors, "Times the kernel could not write a file's data to the device. What was written is lost; the next "
		"fsync() of the file fails.");
};
TABLE(HASH, device_writeback, struct device_key, struct device_writeback, 1024);

struct device_journal {
	HISTOGRAM(commit_ns, "Time that a commit of the file system's journal (ext4) took. High: fsync() is slow for all "
		"who write there.");
};
TABLE(HASH, device_journal, struct device_key, struct device_journal, 1024);

struct dirty {
	COUNTER(throttle_ns, "Time that writers were made to sleep because too much data waited to be written to disk. "
		"High: the disk is slower than what is written.");
};
TABLE(HASH, dirty, struct who, struct dirty, 4096);

SEC("tp_btf/filemap_set_wb_err")
int BPF_PROG(writeback_error, struct address_space *mapping)
{
	struct inode *inode = mapping->host;
	struct device_key key = {};
	struct device_writeback *row;

	/* the file that is a disk itself lives in a file system of the kernel's, which has no device */
	if ((inode->i_mode & S_IFMT) == S_IFBLK)
		key.device = inode->i_rdev;
	else
		key.device = inode->i_sb->s_dev;
	row = ROW(device_writeback, &key);
	if (row)
		ADD(row->errors, 1);
	return 0;
}

/* In the writer's own context, before it sleeps. Most of the times it need not (pause <= 0). */
SEC("tp_btf/balance_dirty_pages")
int writeback_throttle(__u64 *ctx)
{
	long pause = throttle_pause(ctx);
	struct who who;
	struct dirty *row;

	if (pause <= 0)
		return 0;
	who_current(&who);
	row = WHO_ROW(dirty, &who);
	if (row)
		ADD(row->throttle_ns, pause * 1000000000ULL / node_hz);
	return 0;
}

/*
 * When a journal's thread began to commit, by the thread: the statistics that come at the end are in
 * jiffies, of which a commit to a fast disk takes none.
 */
TABLE(HASH, writeback_commits, __u32, __u64, 1024);

SEC("tp_btf/jbd2_commit_locking")
int BPF_PROG(writeback_commit_begins)
{
	__u32 thread = bpf_get_current_pid_tgid();
	__u64 now_ns = bpf_ktime_get_ns();

	bpf_map_update_elem(&writeback_commits, &thread, &now_ns, BPF_ANY);
	return 0;
}

SEC("tp_btf/jbd2_run_stats")
int BPF_PROG(writeback_commit_ends, dev_t device, __u32 transaction, struct transaction_run_stats_s *stats)
{
	__u32 thread = bpf_get_current_pid_tgid();
	__u64 *since_ns = bpf_map_lookup_elem(&writeback_commits, &thread);
	struct device_key key = { .device = device };
	struct device_journal *row = ROW(device_journal, &key);
	__u64 took_ns;

	if (since_ns)
		took_ns = bpf_ktime_get_ns() - *since_ns;
	else /* it began before the exporter came */
		took_ns = (stats->rs_locked + stats->rs_flushing + stats->rs_logging) * 1000000000ULL / node_hz;
	if (row)
		OBSERVE_NS(row->commit_ns, took_ns);
	bpf_map_delete_elem(&writeback_commits, &thread);
	return 0;
}
