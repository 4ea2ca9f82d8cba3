/* SPDX-License-Identifier: GPL-2.0-only */
#include "privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF	    39
#endif
#define BIT(capability) (1ULL << (capability))

static int read_capabilities(uint64_t *effective)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	*effective = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
}

int privilege_check(void)
{
	uint64_t have = 0;
	char missing[64] = "";

	if (read_capabilities(&have))
		return 0; /* the kernel will say it */
	if (have & BIT(CAP_SYS_ADMIN))
		return 0; /* includes the other two */
	if (!(have & BIT(CAP_BPF)))
		strcat(missing, "CAP_BPF");
	if (!(have & BIT(CAP_PERFMON)))
		strcat(missing, *missing ? " and CAP_PERFMON" : "CAP_PERFMON");
	if (!*missing)
		return 0;
	log_error("missing %s: loading BPF programs needs CAP_BPF and CAP_PERFMON; run as root, or grant both "
		  "(AmbientCapabilities= of systemd, securityContext.capabilities of Kubernetes)",
		  missing);
	return -EPERM;
}

int privilege_drop(void)
{
	const uint64_t wanted = BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_DAC_READ_SEARCH);
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	uint64_t have = 0, keep;
	int err = read_capabilities(&have);

	if (err)
		return err;
	keep = have & wanted;
	if (!(have & BIT(CAP_BPF)))
		keep |= have & BIT(CAP_SYS_ADMIN);
	for (int capability = 0; capability < 64; capability++)
		if (!(keep & BIT(capability)))
			prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); /* EPERM without CAP_SETPCAP: no matter */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	data[0].effective = data[0].permitted = keep;
	data[1].effective = data[1].permitted = keep >> 32;
	if (syscall(SYS_capset, &header, data))
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return 0;
}
