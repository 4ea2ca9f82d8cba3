/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bpf_exporter: attach -> poll -> fold -> snapshot -> render -> serve, in this order.
 *
 * Two threads: this one polls, libmicrohttpd's answer. What they share is the snapshot store.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "attach.h"
#include "clock.h"
#include "files.h"
#include "fold.h"
#include "label.h"
#include "list.h"
#include "log.h"
#include "node_facts.h"
#include "node_groups.h"
#include "notify.h"
#include "options.h"
#include "poll.h"
#include "privilege.h"
#include "render.h"
#include "sandbox.h"
#include "self.h"
#include "serve.h"
#include "version.h"

#define SCRAPE_WAIT_NS (10 * 1000000000ULL) /* how long a scrape waits for its own poll */

struct exporter {
	struct options options;
	struct collectors collectors;
	struct cgroup_mounts mounts;
	struct node_groups groups;
	struct processes *processes;
	struct families *families;
	struct self *self;
	struct fold *fold;
	struct files *files;
	struct poller poller;
	struct snapshot_store *store;
	struct serve *serve;
	struct privilege_user user;
	struct privilege_report privileges;
	uint64_t polls_missed;
	int signals, timer,
		wanted;	      /* descriptors of the loop; `wanted`: a scrape asks for a poll */
	pthread_mutex_t lock; /* for the next four */
	pthread_cond_t polled;
	uint64_t polls_begun, polls_done;
	bool ending;
};

/* ---- attach ---- */

static bool all_off(const struct collectors *collectors)
{
	for (size_t i = 0; i < collectors->n; i++)
		if (!collector_is_helper(&collectors->list[i]) &&
		    collectors->list[i].state != COLLECTOR_OFF)
			return false;
	return true;
}

/* Returns how many collectors run; when it is none, a line said so. */
static int start_collectors(struct exporter *x)
{
	struct fold_config config;
	struct node_facts facts;
	int err, running;

	cgroup_mounts_find(&x->mounts, x->options.procfs, x->options.cgroupfs);
	node_facts_read(&facts, &x->mounts, x->options.sysfs);
	err = collectors_load(&x->collectors, &facts);
	if (err)
		return err;
	err = node_groups_open(&x->groups, &x->options, &x->mounts, &x->collectors, x->families);
	x->processes = processes_new(x->options.procfs);
	x->files = files_new(x->options.sysfs);
	config = (struct fold_config){ .families = x->families,
				       .groups = x->groups.groups,
				       .processes = x->processes,
				       .process_retention_ns = x->options.process_retention_ns,
				       .cgroup_retention_ns = x->options.cgroup_retention_ns,
				       .process_level = x->options.process_max_series > 0 };
	x->fold = !err && x->processes ? fold_new(&config) : NULL;
	if (!x->fold || !x->files) {
		log_error("out of memory");
		return -ENOMEM;
	}
	err = poller_init(&x->poller, &x->collectors, x->fold, &x->groups);
	if (err)
		return err;
	x->poller.files = x->files;
	running = collectors_settle(&x->collectors);
	if (!running)
		log_error(all_off(&x->collectors)
				  ? "every collector is switched off: nothing to count; leave out "
				    "a --no-collector flag"
				  : "no collector runs: nothing to count; the lines above say why");
	self_describe(x->self, &x->collectors, &x->mounts, x->options.procfs);
	return running;
}

/* ---- poll, fold, snapshot ---- */

static void publish(struct exporter *x)
{
	struct snapshot_check *checks = calloc(x->collectors.n + 1, sizeof(*checks));
	size_t n = 0;

	for (size_t i = 0; checks && i < x->collectors.n; i++) {
		const struct collector *c = &x->collectors.list[i];

		/* helpers count nothing: they are worth a word only when they fail */
		if (collector_is_helper(c) && c->state != COLLECTOR_DOWN)
			continue;
		checks[n++] = (struct snapshot_check){ c->name, c->state, c->reason };
	}
	if (!checks ||
	    families_publish(x->families, x->store, x->options.process_max_series, checks, n))
		log_warn("out of memory for a snapshot: the last one is served");
	free(checks);
}

static void poll_once(struct exporter *x)
{
	struct serve_stats stats = { 0 };
	struct self_input input = { .poller = &x->poller,
				    .groups = x->groups.groups,
				    .processes = x->processes,
				    .fold = x->fold,
				    .serve = x->serve ? &stats : NULL,
				    .polls_missed = x->polls_missed,
				    .procfs = x->options.procfs };

	pthread_mutex_lock(&x->lock);
	x->polls_begun++;
	pthread_mutex_unlock(&x->lock);
	poller_run(&x->poller, monotonic_ns());
	node_groups_update(&x->groups);
	if (x->serve)
		serve_stats(x->serve, &stats);
	self_update(x->self, &input);
	publish(x);
	pthread_mutex_lock(&x->lock);
	x->polls_done = x->polls_begun;
	pthread_cond_broadcast(&x->polled);
	pthread_mutex_unlock(&x->lock);
}

/* ---- the loop ---- */

static bool ask_for_poll(struct exporter *x)
{
	uint64_t one = 1;
	ssize_t n;

	while ((n = write(x->wanted, &one, sizeof(one))) < 0 && errno == EINTR)
		;
	return n == sizeof(one);
}

/*
 * In the HTTP thread, with --ebpf-probe-interval=0: waits for a poll that begins after the scrape.
 * One that runs already may have read its tables before what the scraper has just seen happen.
 */
static void poll_for_scrape(void *arg)
{
	struct exporter *x = arg;
	uint64_t until = monotonic_ns() + SCRAPE_WAIT_NS, begun;
	struct timespec deadline = { until / 1000000000, until % 1000000000 };

	pthread_mutex_lock(&x->lock);
	begun = x->polls_begun;
	if (!x->ending && ask_for_poll(x))
		while (!x->ending && x->polls_done <= begun)
			if (pthread_cond_timedwait(&x->polled, &x->lock, &deadline))
				break;
	pthread_mutex_unlock(&x->lock);
}

/* Nobody polls any more: scrapes that wait get the last snapshot, and the end does not wait for
 * them. */
static void end_polling(struct exporter *x)
{
	pthread_mutex_lock(&x->lock);
	x->ending = true;
	pthread_cond_broadcast(&x->polled);
	pthread_mutex_unlock(&x->lock);
}

static void init_lock(struct exporter *x)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&x->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&x->polled, &attr);
	pthread_condattr_destroy(&attr);
}

static int open_loop(struct exporter *x)
{
	uint64_t interval = x->options.probe_interval_ns;
	struct itimerspec every = {
		.it_value = { interval / 1000000000, interval % 1000000000 },
		.it_interval = { interval / 1000000000, interval % 1000000000 },
	};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: all inherit it */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* nothing to reload yet; a closed terminal is no reason to stop
				    counting */
	x->signals = signalfd(-1, &set, SFD_CLOEXEC);
	x->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	x->wanted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (x->signals < 0 || x->timer < 0 || x->wanted < 0 ||
	    timerfd_settime(x->timer, 0, &every, NULL)) {
		log_error("cannot set up the polling loop: %m");
		return -errno;
	}
	return 0;
}

/*
 * A call of the loop failed. What is not over at once (memory is short: ENOMEM) is tried again ten
 * times a second, not in a tight loop.
 */
static void pause_loop(const char *what, int *said)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	int err = errno;

	if (err == EINTR)
		return;
	if (err != *said)
		log_warn("%s: %s; trying again", what, strerror(err));
	*said = err;
	nanosleep(&pause, NULL);
}

/* Whether what makes the descriptor readable was taken from it. */
static bool take(const struct pollfd *fd, void *data, size_t size, int *said)
{
	if (!fd->revents)
		return false;
	if (read(fd->fd, data, size) == (ssize_t)size)
		return true;
	pause_loop("cannot read what wakes the poller", said);
	return false;
}

/* Polls on the timer, or when a scrape wants it, until a signal ends it. */
static void loop(struct exporter *x)
{
	struct pollfd fds[] = { { x->signals, POLLIN, 0 },
				{ x->timer, POLLIN, 0 },
				{ x->wanted, POLLIN, 0 },
				{ files_clock_fd(x->files), POLLIN, 0 } };
	struct signalfd_siginfo info;
	uint64_t times;
	int said = 0;

	for (;;) {
		if (poll(fds, sizeof(fds) / sizeof(*fds), -1) < 0) {
			pause_loop("cannot wait for the next poll", &said);
			continue;
		}
		if (take(&fds[0], &info, sizeof(info), &said)) {
			log_info("ending on signal %u", info.ssi_signo);
			return;
		}
		if (fds[3].revents)
			files_clock_was_set(x->files);
		if (take(&fds[1], &times, sizeof(times), &said)) {
			x->polls_missed += times - 1;
			poll_once(x);
		} else if (take(&fds[2], &times, sizeof(times), &said)) {
			poll_once(x);
		}
	}
}

/* ---- the actions ---- */

static int open_sockets(struct exporter *x)
{
	uint64_t interval = x->options.probe_interval_ns;
	struct serve_config config = {
		.listen = x->options.listen,
		.nr_listen = x->options.nr_listen,
		.telemetry_path = x->options.telemetry_path,
		.version = BPF_EXPORTER_VERSION,
		.store = x->store,
		.before_scrape = interval ? NULL : poll_for_scrape,
		.arg = x,
		.privileges = &x->privileges,
		/* polls come late on a busy node; ten of them missing is a poller that hangs */
		.stale_after_ns = interval ? 10 * interval + 10000000000ULL : 0,
	};

	x->serve = serve_open(&config);
	return x->serve ? 0 : -errno;
}

/* The first address, as its user wrote it: there may be no other that answers. */
static void say_where(const struct exporter *x, int running)
{
	const char *address = x->options.listen[0], *path = x->options.telemetry_path;
	const char *host = *address == ':' ? "localhost" : address;
	int len = *address == ':' ? (int)strlen(host) : (int)(strrchr(address, ':') - address);
	unsigned int port = serve_port(x->serve, 0);

	log_info("%d collectors run; metrics on http://%.*s:%u%s", running, len, host, port, path);
	log_info("try: curl -s %s%.*s:%u%s%s | grep ^ebpf_", *host == '[' ? "'" : "", len, host,
		 port, path, *host == '[' ? "'" : "");
}

static int run_server(struct exporter *x)
{
	int err = open_loop(x), running;

	if (!err)
		err = open_sockets(x);
	if (err)
		return err;
	running = start_collectors(x);
	if (running <= 0)
		return running ? running : -ENOENT;
	sandbox_enter(&x->poller, &x->mounts, &x->options, &x->user, &x->privileges);
	self_sandbox(x->self, &x->privileges);
	poll_once(x);
	err = serve_run(x->serve); /* not before: a thread would keep the privileges */
	if (err)
		return err;
	notify_ready();
	say_where(x, running);
	loop(x);
	end_polling(x);
	return 0;
}

static int run_check(struct exporter *x)
{
	int running = start_collectors(x), bad;

	if (running < 0)
		return running;
	bad = list_check(stdout, &x->collectors);
	return bad || !running ? -ENOENT : 0;
}

/* One exposition: of what happens within one interval, as the counters begin with the exporter. */
static int run_once(struct exporter *x)
{
	struct timespec interval = { x->options.probe_interval_ns / 1000000000,
				     x->options.probe_interval_ns % 1000000000 };
	struct buffer out = { 0 };
	struct snapshot *snapshot;
	int running = start_collectors(x), err = 0;

	if (running <= 0)
		return running ? running : -ENOENT;
	poll_once(x);
	nanosleep(&interval, NULL);
	poll_once(x);
	snapshot = snapshot_acquire(x->store);
	if (!snapshot)
		return -ENOMEM;
	(x->options.stats ? render_stats : render_text)(&out, snapshot);
	if (out.failed) {
		log_error("out of memory");
		err = -ENOMEM;
	} else {
		fwrite(out.data, 1, out.len, stdout); /* main() looks whether it could be written */
	}
	snapshot_release(x->store, snapshot);
	buffer_free(&out);
	return err;
}

static int run_list(struct exporter *x)
{
	struct families *own = x->options.nr_files ? NULL : x->families;
	struct cgroup_info *info =
		cgroup_info_new(x->families, NULL); /* a family that no table declares */
	int err = info ? list_duplicates(&x->collectors) : -ENOMEM;

	cgroup_info_free(info);
	if (err)
		return err;
	if (x->options.action == ACTION_LIST_MARKDOWN)
		list_markdown(stdout, &x->collectors, own, x->options.process_max_series);
	else
		list_text(stdout, &x->collectors, own, x->options.process_max_series);
	return 0;
}

static int act(struct exporter *x)
{
	bool list = x->options.action == ACTION_LIST || x->options.action == ACTION_LIST_MARKDOWN;
	int err = list ? 0 : privilege_check();

	label_set_sysfs(x->options.sysfs);
	if (!err && !list)
		err = privilege_find_user(x->options.user, &x->user);
	if (!err)
		err = collectors_open(&x->collectors, &x->options);
	if (err)
		return err;
	x->families = families_new();
	x->store = snapshot_store_new();
	x->self = x->families ? self_new(x->families) : NULL;
	if (!x->store || !x->self) {
		log_error("out of memory");
		return -ENOMEM;
	}
	if (list)
		return run_list(x);
	if (x->options.action == ACTION_CHECK)
		return run_check(x);
	return x->options.action == ACTION_ONCE ? run_once(x) : run_server(x);
}

static void exporter_close(struct exporter *x)
{
	serve_stop(x->serve);
	poller_free(&x->poller);
	files_free(x->files);
	fold_free(x->fold);
	collectors_close(&x->collectors);
	node_groups_close(&x->groups);
	processes_free(x->processes);
	self_free(x->self);
	snapshot_store_free(x->store);
	families_free(x->families);
	for (size_t i = 0; i < 3; i++) {
		int fd = (const int[]){ x->signals, x->timer, x->wanted }[i];

		if (fd > 0)
			close(fd);
	}
	options_free(&x->options);
}

/*
 * Expositions of megabytes come and go. glibc learns from the first of them to keep such blocks in
 * its heap, and each thread has a heap of its own: resident memory would stay at the sum of their
 * peaks.
 */
static void tame_malloc(void)
{
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

/*
 * A standard descriptor that is closed would be the number of the next file that is opened, and
 * what is printed would go there. Open for reading alone, it refuses what is written, as a closed
 * one does.
 */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct exporter x = { 0 };
	int err;

	occupy_standard_descriptors();
	err = options_parse(&x.options, argc, argv);
	if (err) {
		options_free(&x.options);
		return 2;
	}
	tame_malloc();
	log_setup(x.options.log_level, x.options.log_format);
	init_lock(&x);
	switch (x.options.action) {
	case ACTION_HELP:
		options_help(stdout);
		break;
	case ACTION_MAN:
		options_man(stdout);
		break;
	case ACTION_VERSION:
		printf("bpf_exporter %s\n", BPF_EXPORTER_VERSION);
		break;
	default:
		err = act(&x);
	}
	if (fflush(stdout) || ferror(stdout)) {
		log_error("cannot write to the standard output: %m");
		err = -EIO;
	}
	exporter_close(&x);
	return err ? 1 : 0;
}
