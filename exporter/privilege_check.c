/* SPDX-License-Identifier: GPL-2.0-only */
/* What loading and attaching need, and what else may stand in their way, by name. */
#include "privilege_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "log.h"

/* bpf() itself, by the least map: -EPERM although the capabilities are there. */
static int try_bpf(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, 4, 4, 1, NULL);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int privilege_check(void)
{
	uint64_t have = 0;
	char missing[64] = "";
	int err;

	if (capabilities_read(&have))
		return 0; /* the kernel will say it */
	if (prctl(PR_CAPBSET_READ, CAP_BPF, 0, 0, 0) < 0 && !(have & CAPABILITY(CAP_SYS_ADMIN))) {
		log_error("missing CAP_SYS_ADMIN: this kernel is older than 5.8 and has no "
			  "CAP_BPF; run as root");
		return -EPERM;
	}
	if (!(have & (CAPABILITY(CAP_BPF) | CAPABILITY(CAP_SYS_ADMIN))))
		strcat(missing, "CAP_BPF");
	if (!(have &
	      (CAPABILITY(CAP_PERFMON) | CAPABILITY(CAP_SYS_ADMIN)))) /* which includes both */
		strcat(missing, *missing ? " and CAP_PERFMON" : "CAP_PERFMON");
	if (*missing) {
		log_error("missing %s: loading BPF programs needs CAP_BPF and CAP_PERFMON; run as "
			  "root, or grant both "
			  "(AmbientCapabilities= of systemd, securityContext.capabilities of "
			  "Kubernetes)",
			  missing);
		return -EPERM;
	}
	err = try_bpf();
	if (err == -EPERM || err == -EACCES) {
		const char *why = privilege_why(err, NULL);

		log_error("bpf() is refused though CAP_BPF is held: %s",
			  *why ? why : "by a security module, as it seems (SELinux, AppArmor)");
		return -EPERM;
	}
	return 0;
}

/* The first line of a file of procfs that begins with `key`, from behind it; "" when there is none.
 */
static void read_line(const char *path, const char *key, char *out, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[256];

	*out = 0;
	while (file && !*out && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			snprintf(out, size, "%.*s", (int)strcspn(line + strlen(key), "\n"),
				 line + strlen(key));
	if (file)
		fclose(file);
}

/* These attach by perf_event_open(), which has a sysctl of its own. */
static bool is_perf_event(const char *section)
{
	static const char *const kinds[] = { "kprobe", "kretprobe", "uprobe",	  "uretprobe",
					     "usdt",   "tp/",	    "tracepoint", "perf_event" };

	for (size_t i = 0; section && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strncmp(section, kinds[i], strlen(kinds[i])))
			return true;
	return false;
}

/* Before 5.11 maps count as locked memory of the process, and what exceeds the limit is EPERM. */
static bool is_memory_locked(rlim_t *limit)
{
	struct rlimit locked;
	struct utsname kernel;
	int major = 0, minor = 0;

	if (uname(&kernel) || sscanf(kernel.release, "%d.%d", &major, &minor) != 2 ||
	    getrlimit(RLIMIT_MEMLOCK, &locked))
		return false;
	*limit = locked.rlim_cur;
	return (major < 5 || (major == 5 && minor < 11)) && locked.rlim_cur != RLIM_INFINITY;
}

const char *privilege_why(int err, const char *section)
{
	unsigned int inside, outside, length;
	static char why[320];
	char text[128];
	uint64_t have = 0;
	int paranoid = 0;
	rlim_t limit = 0;

	if (err != -EPERM && err != -EACCES)
		return "";
	read_line("/proc/self/uid_map", "", text, sizeof(text));
	if (sscanf(text, "%u %u %u", &inside, &outside, &length) == 3 && length != UINT32_MAX)
		return "capabilities of a user namespace do not count for BPF; run it outside of "
		       "one (not in a "
		       "rootless container)";
	capabilities_read(&have);
	read_line("/proc/sys/kernel/perf_event_paranoid", "", text, sizeof(text));
	if (sscanf(text, "%d", &paranoid) == 1 && paranoid > 2 && is_perf_event(section) &&
	    !(have & CAPABILITY(CAP_SYS_ADMIN))) {
		snprintf(why, sizeof(why),
			 "missing CAP_SYS_ADMIN: kernel.perf_event_paranoid is %d, and from 3 on "
			 "CAP_PERFMON is not "
			 "enough for kprobes, uprobes and perf events; attach by tp_btf or raw_tp, "
			 "grant it, or set the "
			 "sysctl to 2",
			 paranoid);
		return why;
	}
	if (err == -EPERM && is_memory_locked(&limit)) {
		snprintf(why, sizeof(why),
			 "locked memory is limited to %llu bytes, and before Linux 5.11 maps count "
			 "as such; set "
			 "LimitMEMLOCK=infinity (systemd), ulimit -l unlimited, or grant "
			 "CAP_SYS_RESOURCE",
			 (unsigned long long)limit);
		return why;
	}
	read_line("/proc/self/status", "Seccomp:\t", text, sizeof(text));
	if (!strcmp(text, "2"))
		return "a seccomp filter is on, and those of older container runtimes refuse bpf() "
		       "without "
		       "CAP_SYS_ADMIN; use a profile that allows bpf() with CAP_BPF, or none "
		       "(Unconfined)";
	read_line("/proc/self/attr/current", "", text, sizeof(text));
	if (*text && !strstr(text, "unconfined")) {
		snprintf(why, sizeof(why), "a security module may refuse it to \"%.100s\"", text);
		return why;
	}
	return "";
}
