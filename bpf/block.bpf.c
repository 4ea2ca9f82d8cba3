/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/block.bpf.c: how long disks take, for whom, and what they fail.
 *
 * Requests, not bios: what a disk is asked for after merging, as in /proc/diskstats. The group is
 * the one that the bio was made for, which on cgroup v2 is right for writeback too.
 */
#include "nested.bpf.h"
#include "who.bpf.h"

enum operation { OPERATION_UNKNOWN, OPERATION_READ, OPERATION_WRITE, OPERATION_FLUSH, OPERATION_DISCARD };

/*
 * Requests that wait in a queue or that a disk works on, and for whom, as the bio is gone at the end.
 * A request ends in one of these ways, and each takes its row away: it completes (block_io_done, or
 * the last block_rq_complete), also when its disk is dead or gone; another one swallows it while it
 * waits (block_rq_merge); or its disk gave it back, after which a driver on top (multipath) may free
 * it without a word (block_rq_requeue).
 */
struct in_flight {
	__u64 waits_since_ns; /* 0: not in a queue */
	__u64 waited_ns;
	__u64 at_ns; /* when the disk got it; 0: not yet, and what follows is not known */
	cgroup_id_t cgroup;
	dev_t device;
	__u16 op; /* enum operation */
	bool waited; /* it was in a queue */
	char _pad;
};
TABLE(HASH, block_in_flight, __u64, struct in_flight, 16384);

struct device_key {
	dev_t device;
	enum operation op;
};
struct device_block {
	HISTOGRAM(latency_ns, "Time from handing a request to the disk to its completion. "
		"High: the disk is slow, or asked for too much.");
	HISTOGRAM(queue_ns, "Time that a request waited in the kernel's queue before the disk got it. High: the disk "
		"is asked for more than it can do. Requests that go to the disk directly are not in it.");
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
	enum operation op;
	enum status status;
};
struct device_error {
	COUNTER(errors, "Requests that the disk failed, by what went wrong (io: no more is known). "
		"Any: the disk or the way to it fails; check what is on it.");
};
TABLE(HASH, device_block___error, struct error_key, struct device_error, 1024);

struct requeue_key {
	dev_t device;
};
struct device_requeue {
	COUNTER(requeues, "Requests that a disk gave back, to be tried again. High: it is asked for more than it can take "
		"at once, or it or the path to it is ill.");
};
TABLE(HASH, device_block___requeue, struct requeue_key, struct device_requeue, 1024);

struct cgroup_key {
	cgroup_id_t cgroup;
	enum operation op;
	__u32 _pad;
};
struct cgroup_block {
	HISTOGRAM(latency_ns, "Time from handing a request of the group to a disk to its completion. "
		"High: the disk is slow, or asked for too much.");
};
TABLE(HASH, cgroup_block, struct cgroup_key, struct cgroup_block, 4096);

struct cgroup_device_key {
	cgroup_id_t cgroup;
	dev_t device;
	enum operation op;
};
struct cgroup_device {
	COUNTER(ios, "Requests that disks completed for the group, after merging. "
		"High: it keeps the disks busy.");
	COUNTER(bytes, "Bytes that disks read, wrote or discarded for the group. "
		"High: it keeps the disks busy.");
};
TABLE(HASH, cgroup_block___device, struct cgroup_device_key, struct cgroup_device, 8192);

struct op {
	counter_t read, write, discard;
};
struct process_block {
	COUNTER_BY(op, bytes, "Bytes that the process had disks read, write or discard. What it wrote without O_DIRECT is "
		   "written later by a kworker, and what io.max held back is handed on by one. "
		"High: it keeps the disks busy.");
};
TABLE(HASH, block___process, process_t, struct process_block, 8192);

/* enum req_op (include/linux/blk_types.h): reads are even, writes odd; numbers never changed. */
static __always_inline enum operation op_of(__u32 flags)
{
	__u32 op = flags & 0xff;

	if (op == 2)
		return OPERATION_FLUSH;
	if (op == 3)
		return OPERATION_DISCARD;
	if (op > 31)
		return OPERATION_UNKNOWN; /* passthrough: a command of the driver's own, in no statistics */
	return op & 1 ? OPERATION_WRITE : OPERATION_READ;
}

static __always_inline void describe(struct in_flight *request, struct request *rq)
{
	struct gendisk *disk = request_disk(rq);

	request->op = op_of(rq->cmd_flags);
	request->device = (__u32)disk->major << 20 | disk->first_minor;
	request->cgroup = 0;
	if (bpf_core_field_exists(rq->bio->bi_blkg))
		request->cgroup = rq->bio->bi_blkg->blkcg->css.cgroup->kn->id;
	if (!request->cgroup)
		request->cgroup = CGROUP_ROOT; /* a flush has no bio: the disk's own work */
	else if (node_cgroup_v1)
		request->cgroup |= CGROUP_BLKIO;
}

static __always_inline struct cgroup_device *cgroup_device_row(const struct in_flight *request)
{
	struct cgroup_device_key key = { .cgroup = request->cgroup,
					 .device = request->device,
					 .op = request->op };

	return ROW(cgroup_block___device, &key);
}

SEC("tp_btf/block_bio_queue")
int block_submit(__u64 *ctx)
{
	struct bio *bio = after_queue(ctx, block_bio_queue);
	struct process_block *row;
	struct who who;
	__u32 bytes = bio->bi_iter.bi_size;

	if (!bytes)
		return 0; /* a flush */
	/*
	 * Disks on top of others (LVM, RAID) hand on what they were given while they are called: bytes
	 * would count again at each floor. 5.10 cannot read that from the task; there the bio tells that it
	 * is a copy, which btrfs makes too, of O_DIRECT.
	 */
	if (have_local_storage() ? !!bpf_get_current_task_btf()->bio_list : bio->bi_flags >> BIO_CLONED & 1)
		return 0;
	who_current(&who);
	row = WHO_ROW(block___process, &who);
	if (!row)
		return 0;
	switch (op_of(bio->bi_opf)) {
	case OPERATION_READ: ADD(row->bytes.read, bytes); break;
	case OPERATION_WRITE: ADD(row->bytes.write, bytes); break;
	case OPERATION_DISCARD: ADD(row->bytes.discard, bytes); break;
	default: break;
	}
	return 0;
}

NESTED_PROG("tp_btf/block_rq_insert", block_insert)
{
	struct request *rq = after_queue(ctx, block_rq_insert);
	struct in_flight fresh = {}, *known;
	__u64 id = (__u64)rq;

	if (op_of(rq->cmd_flags) == OPERATION_UNKNOWN)
		return 0;
	fresh.waits_since_ns = bpf_ktime_get_ns();
	fresh.waited = true;
	if (!bpf_map_update_elem(&block_in_flight, &id, &fresh, BPF_NOEXIST))
		return 0;
	known = bpf_map_lookup_elem(&block_in_flight, &id);
	if (!known)
		ADD(device_block___lost, 1); /* full. This map is scratch and has no metric to say so */
	else if (!known->at_ns || !known->waits_since_ns)
		*known = fresh; /* else it came back from the disk, and waits since then */
	return 0;
}

NESTED_PROG("tp_btf/block_rq_issue", block_issue)
{
	struct request *rq = after_queue(ctx, block_rq_issue);
	struct in_flight now = {}, *known;
	__u64 id = (__u64)rq;

	describe(&now, rq);
	if (now.op == OPERATION_UNKNOWN)
		return 0;
	now.at_ns = bpf_ktime_get_ns();
	/* a fast disk has no queue: its requests are new here, and this is all there is to do */
	if (!bpf_map_update_elem(&block_in_flight, &id, &now, BPF_NOEXIST))
		return 0;
	known = bpf_map_lookup_elem(&block_in_flight, &id);
	if (!known) {
		ADD(device_block___lost, 1); /* its end is not seen */
		return 0;
	}
	if (known->waits_since_ns) {
		now.waited_ns = known->waited_ns + now.at_ns - known->waits_since_ns;
		now.waited = true;
	}
	*known = now;
	return 0;
}

NESTED_PROG("tp_btf/block_rq_merge", block_merge)
{
	__u64 id = (__u64)after_queue(ctx, block_rq_merge);

	bpf_map_delete_elem(&block_in_flight, &id);
	return 0;
}

/*
 * The disk took it, or was about to, and gave it back. Mostly it then goes to the front of the queue
 * without another block_rq_insert, and waits from now on.
 */
NESTED_PROG("tp_btf/block_rq_requeue", block_requeue)
{
	struct request *rq = after_queue(ctx, block_rq_requeue);
	struct gendisk *disk = request_disk(rq);
	struct requeue_key key = {};
	struct device_requeue *row;
	struct in_flight *known;
	__u64 id = (__u64)rq;

	key.device = (__u32)disk->major << 20 | disk->first_minor;
	row = ROW(device_block___requeue, &key);
	if (row)
		ADD(row->requeues, 1);
	known = bpf_map_lookup_elem(&block_in_flight, &id);
	if (!known || known->waits_since_ns)
		return 0;
	if (known->waited)
		known->waits_since_ns = bpf_ktime_get_ns();
	else
		bpf_map_delete_elem(&block_in_flight, &id);
	return 0;
}

/*
 * Once per request: a write that needs flushes around it ends twice, and its second end finds no row.
 * One that the disk never got (it is dead) has no latency.
 */
static __always_inline void done(struct request *rq)
{
	__u64 id = (__u64)rq;
	struct in_flight *request = bpf_map_lookup_elem(&block_in_flight, &id);
	struct cgroup_key group = {};
	struct device_key device = {};
	struct cgroup_device *count;
	struct device_block *of_device;
	struct cgroup_block *of_group;
	__u64 took_ns;

	if (!request)
		return;
	if (request->at_ns) {
		took_ns = bpf_ktime_get_ns() - request->at_ns;
		device.device = request->device;
		device.op = group.op = request->op;
		group.cgroup = request->cgroup;
		of_device = ROW(device_block, &device);
		if (of_device) {
			OBSERVE_NS(of_device->latency_ns, took_ns);
			if (request->waited)
				OBSERVE_NS(of_device->queue_ns, request->waited_ns);
		}
		of_group = ROW(cgroup_block, &group);
		if (of_group)
			OBSERVE_NS(of_group->latency_ns, took_ns);
		count = cgroup_device_row(request);
		if (count)
			ADD(count->ios, 1);
	}
	bpf_map_delete_elem(&block_in_flight, &id);
}

/* Where there is none, block_rq_complete does its work. */
NESTED_PROG("?tp_btf/block_io_done", block_done, struct request *rq)
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
	struct in_flight request;
	struct device_error *row;

	describe(&request, rq);
	if (request.op == OPERATION_UNKNOWN)
		return;
	key.device = request.device;
	key.op = request.op;
	row = ROW(device_block___error, &key);
	if (row)
		ADD(row->errors, 1);
}

NESTED_PROG("tp_btf/block_rq_complete", block_complete, struct request *rq, int error, unsigned int bytes)
{
	__u64 id = (__u64)rq;
	struct in_flight *request = bpf_map_lookup_elem(&block_in_flight, &id);
	struct in_flight unseen = {};
	struct cgroup_device *count;

	/* block_rq_error says it where there is one, and leaves out what the kernel keeps quiet about */
	if (error && !bpf_core_type_exists(btf_trace_block_rq_error___any))
		failed(rq, error);
	if (!request || !request->at_ns) {
		/* issued before the exporter came, or never, or the table of them is full */
		describe(&unseen, rq);
		request = &unseen;
	}
	if (request->op == OPERATION_UNKNOWN)
		return 0;
	if (bytes) {
		count = cgroup_device_row(request);
		if (count)
			ADD(count->bytes, bytes);
	}
	/*
	 * Flushes never reach block_io_done, nor do requests of a disk that keeps no statistics
	 * (queue/iostats 0: then they have no `part`); before it came (6.5) nothing does.
	 */
	if (request->op == OPERATION_FLUSH ||
	    (bytes >= rq->__data_len &&
	     (!bpf_core_type_exists(btf_trace_block_io_done___any) || !rq->part)))
		done(rq);
	return 0;
}

/* Likewise. */
NESTED_PROG("?tp_btf/block_rq_error", block_error, struct request *rq, int error)
{
	failed(rq, error);
	return 0;
}
