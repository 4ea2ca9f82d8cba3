/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/block.bpf.c: how long disks take, for whom, and what they fail.
 *
 * Requests, not bios: what a disk is asked for after merging, as in /proc/diskstats. The group is
 * the one that the bio was made for, which on cgroup v2 is right for writeback too.
 */
#include "who.bpf.h"

enum op { OP_UNKNOWN, OP_READ, OP_WRITE, OP_FLUSH, OP_DISCARD };

/* Requests that a disk works on: when it got them and for whom, as the bio is gone at the end. */
struct issued {
	__u64 at_ns;
	cgroup_id_t cgroup;
	dev_t device;
	enum op op;
};
TABLE(HASH, block_issued, __u64, struct issued, 16384);

struct device_key {
	dev_t device;
	enum op op;
};
struct device_block {
	HISTOGRAM(latency_ns, "Time from handing a request to the disk to its completion.");
};
TABLE(HASH, device_block, struct device_key, struct device_block, 1024);

/* What went wrong, in one list for kernels that say it as an errno (before 5.16) or as blk_status_t. */
enum status {
	STATUS_UNKNOWN,
	STATUS_IO,
	STATUS_MEDIUM,
	STATUS_NOSPC,
	STATUS_NOTSUPP,
	STATUS_OFFLINE,
	STATUS_PROTECTION,
	STATUS_RESERVATION,
	STATUS_RESOURCE,
	STATUS_TARGET,
	STATUS_TIMEOUT,
	STATUS_TRANSPORT,
};
struct error_key {
	dev_t device;
	enum op op;
	enum status status;
};
struct device_error {
	COUNTER(errors, "Requests that the disk failed, by what went wrong (io: no more is known).");
};
TABLE(HASH, device_block___error, struct error_key, struct device_error, 1024);

struct cgroup_key {
	cgroup_id_t cgroup;
	enum op op;
	__u32 _pad;
};
struct cgroup_block {
	HISTOGRAM(latency_ns, "Time from handing a request of the group to a disk to its completion.");
};
TABLE(HASH, cgroup_block, struct cgroup_key, struct cgroup_block, 4096);

struct cgroup_device_key {
	cgroup_id_t cgroup;
	dev_t device;
	enum op op;
};
struct cgroup_device {
	COUNTER(ios, "Requests that disks completed for the group, after merging.");
	COUNTER(bytes, "Bytes that disks read, wrote or discarded for the group.");
};
TABLE(HASH, cgroup_block___device, struct cgroup_device_key, struct cgroup_device, 8192);

/* enum req_op (include/linux/blk_types.h): reads are even, writes odd; numbers never changed. */
static __always_inline enum op op_of(struct request *rq)
{
	__u32 op = rq->cmd_flags & 0xff;

	if (op == 2)
		return OP_FLUSH;
	if (op == 3)
		return OP_DISCARD;
	if (op > 31)
		return OP_UNKNOWN; /* passthrough: a command of the driver's own, in no statistics */
	return op & 1 ? OP_WRITE : OP_READ;
}

static __always_inline void describe(struct issued *issued, struct request *rq)
{
	struct gendisk *disk = request_disk(rq);

	issued->op = op_of(rq);
	issued->device = (__u32)disk->major << 20 | disk->first_minor;
	issued->cgroup = 0;
	if (bpf_core_field_exists(rq->bio->bi_blkg))
		issued->cgroup = rq->bio->bi_blkg->blkcg->css.cgroup->kn->id;
	if (!issued->cgroup)
		issued->cgroup = CGROUP_ROOT; /* a flush has no bio: the disk's own work */
	else if (node_cgroup_v1)
		issued->cgroup |= CGROUP_BLKIO;
}

static __always_inline struct cgroup_device *cgroup_device_row(const struct issued *issued)
{
	struct cgroup_device_key key = { .cgroup = issued->cgroup,
					 .device = issued->device,
					 .op = issued->op };

	return ROW(cgroup_block___device, &key);
}

SEC("tp_btf/block_rq_issue")
int block_issue(__u64 *ctx)
{
	struct request *rq = issued_request(ctx);
	__u64 id = (__u64)rq;
	struct issued issued = {};

	describe(&issued, rq);
	if (issued.op == OP_UNKNOWN)
		return 0;
	issued.at_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&block_issued, &id, &issued, BPF_ANY))
		ADD(device_block___lost, 1); /* its end is not seen; this map is scratch and has no metric to say so */
	return 0;
}

/* Once per request: a write that needs flushes around it ends twice, and its second end finds no row. */
static __always_inline void done(struct request *rq)
{
	__u64 id = (__u64)rq;
	struct issued *issued = bpf_map_lookup_elem(&block_issued, &id);
	struct cgroup_key group = {};
	struct device_key device = {};
	struct cgroup_device *count;
	struct device_block *of_device;
	struct cgroup_block *of_group;
	__u64 took_ns;

	if (!issued)
		return;
	took_ns = bpf_ktime_get_ns() - issued->at_ns;
	device.device = issued->device;
	device.op = group.op = issued->op;
	group.cgroup = issued->cgroup;
	of_device = ROW(device_block, &device);
	if (of_device)
		OBSERVE_NS(of_device->latency_ns, took_ns);
	of_group = ROW(cgroup_block, &group);
	if (of_group)
		OBSERVE_NS(of_group->latency_ns, took_ns);
	count = cgroup_device_row(issued);
	if (count)
		ADD(count->ios, 1);
	bpf_map_delete_elem(&block_issued, &id);
}

SEC("?tp_btf/block_io_done") /* where there is none, block_rq_complete does its work */
int BPF_PROG(block_done, struct request *rq)
{
	done(rq);
	return 0;
}

static __always_inline enum status status_of(int error)
{
	switch (error) {
	case 1: case -95: return STATUS_NOTSUPP;
	case 2: case -110: return STATUS_TIMEOUT;
	case 3: case -28: return STATUS_NOSPC;
	case 4: case -67: return STATUS_TRANSPORT;
	case 5: case -121: return STATUS_TARGET;
	case 6: case -52: return STATUS_RESERVATION;
	case 7: case -61: return STATUS_MEDIUM;
	case 8: case -84: return STATUS_PROTECTION;
	case 9: case 13: case -12: return STATUS_RESOURCE;
	case 10: case -5: return STATUS_IO;
	case 16: return STATUS_OFFLINE;
	}
	return STATUS_UNKNOWN;
}

static __always_inline void failed(struct request *rq, int error)
{
	struct error_key key = { .status = status_of(error) };
	struct issued issued;
	struct device_error *row;

	describe(&issued, rq);
	if (issued.op == OP_UNKNOWN)
		return;
	key.device = issued.device;
	key.op = issued.op;
	row = ROW(device_block___error, &key);
	if (row)
		ADD(row->errors, 1);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_complete, struct request *rq, int error, unsigned int bytes)
{
	__u64 id = (__u64)rq;
	struct issued *issued = bpf_map_lookup_elem(&block_issued, &id);
	struct issued unseen = {};
	struct cgroup_device *count;

	/* block_rq_error says it where there is one, and leaves out what the kernel keeps quiet about */
	if (error && !bpf_core_type_exists(btf_trace_block_rq_error___any))
		failed(rq, error);
	if (!issued) {
		describe(&unseen, rq); /* issued before the exporter came, or the table of them is full */
		issued = &unseen;
	}
	if (issued->op == OP_UNKNOWN)
		return 0;
	if (bytes) {
		count = cgroup_device_row(issued);
		if (count)
			ADD(count->bytes, bytes);
	}
	/* flushes never reach block_io_done; before it came (6.5) nothing does */
	if (issued->op == OP_FLUSH ||
	    (!bpf_core_type_exists(btf_trace_block_io_done___any) && bytes >= rq->__data_len))
		done(rq);
	return 0;
}

SEC("?tp_btf/block_rq_error") /* likewise */
int BPF_PROG(block_error, struct request *rq, int error)
{
	failed(rq, error);
	return 0;
}
