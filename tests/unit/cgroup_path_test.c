/* SPDX-License-Identifier: GPL-2.0-only */
/* cgroup_path: paths as runtimes make them, and as hostile ones would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cgroup_path.h"

#define ID   "4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f"
#define ID2  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID  "6dd3a3e0-2f4b-4f0e-9b6a-0c3f5a1e7d42"
#define U_D  "6dd3a3e0_2f4b_4f0e_9b6a_0c3f5a1e7d42"
#define UID2 "ffffffff-1111-4222-8333-444444444444"
#define HASH "0123456789abcdef0123456789abcdef"
#define SLICE "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" U_D ".slice"

struct path_case {
	const char *path;
	/* "pod UID ID RUNTIME QOS", "container ID|NAME RUNTIME", "unit NAME [ID RUNTIME]", "path" */
	const char *want, *source;
};

/* `source`: where the shape was seen; "hostile" for what somebody would like to be taken for. */
static const struct path_case cases[] = {
	{ "/", "path", "the root group" },
	/* systemd */
	{ "/init.scope", "unit init.scope", "systemd 252 in a VM" },
	{ "/system.slice", "path", "systemd 252 in a VM" },
	{ "/system.slice/nginx.service", "unit nginx.service", "systemd 252 in a VM" },
	{ "/system.slice/run-u7.service", "unit run-u7.service", "systemd-run in a VM" },
	{ "/system.slice/ssh.service/worker", "unit ssh.service", "Delegate=yes" },
	{ "/system.slice/system-getty.slice/getty@tty1.service", "unit getty@tty1.service", "systemd 252" },
	{ "/system.slice/systemd-udevd.service/udev", "unit systemd-udevd.service", "systemd 254" },
	{ "/system.slice/dbus.socket", "unit dbus.socket", "systemd 252" },
	{ "/system.slice/var-lib-data.mount", "unit var-lib-data.mount", "systemd 252" },
	{ "/system.slice/dev-vda2.swap", "unit dev-vda2.swap", "systemd 252" },
	{ "/dev-hugepages.mount", "unit dev-hugepages.mount", "systemd 252" },
	{ "/system.slice/boot.automount", "path", "an automount has no processes" },
	{ "/user.slice", "path", "systemd 252" },
	{ "/user.slice/user-1000.slice", "path", "systemd 252" },
	{ "/user.slice/user-1000.slice/session-3.scope", "unit session-3.scope", "pam_systemd" },
	{ "/user.slice/user-1000.slice/user@1000.service", "unit user@1000.service", "systemd 252" },
	{ "/user.slice/user-1000.slice/user@1000.service/init.scope", "unit user@1000.service", "systemd 252" },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.mozilla.firefox-42.scope",
	  "unit user@1000.service", "Flatpak" },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service", "unit user@1000.service",
	  "a user's unit" },
	{ "/runtime.slice/containerd.service", "unit containerd.service", "EKS, Talos" },
	{ "/kubelet.slice/kubelet.service", "unit kubelet.service", "kind" },
	/* podman */
	{ "/libpod_parent/libpod-" ID, "container " ID " podman", "podman 4.3, cgroupfs" },
	{ "/libpod_parent/" ID2 "/libpod-" ID, "container " ID " podman in " ID2, "podman 4.3 pod, cgroupfs" },
	{ "/libpod_parent/" ID2, "container " ID2 " podman", "the pod's own folder" },
	{ "/libpod_parent/libpod-conmon-" ID, "container " ID " podman monitor", "podman 4.3, cgroupfs" },
	{ "/machine.slice/libpod-" ID ".scope", "container " ID " podman", "podman 4.3, systemd, runc" },
	{ "/machine.slice/libpod-" ID ".scope/container", "container " ID " podman", "podman 4.3, systemd, crun" },
	{ "/machine.slice/libpod-conmon-" ID ".scope", "container " ID " podman monitor", "podman 4.3, systemd" },
	{ "/machine.slice/machine-libpod_pod_" ID2 ".slice/libpod-" ID ".scope/container", "container " ID " podman",
	  "podman 4.3 pod, systemd" },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container",
	  "unit user@1000.service " ID " podman", "podman rootless" },
	{ "/system.slice/web.service/libpod-payload-" ID, "unit web.service", "a Quadlet: its unit is its name" },
	{ "/x/libpod-" ID, "container " ID " podman", "podman --cgroup-parent /x" },
	/* docker */
	{ "/docker/" ID, "container " ID " docker", "docker 20.10, cgroupfs" },
	{ "/system.slice/docker-" ID ".scope", "container " ID " docker", "docker, systemd" },
	{ "/docker/" ID "/system.slice/cron.service", "container " ID " docker", "systemd in a container" },
	{ "/docker/" ID "/docker/" ID2, "container " ID " docker", "docker in docker" },
	{ "/system.slice/docker-" ID ".scope/init.scope", "container " ID " docker", "systemd in a container" },
	{ "/custom.slice/docker-" ID ".scope", "container " ID " docker", "docker --cgroup-parent" },
	{ "/actions_job/" ID, "container " ID " ", "a runner of GitHub's" },
	/* containerd without Kubernetes */
	{ "/k8s.io/" ID, "container " ID " containerd", "ctr -n k8s.io" },
	{ "/system.slice/nerdctl-" ID ".scope", "container " ID " containerd", "nerdctl" },
	{ "/default/c1", "path", "ctr: any name; runtime state tells" },
	{ "/system.slice/ctr-c2.scope", "unit ctr-c2.scope", "ctr --runc-systemd-cgroup" },
	/* LXC, nspawn, virtual machines */
	{ "/lxc.payload.web", "container web lxc", "LXC 4 and newer" },
	{ "/lxc.payload.web/system.slice/nginx.service", "container web lxc", "systemd in LXC" },
	{ "/lxc.monitor.web", "path", "LXC 4: who watches it" },
	{ "/lxc/web", "container web lxc", "LXC 2, Proxmox" },
	{ "/lxc/101/ns/system.slice/cron.service", "container 101 lxc", "Proxmox" },
	{ "/machine.slice/machine-web.scope", "container web machined", "systemd-nspawn registered" },
	{ "/machine.slice/machine-web\\x2d1.scope/payload", "container web-1 machined", "systemd-nspawn registered" },
	{ "/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service",
	  "unit systemd-nspawn@web.service", "systemd-nspawn as a service" },
	{ "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator", "unit machine-qemu\\x2d1\\x2dvm.scope",
	  "libvirt" },
	{ "/payload", "path", "nspawn on the caller's cgroup" },
	{ "/supervisor", "path", "nspawn on the caller's cgroup" },
	/* Kubernetes */
	{ "/kubepods", "path", "kubelet 1.20" },
	{ "/kubepods/besteffort", "path", "kubelet 1.20" },
	{ "/kubepods.slice/kubepods-burstable.slice", "path", "kubelet 1.20, systemd" },
	{ "/kubepods/besteffort/pod" UID, "pod " UID " -  besteffort", "kubelet 1.20, cgroupfs" },
	{ "/kubepods/besteffort/pod" UID "/" ID, "pod " UID " " ID "  besteffort", "kubelet 1.20, cgroupfs" },
	{ "/kubepods/burstable/pod" UID "/" ID, "pod " UID " " ID "  burstable", "kubelet 1.20, cgroupfs" },
	{ "/kubepods/pod" UID "/" ID, "pod " UID " " ID "  guaranteed", "kubelet source" },
	{ "/kubepods/burstable/pod" HASH "/" ID, "pod " HASH " " ID "  burstable", "a static pod" },
	{ SLICE, "pod " UID " -  burstable", "kubelet 1.20, systemd" },
	{ SLICE "/cri-containerd-" ID ".scope", "pod " UID " " ID " containerd burstable", "kubelet 1.20, systemd" },
	{ "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" HASH ".slice/cri-containerd-" ID ".scope",
	  "pod " HASH " " ID " containerd besteffort", "a static pod, systemd" },
	{ "/kubepods.slice/kubepods-pod" U_D ".slice/cri-containerd-" ID ".scope",
	  "pod " UID " " ID " containerd guaranteed", "kubelet source" },
	{ SLICE "/docker-" ID ".scope", "pod " UID " " ID " docker burstable", "dockershim, cri-dockerd" },
	{ SLICE "/cri-containerd-" ID ".scope/system.slice/cron.service", "pod " UID " " ID " containerd burstable",
	  "systemd in a pod" },
	{ "/kubepods/burstable/pod" UID "/crio-" ID, "pod " UID " " ID " cri-o burstable", "CRI-O source, cgroupfs" },
	{ "/kubepods/burstable/pod" UID "/crio-conmon-" ID, "pod " UID " " ID " cri-o burstable monitor",
	  "CRI-O source, cgroupfs" },
	{ SLICE "/crio-" ID ".scope/container", "pod " UID " " ID " cri-o burstable", "CRI-O source, crun" },
	{ SLICE "/crio-conmon-" ID ".scope", "pod " UID " " ID " cri-o burstable monitor", "CRI-O source, systemd" },
	{ "/crio/crio-" ID, "container " ID " cri-o", "CRI-O source: no parent" },
	/* nodes that are containers themselves, prefixes of one's own */
	{ "/docker/" ID2 "/kubelet/kubepods/burstable/pod" UID "/" ID, "pod " UID " " ID "  burstable", "kind 0.11" },
	{ "/docker/" ID2 "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
	  "kubelet-kubepods-besteffort-pod" U_D ".slice/cri-containerd-" ID ".scope",
	  "pod " UID " " ID " containerd besteffort", "kind 0.20" },
	{ "/system.slice/docker-" ID2 ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" U_D
	  ".slice/cri-containerd-" ID ".scope",
	  "pod " UID " " ID " containerd guaranteed", "kind, systemd" },
	{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" U_D ".slice/cri-containerd-" ID ".scope",
	  "pod " UID " " ID " containerd guaranteed", "inside a node of kind" },
	{ "/docker/" ID2 "/kubepods/besteffort/pod" UID "/" ID, "pod " UID " " ID "  besteffort", "k3d" },
	{ "/k3s/kubepods/besteffort/pod" UID "/" ID, "pod " UID " " ID "  besteffort", "k3s with a prefix" },
	/* hostile: a container, a service or a user names its own cgroups */
	{ "/kubepods/besteffort/pod" UID "/" ID "/kubepods/pod" UID2 "/" ID2, "pod " UID " " ID "  besteffort", "hostile" },
	{ "/kubepods/besteffort/pod" UID "/" ID "/" ID2, "pod " UID " " ID "  besteffort", "hostile" },
	{ SLICE "/cri-containerd-" ID ".scope/nginx.service", "pod " UID " " ID " containerd burstable", "hostile" },
	{ "/system.slice/evil.service/nginx.service", "unit evil.service", "hostile" },
	{ "/system.slice/evil.service/docker/" ID, "unit evil.service", "hostile" },
	{ "/system.slice/evil.service/kubepods/pod" UID "/" ID, "unit evil.service", "hostile" },
	{ "/user.slice/user-1000.slice/user@1000.service/kubepods/pod" UID "/" ID, "unit user@1000.service " ID " ",
	  "hostile" },
	{ "/docker/" ID "/lxc.payload.web", "container " ID " docker", "hostile" },
	{ "/a/lxc.payload.web", "path", "hostile" },
	{ "/a/lxc/web", "path", "hostile" },
	{ "/kubepods/user@1000.service/pod" UID, "unit user@1000.service", "hostile (fuzzer)" },
	{ "/kubepods/user@1000.service/kubepods/pod" UID "/" ID, "unit user@1000.service " ID " ", "hostile (fuzzer)" },
	/* nearly */
	{ "/podman/pod1", "path", "no id" },
	{ "/pod" UID "/" ID, "container " ID " ", "no kubepods around it" },
	{ "/notkubepods/pod" UID, "path", "another word" },
	{ "/kubepods/podx" UID, "path", "no uid" },
	{ "/kubepods/pod" UID "0", "path", "too long" },
	{ "/kubepods/pod6DD3A3E0-2F4B-4F0E-9B6A-0C3F5A1E7D42", "path", "capitals" },
	{ "/docker/" ID "0", "path", "65 digits" },
	{ "/docker/g" ID, "path", "no digit" },
	{ "/.service", "path", "a suffix is no name" },
	{ "/a.services", "path", "nearly a service" },
	{ "/a.service.d", "path", "nearly a service" },
	{ "/machine.slice/machine-.scope", "unit machine-.scope", "a name of nothing" },
	{ "//docker//" ID "/", "container " ID " docker", "empty elements" },
};

static void describe(char *out, size_t size, const struct cgroup_path *p)
{
	switch (p->owner) {
	case OWNER_POD:
		snprintf(out, size, "pod %s %s %s %s%s", p->pod_uid, *p->container_id ? p->container_id : "-",
			 p->runtime, p->qos, p->monitor ? " monitor" : "");
		break;
	case OWNER_CONTAINER:
		snprintf(out, size, "container %s %s%s%s%s", *p->container_id ? p->container_id : p->name, p->runtime,
			 *p->pod_id ? " in " : "", p->pod_id, p->monitor ? " monitor" : "");
		break;
	case OWNER_UNIT:
		if (*p->container_id)
			snprintf(out, size, "unit %.*s %s %s", (int)p->unit_len, p->unit, p->container_id, p->runtime);
		else
			snprintf(out, size, "unit %.*s", (int)p->unit_len, p->unit);
		break;
	default:
		snprintf(out, size, "path");
	}
}

/* Bug: a container that nobody names, or one that is taken for another. */
static void test_paths(void **state)
{
	int failed = 0;

	(void)state;
	assert_true(sizeof(cases) / sizeof(*cases) >= 60);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cgroup_path parsed;
		char got[512];

		cgroup_path_parse(&parsed, cases[i].path);
		describe(got, sizeof(got), &parsed);
		if (strcmp(got, cases[i].want)) {
			print_error("%s (%s): got \"%s\", expected \"%s\"\n", cases[i].path, cases[i].source, got,
				    cases[i].want);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

/* Bug: reading or writing beyond a text, for any cut of any path (ASan tells). */
static void test_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t from = 0; from < strlen(cases[i].path); from++)
			for (size_t n = 0; from + n <= strlen(cases[i].path); n++) {
				char *path = strndup(cases[i].path + from, n);
				struct cgroup_path parsed;

				cgroup_path_parse(&parsed, path);
				assert_true(strlen(parsed.pod_uid) <= 36 && strlen(parsed.container_id) <= 64);
				free(path);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
