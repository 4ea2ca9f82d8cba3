/* SPDX-License-Identifier: GPL-2.0-only */
/* What can still be done from inside after the drop, and what is kept when polling needs it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "privilege.h"

/* What the child, which drops its privileges, tells the parent, which asserts. */
static struct told {
	struct privilege_report report;
	uint64_t effective;
	int errors[128]; /* of each attempt: 0 when it succeeded */
	bool own; /* its files in procfs are its own: others of this user may trace it */
} *told;

static int held_tcp, held_pipe[2];

static unsigned int try_nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* By procfs: capget() is not in the filter. */
static uint64_t effective(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long set = ~0ULL;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &set) == 1)
			break;
	if (file)
		fclose(file);
	return set;
}

/* Drops, then calls `inside`, in a child; the parent goes on when it has ended well. */
static void drop_in_child(unsigned int (*try)(void *arg), void (*inside)(void))
{
	struct privilege_config config = { .paths = { "/proc", "/sys", NULL, "" }, .try = try };
	struct stat st;
	int status;
	pid_t child;

	memset(told, 0, sizeof(*told));
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		log_setup(LOG_ERROR, LOG_LOGFMT);
		if (privilege_find_user(NULL, &config.user))
			_exit(2);
		privilege_drop(&config, &told->report);
		told->effective = effective();
		told->own = !stat("/proc/self/statm", &st) && st.st_uid == geteuid();
		if (inside)
			inside();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- from inside ---- */

static long open_to_write(void)
{
	return open("/proc/self/comm", O_WRONLY);
}
static long open_to_create(void)
{
	return open("/sys/new", O_RDONLY | O_CREAT, 0600);
}
static long open_both_ways(void)
{
	return open("/dev/null", O_RDWR);
}
static long open_appending(void)
{
	return open("/proc/self/comm", O_RDONLY | O_APPEND);
}
static long open_by_newer_call(void)
{
	uint64_t how[3] = { O_WRONLY };

	return syscall(437, AT_FDCWD, "/proc/self/comm", how, sizeof(how)); /* openat2 */
}
static long remove_file(void)
{
	return unlink("/tmp/nothing");
}
static long make_folder(void)
{
	return mkdir("/tmp/privilege_test_folder", 0700);
}
static long change_mode(void)
{
	return chmod("/proc/self", 0777);
}
static long rename_file(void)
{
	return rename("/tmp/nothing", "/tmp/nowhere");
}
static long shorten_file(void)
{
	return truncate("/tmp/nothing", 0);
}
static long make_memory_file(void)
{
	return memfd_create("x", 0);
}
static long run_program(void)
{
	return execl("/bin/true", "true", NULL);
}
static long run_program_at(void)
{
	return syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0);
}
static long make_process(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static long make_process_sharing_memory(void)
{
	return syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
}
static long socket_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}
static long socket_udp(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}
static long socket_unix(void)
{
	return socket(AF_UNIX, SOCK_DGRAM, 0);
}
static long socket_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}
static long socket_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}
static long socket_pair(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}
static long connect_held(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };

	return connect(held_tcp, (struct sockaddr *)&to, sizeof(to));
}
static long bind_held(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	return bind(held_tcp, (struct sockaddr *)&to, sizeof(to));
}
static long listen_held(void)
{
	return listen(held_tcp, 1);
}
static long send_to_held(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };

	return sendto(held_tcp, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
}
static long send_opening(void)
{
	struct msghdr message = { 0 };

	return sendmsg(held_tcp, &message, MSG_FASTOPEN);
}
static long trace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), 0, 0);
}
static long be_traced(void)
{
	return ptrace(PTRACE_TRACEME, 0, 0, 0);
}
static long read_memory_of_parent(void)
{
	return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}
static long mount_something(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL);
}
static long change_root(void)
{
	return chroot("/proc");
}
static long unshare_user(void)
{
	return unshare(CLONE_NEWUSER);
}
static long enter_namespace(void)
{
	return setns(0, 0);
}
static long bpf(int command)
{
	union bpf_attr attr = { 0 };

	return syscall(SYS_bpf, command, &attr, sizeof(attr));
}
static long bpf_load(void)
{
	return bpf(BPF_PROG_LOAD);
}
static long bpf_make_map(void)
{
	return bpf(BPF_MAP_CREATE);
}
static long bpf_others_program(void)
{
	return bpf(BPF_PROG_GET_FD_BY_ID);
}
static long bpf_others_map(void)
{
	return bpf(BPF_MAP_GET_FD_BY_ID);
}
static long bpf_pin(void)
{
	return bpf(BPF_OBJ_PIN);
}
static long perf_event(void)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}
static long io_uring(void)
{
	return syscall(425, 1, NULL); /* io_uring_setup */
}
static long become_root(void)
{
	return setresuid(0, 0, 0);
}
static long become_root_group(void)
{
	return setresgid(0, 0, 0);
}
static long set_capabilities(void)
{
	return syscall(SYS_capset, NULL, NULL);
}
static long signal_init(void)
{
	return kill(1, 0);
}
static long signal_parent(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0);
}
static long signal_by_descriptor(void)
{
	return syscall(424, 0, 0, NULL, 0); /* pidfd_send_signal */
}
static long limits_of_parent(void)
{
	struct rlimit limit;

	return syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &limit);
}
static long set_limits(void)
{
	struct rlimit limit = { 0, 0 };

	return syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL);
}
static long executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}
static long make_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}
static long file_handle(void)
{
	return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
}
static long keys(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}
static long load_module(void)
{
	return syscall(SYS_finit_module, -1, "", 0);
}
static long more_seccomp(void)
{
	return prctl(PR_SET_SECCOMP, 1);
}
static long become_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1);
}
static long type_to_terminal(void)
{
	return ioctl(0, TIOCSTI, "x");
}
static long own_signals_of_file(void)
{
	return fcntl(held_pipe[0], F_SETOWN, 1);
}
static long notify_of_file(void)
{
	return syscall(SYS_fanotify_init, 0, 0);
}
/* by Landlock: files that everybody may read as well */
static long read_passwords(void)
{
	return open("/etc/shadow", O_RDONLY);
}
static long read_users(void)
{
	return open("/etc/passwd", O_RDONLY);
}
static long read_other_way(void)
{
	return open("/proc/self/root/etc/passwd", O_RDONLY);
}
static long list_root(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}
/* what must go on */
static long read_proc(void)
{
	char byte;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : read(fd, &byte, 1) - 1;
}
static long list_own_files(void)
{
	DIR *dir = opendir("/proc/self/fd");

	return dir && readdir(dir) ? closedir(dir) : -1;
}
static long see_init(void)
{
	return faccessat(AT_FDCWD, "/proc/1", F_OK, AT_SYMLINK_NOFOLLOW);
}
static long list_sys(void)
{
	DIR *dir = opendir("/sys/devices");

	return dir && readdir(dir) ? closedir(dir) : -1;
}
static void *allocate(void *arg)
{
	free(calloc(1, 20 << 20));
	return arg;
}
static long make_thread(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, allocate, NULL);
	if (!errno)
		errno = pthread_join(thread, NULL);
	return errno ? -1 : 0;
}
static long make_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}
static long signal_self(void)
{
	return raise(SIGWINCH);
}
static long write_log(void)
{
	return write(held_pipe[1], "x", 1);
}
static long no_delay(void)
{
	int one = 1;

	return setsockopt(held_tcp, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
}

enum expected { REFUSED, LANDLOCK, WORKS };

#define X(expected, function) { #function, function, expected }
static const struct {
	const char *name;
	long (*attempt)(void);
	enum expected expected;
} attempts[] = {
	X(REFUSED, open_to_write), X(REFUSED, open_to_create), X(REFUSED, open_both_ways),
	X(REFUSED, open_appending), X(REFUSED, open_by_newer_call), X(REFUSED, remove_file),
	X(REFUSED, make_folder), X(REFUSED, change_mode), X(REFUSED, rename_file), X(REFUSED, shorten_file),
	X(REFUSED, make_memory_file), X(REFUSED, run_program), X(REFUSED, run_program_at),
	X(REFUSED, make_process), X(REFUSED, make_process_sharing_memory), X(REFUSED, socket_inet),
	X(REFUSED, socket_udp), X(REFUSED, socket_unix), X(REFUSED, socket_packet), X(REFUSED, socket_netlink),
	X(REFUSED, socket_pair), X(REFUSED, connect_held), X(REFUSED, bind_held), X(REFUSED, listen_held),
	X(REFUSED, send_to_held), X(REFUSED, send_opening), X(REFUSED, trace_parent), X(REFUSED, be_traced),
	X(REFUSED, read_memory_of_parent), X(REFUSED, mount_something), X(REFUSED, change_root),
	X(REFUSED, unshare_user), X(REFUSED, enter_namespace), X(REFUSED, bpf_load), X(REFUSED, bpf_make_map),
	X(REFUSED, bpf_others_program), X(REFUSED, bpf_others_map), X(REFUSED, bpf_pin), X(REFUSED, perf_event),
	X(REFUSED, io_uring), X(REFUSED, become_root), X(REFUSED, become_root_group),
	X(REFUSED, set_capabilities), X(REFUSED, signal_init), X(REFUSED, signal_parent),
	X(REFUSED, signal_by_descriptor), X(REFUSED, limits_of_parent), X(REFUSED, set_limits),
	X(REFUSED, executable_memory), X(REFUSED, make_executable), X(REFUSED, file_handle), X(REFUSED, keys),
	X(REFUSED, load_module), X(REFUSED, more_seccomp), X(REFUSED, become_dumpable),
	X(REFUSED, type_to_terminal), X(REFUSED, own_signals_of_file), X(REFUSED, notify_of_file),
	X(LANDLOCK, read_passwords), X(LANDLOCK, read_users), X(LANDLOCK, read_other_way), X(LANDLOCK, list_root),
	X(WORKS, read_proc), X(WORKS, list_own_files), X(WORKS, see_init), X(WORKS, list_sys),
	X(WORKS, make_thread), X(WORKS, make_eventfd), X(WORKS, signal_self), X(WORKS, write_log),
	X(WORKS, no_delay),
};
#define NR_ATTEMPTS (sizeof(attempts) / sizeof(*attempts))

static void attempt_all(void)
{
	signal(SIGWINCH, SIG_IGN);
	for (size_t i = 0; i < NR_ATTEMPTS; i++) {
		errno = 0;
		told->errors[i] = attempts[i].attempt() < 0 ? errno : 0;
	}
}

/* Bug: something that an attacker inside could use is left, or something that polling needs is not. */
static void test_from_inside(void **state)
{
	(void)state;
	held_tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(pipe(held_pipe), 0);
	drop_in_child(try_nothing, attempt_all);
	assert_true(told->report.seccomp);
	for (size_t i = 0; i < NR_ATTEMPTS; i++) {
		int err = told->errors[i];
		bool ok = attempts[i].expected == WORKS ? !err : err == EPERM || err == EACCES || err == ENOSYS;

		if (attempts[i].expected == LANDLOCK && !told->report.landlock)
			continue;
		if (!ok)
			print_error("%s: %s\n", attempts[i].name, err ? strerror(err) : "succeeded");
		assert_true(ok);
	}
}

/* Bug: a capability, a user or the way to new privileges that stays although nothing needs it. */
static void test_nothing_kept(void **state)
{
	bool root = !geteuid();

	(void)state;
	drop_in_child(try_nothing, NULL);
	assert_true(told->report.dropped && told->report.no_new_privs && told->report.seccomp);
	assert_int_equal(told->report.kept, 0);
	assert_int_equal(told->effective, 0);
	if (root && effective() >> 7 & 1 /* CAP_SETUID */)
		assert_int_equal(told->report.uid, 65534);
	if (root)
		assert_false(told->own);
}

/* ---- what is kept ---- */

static uint64_t needed;

static unsigned int try_needed(void *arg)
{
	(void)arg;
	return (effective() & needed) == needed ? 0 : PRIVILEGE_TABLES;
}

/* Bug: an exporter that can no longer poll (5.10 reads maps with CAP_BPF alone), or that keeps more. */
static void test_least_set(void **state)
{
	const uint64_t sets[] = { 1ULL << 39, 1ULL << 2, 1ULL << 39 | 1ULL << 2, 1ULL << 39 | 1ULL << 38 };

	(void)state;
	if (geteuid() || (effective() & sets[3]) != sets[3])
		skip();
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		needed = sets[i];
		drop_in_child(try_needed, NULL);
		assert_int_equal(told->effective, sets[i]);
		assert_int_equal(told->report.kept, sets[i]);
		assert_true(told->report.seccomp);
		assert_int_equal(told->report.uid, 65534);
	}
}

static unsigned int try_hopeless(void *arg)
{
	(void)arg;
	return PRIVILEGE_CGROUPS;
}

static unsigned int try_and_die(void *arg)
{
	(void)arg;
	kill(getpid(), SIGKILL);
	return 0;
}

/* Bug: what cannot be read in any case makes the exporter keep its capabilities. */
static void test_hopeless(void **state)
{
	(void)state;
	drop_in_child(try_hopeless, NULL);
	assert_int_equal(told->effective, 0);
	assert_true(told->report.seccomp);
	drop_in_child(try_and_die, NULL);
	assert_true(told->report.dropped);
}

static unsigned int try_unlink(void *arg)
{
	(void)arg;
	return unlink("/proc/nothing") && errno == EPERM && prctl(PR_GET_SECCOMP) != 0 ? PRIVILEGE_TABLES : 0;
}

/* Bug: a filter that polling does not survive ends the exporter, or takes the other layers with it. */
static void test_filter_in_the_way(void **state)
{
	(void)state;
	log_setup(LOG_ERROR, LOG_LOGFMT);
	drop_in_child(try_unlink, NULL);
	assert_false(told->report.seccomp);
	assert_true(told->report.dropped && told->report.no_new_privs);
	assert_int_equal(told->effective, 0);
}

/* As a procfs with hidepid that shows all processes to its group, 0. */
static unsigned int try_groups(void *arg)
{
	FILE *file = fopen("/proc/self/status", "re");
	bool shown = !geteuid();
	char line[256];

	(void)arg;
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "Groups:", 7) && strstr(line, "\t0 "))
			shown = true;
	if (file)
		fclose(file);
	return shown ? 0 : PRIVILEGE_PROCESSES;
}

static void tell_groups(void)
{
	told->errors[0] = (int)try_groups(NULL);
}

/* Bug: on a node with hidepid all processes are declared dead. Group 0 sees them there. */
static void test_hidden_processes(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	drop_in_child(try_groups, tell_groups);
	assert_int_equal(told->errors[0], 0);
	assert_int_equal(told->effective, 0);
	assert_true(told->report.seccomp);
}

static int setup(void **state)
{
	(void)state;
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return told == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_inside),	  cmocka_unit_test(test_nothing_kept),
		cmocka_unit_test(test_least_set),	  cmocka_unit_test(test_hopeless),
		cmocka_unit_test(test_filter_in_the_way), cmocka_unit_test(test_hidden_processes),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
