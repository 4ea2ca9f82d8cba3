/* SPDX-License-Identifier: GPL-2.0-only */
/* The order of the layers, what children try before, and the report. */
#include "privilege_parts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

#define TRIAL_SECONDS 10
#define TRIAL_FAILED  0xffu /* the child could not say what failed */

/* What is to be given up. */
struct plan {
	uint64_t keep;
	bool user, group_0, landlock, seccomp;
};

/* errno of each layer that did not come to be. */
struct failures {
	int capabilities, user, no_new_privs, landlock, seccomp;
};

static void apply(const struct privilege_config *config, const struct plan *plan,
		  struct privilege_report *report, struct failures *failed)
{
	*report = (struct privilege_report){ .kept = plan->keep };
	capabilities_bound(plan->keep);
	if (plan->user)
		failed->user = user_become(&config->user, plan->group_0, plan->keep);
	failed->capabilities = capabilities_keep(plan->keep);
	report->dropped = !failed->capabilities;
	if (failed->capabilities)
		capabilities_read(&report->kept);
	report->uid = geteuid();
	failed->no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
	report->no_new_privs = !failed->no_new_privs;
	if (plan->landlock) {
		int abi = landlock_restrict(config->paths, PRIVILEGE_PATHS);

		failed->landlock = abi < 0 ? abi : 0;
		report->landlock = abi < 0 ? 0 : abi;
	}
	if (plan->seccomp) {
		failed->seccomp = seccomp_restrict();
		report->seccomp = !failed->seccomp;
	}
}

/* ---- children try ---- */

/* What a child that follows the plan (NULL: that gives up nothing) could not do. */
static unsigned int try_in_child(const struct privilege_config *config, const struct plan *plan)
{
	struct privilege_report report;
	struct failures failed = { 0 };
	int status;
	pid_t child = fork();

	if (!child) {
		alarm(TRIAL_SECONDS);
		log_setup(LOG_ERROR, LOG_LOGFMT); /* what fails here is for the parent to judge */
		if (plan)
			apply(config, plan, &report, &failed);
		_exit((int)config->try(config->arg));
	}
	if (child < 0)
		return TRIAL_FAILED;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return TRIAL_FAILED;
	return WIFEXITED(status) ? (unsigned int)WEXITSTATUS(status) : TRIAL_FAILED;
}

/* Keeps the least of what we have with which a child could do all but `hopeless`. */
static bool find_least(const struct privilege_config *config, struct plan *plan, uint64_t have,
		       unsigned int hopeless)
{
	const uint64_t bpf = CAPABILITY(CAP_BPF), perfmon = CAPABILITY(CAP_PERFMON),
		       files = CAPABILITY(CAP_DAC_READ_SEARCH), admin = CAPABILITY(CAP_SYS_ADMIN);
	const uint64_t sets[] = { 0,
				  bpf,
				  files,
				  bpf | files,
				  bpf | perfmon,
				  bpf | perfmon | files,
				  admin | files,
				  bpf | perfmon | admin | files };

	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		if (sets[i] & ~have)
			continue;
		plan->keep = sets[i];
		if (!(try_in_child(config, plan) & ~hopeless))
			return true;
	}
	return false;
}

static struct plan make_plan(const struct privilege_config *config)
{
	struct plan plan = { .user = config->user.change, .landlock = true, .seccomp = true };
	unsigned int bad = try_in_child(config, &plan), hopeless;
	uint64_t have = 0;

	if (!bad)
		return plan;
	hopeless = try_in_child(config, NULL);
	if (bad & ~hopeless & PRIVILEGE_PROCESSES) {
		/* procfs with hidepid= shows all processes to its group, which is 0 unless said
		 * otherwise */
		plan.group_0 = plan.user;
		bad = try_in_child(config, &plan);
		if (bad & ~hopeless & PRIVILEGE_PROCESSES) {
			plan.group_0 = false;
			log_warn("user %s does not see the processes of others (procfs with "
				 "hidepid, or in a closed folder): "
				 "their series end early; mount it without, or give --user=root",
				 config->user.name);
			hopeless |= PRIVILEGE_PROCESSES;
		}
	}
	if (bad & ~hopeless & PRIVILEGE_NAMES && !landlock_available()) {
		/* the capability for it reads every file of the node, unless Landlock says where */
		log_warn("some folders of container runtimes can be read by root alone, and this "
			 "kernel has no Landlock: containers of docker and podman are called by "
			 "their ids");
		hopeless |= PRIVILEGE_NAMES;
	}
	if (!(bad & ~hopeless))
		return plan;
	capabilities_read(&have);
	if (find_least(config, &plan, have, hopeless))
		return plan;
	plan.seccomp = false;
	if (find_least(config, &plan, have, hopeless)) {
		log_warn("no seccomp filter: polling fails under it");
		return plan;
	}
	plan.landlock = false;
	if (find_least(config, &plan, have, hopeless)) {
		log_warn("no seccomp filter and no Landlock: polling fails under them");
		return plan;
	}
	plan.keep =
		have & (CAPABILITY(CAP_BPF) | CAPABILITY(CAP_PERFMON) | CAPABILITY(CAP_SYS_ADMIN));
	log_warn("no privileges were found without which polling works: capabilities for BPF are "
		 "kept");
	return plan;
}

/* ---- the drop ---- */

static void complain(const char *layer, int err)
{
	if (err)
		log_warn("cannot %s: %s; the exporter runs without this protection", layer,
			 strerror(-err));
}

static void say(const struct privilege_config *config, const struct privilege_report *report,
		int no_landlock)
{
	char kept[128] = "no capabilities", landlock[48] = "no Landlock in this kernel", user[64];
	size_t used = 0;

	for (int i = 0; report->dropped && i < 64; i++)
		if (report->kept & CAPABILITY(i))
			used += snprintf(kept + used, sizeof(kept) - used, "%s%s", used ? " " : "",
					 privilege_capability_name(i));
	if (used)
		snprintf(kept + used, sizeof(kept) - used, " (polling fails without)");
	if (!report->dropped)
		snprintf(kept, sizeof(kept), "all capabilities");
	if (report->landlock)
		snprintf(landlock, sizeof(landlock), "Landlock (ABI %d)", report->landlock);
	else if (no_landlock != -ENOSYS && no_landlock != -EOPNOTSUPP)
		snprintf(landlock, sizeof(landlock), "no Landlock");
	if (report->uid == config->user.uid)
		snprintf(user, sizeof(user), "user %.48s", config->user.name);
	else
		snprintf(user, sizeof(user), "user %u", report->uid);
	log_info("from here on: %s, %s, %s, %s, %s", user, kept,
		 report->no_new_privs ? "no_new_privs" : "new privileges possible", landlock,
		 report->seccomp ? "seccomp" : "no seccomp");
}

void privilege_drop(const struct privilege_config *config, struct privilege_report *report)
{
	struct plan plan = make_plan(config);
	struct failures failed = { 0 };

	apply(config, &plan, report, &failed);
	complain("give up capabilities", failed.capabilities);
	complain("become another user", failed.user);
	complain("rule out new privileges", failed.no_new_privs);
	if (failed.landlock != -ENOSYS && failed.landlock != -EOPNOTSUPP)
		complain("restrict file access by Landlock", failed.landlock);
	complain("install the seccomp filter", failed.seccomp);
	say(config, report, failed.landlock);
}
