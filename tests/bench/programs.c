/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an event costs in the programs: programs UPDATES_OBJECT
 *
 * All built-in collectors are loaded as the daemon loads them, and each program gets a twin: an empty
 * program at the same hook. While one kind of event is forced, the kernel's bpf_stats clock both; what
 * the twin takes is the clock's own cost, and is subtracted. Figures are the median and the least of
 * ROUNDS rounds; a program is reported with the kind of event that it ran most often for.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "attach.h"
#include "bench.h"
#include "clock.h"
#include "log.h"
#include "poll.h"

#define ROUNDS	 5
#define UPDATES	 16 /* per event of updates.bpf.c */
#define MAX_PAIR 256

struct count {
	uint64_t ns, runs;
};
struct pair {
	const char *collector;
	const struct program *program;
	int fd, twin, twin_link;
	struct count before[2], after[2];
	uint64_t best_runs; /* of the workload reported */
	double median, least;
	const char *workload;
};

static struct collectors collectors;
static struct pair pairs[MAX_PAIR];
static size_t nr_pairs;

/* ---- programs and their twins ---- */

static struct count count_of(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
		return (struct count){ 0 };
	return (struct count){ info.run_time_ns, info.run_cnt };
}

static void add_twin(struct pair *pair)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	char name[128];

	snprintf(name, sizeof(name), "%s", pair->program->hook);
	opts.expected_attach_type = pair->program->is_iterator ? BPF_TRACE_ITER : BPF_TRACE_RAW_TP;
	opts.attach_btf_id = libbpf_find_vmlinux_btf_id(name, opts.expected_attach_type);
	pair->twin = bpf_prog_load(BPF_PROG_TYPE_TRACING, "nothing", "GPL", nothing, 2, &opts);
	if (pair->twin < 0)
		give_up("an empty program at %s: %s", name, strerror(errno));
	pair->twin_link = pair->program->is_iterator ?
				  bpf_link_create(pair->twin, 0, BPF_TRACE_ITER, NULL) :
				  bpf_raw_tracepoint_open(NULL, pair->twin);
	if (pair->twin_link < 0)
		give_up("cannot attach an empty program to %s: %s", name, strerror(errno));
}

/* Clocked by syscalls.c: an empty twin would have to know the architecture's name of the function. Nor is there one
 * that iterates over a map: it runs once a poll, and is part of what that takes. */
static bool has_no_twin(const struct program *program)
{
	enum bpf_attach_type type = bpf_program__expected_attach_type(program->bpf);

	return type == BPF_TRACE_FENTRY || type == BPF_TRACE_FEXIT ||
	       (program->is_iterator && !strncmp(program->hook, "bpf_", 4));
}

static void load_collectors(const char *file)
{
	struct options options = { 0 }, extra = { .files = &file, .nr_files = 1 };
	static struct collectors updates;
	struct node_facts facts = { .start_ns = monotonic_ns(), .shards = 16, .shard_per_cpu = libbpf_num_possible_cpus() <= 16 };
	struct cgroup_mounts mounts;

	cgroup_mounts_find(&mounts, "/proc", NULL);
	facts.cgroup_v1 = mounts.mode == CGROUP_V1 || mounts.mode == CGROUP_HYBRID;
	if (collectors_open(&collectors, &options) || collectors_load(&collectors, &facts) || collectors_settle(&collectors) < 1)
		give_up("no collector can be loaded");
	if (collectors_open(&updates, &extra) || collectors_load(&updates, &facts) || collectors_settle(&updates) != 1)
		give_up("%s: cannot be loaded", file);
	for (size_t k = 0; k < 2; k++) {
		const struct collectors *from = k ? &updates : &collectors;

		for (size_t i = 0; i < from->n; i++)
			for (size_t p = 0; p < from->list[i].nr_programs; p++) {
				struct pair *pair = &pairs[nr_pairs];

				if (!from->list[i].programs[p].link ||
				    has_no_twin(&from->list[i].programs[p]))
					continue;
				if (nr_pairs == MAX_PAIR)
					give_up("more than %d programs", MAX_PAIR);
				pair->collector = from->list[i].name;
				pair->program = &from->list[i].programs[p];
				pair->fd = bpf_program__fd(pair->program->bpf);
				add_twin(pair);
				nr_pairs++;
			}
	}
}

/* ---- events ---- */

static int child(pid_t pid)
{
	int status = 0;

	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void force_syscalls(void)
{
	for (int i = 0; i < 30000; i++)
		syscall(SYS_getppid);
}

/* Two processes that wake each other in turn on one CPU: each handing over is a switch. */
static void force_switches(void)
{
	int to[2], from[2];
	char c = 0;
	pid_t pid;

	if (pipe(to) || pipe(from) || (pid = fork()) < 0)
		give_up("fork: %m");
	on_cpu(0);
	if (!pid) {
		close(to[1]);
		while (read(to[0], &c, 1) == 1 && write(from[1], &c, 1) == 1)
			;
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	for (int i = 0; i < 15000; i++)
		if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1)
			break;
	close(to[1]);
	close(from[0]);
	child(pid);
}

/* Two processes that both yield: involuntary switches. */
static void force_preemptions(void)
{
	pid_t pid = fork();

	on_cpu(0);
	for (int i = 0; i < 15000; i++)
		sched_yield();
	if (!pid)
		_exit(0);
	child(pid);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void force_forks(void)
{
	static char stack[65536] __attribute__((aligned(16)));

	for (int i = 0; i < 20000; i++)
		child(clone(nothing, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

static int run_true(void *arg)
{
	static char *const argv[] = { (char *)"true", NULL };

	(void)arg;
	execv("/bin/true", argv);
	return 1;
}

static void force_execs(void)
{
	static char stack[65536] __attribute__((aligned(16)));

	for (int i = 0; i < 600; i++)
		child(clone(run_true, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

static void force_signals(void)
{
	struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 25000; i++) {
		kill(getpid(), SIGTERM);
		sigtimedwait(&set, NULL, &now);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static struct sockaddr_in local(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

/* To a port where nobody listens: a reset goes out, and comes in. */
static void force_resets(void)
{
	for (int i = 0; i < 20000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in to = local(9);

		connect(fd, (void *)&to, sizeof(to));
		close(fd);
	}
}

/* One segment in twenty is dropped; acknowledgements of the others have them sent again. */
static void force_retransmits(void)
{
	static char data[1 << 16];
	struct sockaddr_in to = local(9001);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, peer, one = 1;
	uint64_t end = monotonic_ns() + 1500000000;
	pid_t pid;

	if (system("nft 'add table ip bench; add chain ip bench in { type filter hook input priority 0; };"
		   " add rule ip bench in tcp dport 9001 meta length > 100 numgen random mod 20 == 0 drop'"))
		give_up("nft cannot drop packets");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (void *)&to, sizeof(to)) || listen(listener, 8) ||
	    connect(fd, (void *)&to, sizeof(to)) || (peer = accept(listener, NULL, NULL)) < 0 ||
	    (pid = fork()) < 0)
		give_up("a connection in the bench's own namespace: %m");
	if (!pid) {
		close(fd);
		while (recv(peer, data, sizeof(data), 0) > 0)
			;
		_exit(0);
	}
	close(peer);
	while (monotonic_ns() < end && send(fd, data, sizeof(data), MSG_NOSIGNAL) > 0)
		;
	kill(pid, SIGKILL);
	child(pid);
	close(fd);
	close(listener);
	if (system("nft delete table ip bench"))
		give_up("nft cannot clean up");
}

/* Answers to connection requests are dropped: the kernel sends each again after a second. */
static void force_synacks(void)
{
	struct sockaddr_in to = local(9002);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[200], one = 1;

	if (system("nft 'add table ip bench; add chain ip bench in { type filter hook input priority 0; };"
		   " add rule ip bench in tcp sport 9002 drop'"))
		give_up("nft cannot drop packets");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (void *)&to, sizeof(to)) || listen(listener, 1024))
		give_up("a listener in the bench's own namespace: %m");
	for (int i = 0; i < 200; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(fds[i], (void *)&to, sizeof(to));
	}
	usleep(1300000);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	close(listener);
	if (system("nft delete table ip bench"))
		give_up("nft cannot clean up");
}

/* Datagrams to nobody's port over lo: a net_rx softirq each, in the time of the sender. */
static void force_softirqs(void)
{
	struct sockaddr_in to = local(9);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		give_up("socket: %m");
	for (int i = 0; i < 50000; i++)
		sendto(fd, "x", 1, 0, (void *)&to, sizeof(to));
	close(fd);
}

/* Of the disk that this very program lies on, where that has interrupts. */
static void force_hardirqs(void)
{
	void *block;
	int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0 || posix_memalign(&block, 4096, 4096))
		return; /* on a file system without disk: not forced then, and said so */
	for (int i = 0; i < 2000; i++)
		if (pread(fd, block, 4096, 0) < 0)
			break;
	free(block);
	close(fd);
}

static const char *disk; /* a loop device of run.sh's; NULL without one */

static void force_reads(void)
{
	void *block;
	int fd = open(disk, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0 || posix_memalign(&block, 4096, 4096))
		give_up("%s: %m", disk);
	for (int i = 0; i < 20000; i++)
		if (pread(fd, block, 4096, (off_t)(i % 1000) * 4096) != 4096)
			give_up("%s: %m", disk);
	free(block);
	close(fd);
}

/* In the first hierarchy that is writable: the programs see all of them. */
static void force_cgroups(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };
	char a[128], b[160];

	for (size_t k = 0; k < sizeof(roots) / sizeof(*roots); k++) {
		snprintf(a, sizeof(a), "%s/bpf_exporter_bench_%d", roots[k], getpid());
		snprintf(b, sizeof(b), "%s_renamed", a);
		if (mkdir(a, 0755))
			continue;
		for (int i = 0; i < 300; i++)
			if (rmdir(rename(a, b) ? a : b) || mkdir(a, 0755)) /* v2 knows no renaming */
				break;
		rmdir(a);
		return;
	}
}

static void force_iterators(void)
{
	char text[64];

	for (int turn = 0; turn < 20; turn++)
		for (size_t i = 0; i < nr_pairs; i++)
			for (int k = 0; k < 2 && pairs[i].program->is_iterator; k++) {
				int link = k ? pairs[i].twin_link : bpf_link__fd(pairs[i].program->link);
				int fd = bpf_iter_create(link);

				while (read(fd, text, sizeof(text)) > 0)
					;
				close(fd);
			}
}

/* ---- measuring ---- */

/* In a child, which may change its namespace, CPU and signals. */
static void force(void (*events)(void), bool own_net)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (own_net && (unshare(CLONE_NEWNET) || system("ip link set lo up mtu 1500")))
			_exit(1);
		events();
		_exit(0);
	}
	if (child(pid))
		give_up("an event could not be forced");
}

static void measure(const char *name, void (*events)(void), bool own_net)
{
	static double ns[MAX_PAIR][ROUNDS];
	uint64_t runs[MAX_PAIR] = { 0 };
	size_t n[MAX_PAIR] = { 0 };

	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < nr_pairs; i++) {
			pairs[i].before[0] = count_of(pairs[i].fd);
			pairs[i].before[1] = count_of(pairs[i].twin);
		}
		force(events, own_net);
		for (size_t i = 0; i < nr_pairs; i++) {
			struct pair *p = &pairs[i];
			struct count a = count_of(p->fd), b = count_of(p->twin);
			double mine, empty;

			a.ns -= p->before[0].ns;
			a.runs -= p->before[0].runs;
			b.ns -= p->before[1].ns;
			b.runs -= p->before[1].runs;
			if (!a.runs || !b.runs)
				continue;
			mine = (double)a.ns / (double)a.runs;
			empty = (double)b.ns / (double)b.runs;
			ns[i][n[i]++] = mine - empty;
			runs[i] += a.runs;
		}
	}
	for (size_t i = 0; i < nr_pairs; i++) {
		if (!n[i] || runs[i] <= pairs[i].best_runs)
			continue;
		pairs[i].best_runs = runs[i];
		pairs[i].workload = name;
		pairs[i].median = quantile(ns[i], n[i], 0.5);
		pairs[i].least = ns[i][0]; /* sorted now */
	}
}

static struct pair *pair_of(const char *name)
{
	for (size_t i = 0; i < nr_pairs; i++)
		if (!strcmp(bpf_program__name(pairs[i].program->bpf), name))
			return &pairs[i];
	give_up("there is no program %s", name);
}

static void update_row(const char *what, const char *program, double budget, const char *budget_text)
{
	const struct pair *p = pair_of(program);

	table_row(what, budget_text, p->median / UPDATES <= budget, "%.1f ns (least %.1f; %llu x %d updates)",
		  p->median / UPDATES, p->least / UPDATES, (unsigned long long)p->best_runs, UPDATES);
}

static void switch_row(const char *what, void (*events)(void))
{
	struct pair *p = pair_of("sched_switch");

	p->best_runs = 0;
	measure("switches", events, false);
	table_row(what, "80 ns", p->median <= 80, "%.0f ns (least %.0f; %llu events)", p->median, p->least,
		  (unsigned long long)p->best_runs);
}

/* What two programs take, at the begin and the end of one thing: each is a hot event of the design's. */
static void both_row(const char *what, const char *begin, const char *end)
{
	const struct pair *a = pair_of(begin), *b = pair_of(end);

	table_row(what, "80 + 80 ns", !a->best_runs ? NO_BUDGET : a->median <= 80 && b->median <= 80,
		  "%.0f + %.0f ns (least %.0f + %.0f; %llu events: %s)", a->median, b->median, a->least, b->least,
		  (unsigned long long)b->best_runs, b->best_runs ? b->workload : "not forced here");
}

static void other_rows(void)
{
	for (size_t i = 0; i < nr_pairs; i++) {
		const char *name = bpf_program__name(pairs[i].program->bpf);
		char what[128];

		if (!strncmp(name, "update_", 7) || !strcmp(name, "sched_switch"))
			continue;
		snprintf(what, sizeof(what), "event: %s (%s)", name, pairs[i].program->hook);
		if (pairs[i].best_runs)
			table_row(what, "-", NO_BUDGET, "%.0f ns (least %.0f; %llu events: %s)",
				  pairs[i].median, pairs[i].least, (unsigned long long)pairs[i].best_runs,
				  pairs[i].workload);
		else
			table_row(what, "-", NO_BUDGET, "not forced here");
	}
}

int main(int argc, char **argv)
{
	int stats;

	if (argc < 2)
		give_up("usage: programs UPDATES_OBJECT [DISK]");
	disk = argc > 2 && *argv[2] ? argv[2] : NULL;
	log_setup(LOG_ERROR, LOG_LOGFMT);
	load_collectors(argv[1]);
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (stats < 0)
		give_up("bpf_stats: %s", strerror(errno));

	measure("getppid", force_syscalls, false);
	update_row("one counter update, array", "update_array", 10, "10 ns");
	update_row("one counter update, per-CPU array", "update_percpu", 10, "10 ns");
	update_row("one counter update, hash of 1,000 rows", "update_hash", 40, "40 ns");
	/* they hang on each system call, and would take the cache from what comes next */
	for (size_t i = 0; i < nr_pairs; i++)
		if (!strncmp(bpf_program__name(pairs[i].program->bpf), "update_", 7)) {
			bpf_link__disconnect(pairs[i].program->link);
			close(bpf_link__fd(pairs[i].program->link));
			close(pairs[i].twin_link);
		}
	switch_row("context switch, voluntary", force_switches);
	switch_row("context switch, preempted", force_preemptions);
	measure("vfork", force_forks, false);
	measure("execve", force_execs, false);
	measure("kill", force_signals, false);
	measure("refused connections", force_resets, true);
	measure("5 % loss on lo", force_retransmits, true);
	measure("lost SYN-ACKs", force_synacks, true);
	measure("datagrams over lo", force_softirqs, true);
	measure("4 kB direct reads of the disk", force_hardirqs, false);
	both_row("softirq, entry and exit", "softirq_begin", "softirq_end");
	both_row("hardirq, entry and exit", "hardirq_begin", "hardirq_end");
	if (disk)
		measure("4 kB direct reads of a loop device", force_reads, false);
	measure("mkdir of cgroups", force_cgroups, false);
	measure("20 runs over all tasks", force_iterators, false);
	other_rows();
	close(stats);
	return 0;
}
