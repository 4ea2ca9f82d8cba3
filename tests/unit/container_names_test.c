/* SPDX-License-Identifier: GPL-2.0-only */
/* names, group_name: files as the kubelet and the runtimes leave them, and as hostile ones would be -> labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

#define ID    "4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f"
#define ID2   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID   "6dd3a3e0-2f4b-4f0e-9b6a-0c3f5a1e7d42"
#define UID2  "ffffffff-1111-4222-8333-444444444444"
#define POD   "/kubepods/burstable/pod" UID
#define SLICE "/kubepods.slice/kubepods-pod6dd3a3e0_2f4b_4f0e_9b6a_0c3f5a1e7d42.slice"
#define TASK  "/run/containerd/io.containerd.runtime.v2.task/"

/* A root folder with the node's files. */
struct node {
	char root[64];
	struct container_names *names;
	struct group_naming naming;
};

static void put(struct node *node, const char *path, const char *text)
{
	char full[1024], *at;
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", node->root, path);
	for (at = full + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		mkdir(full, 0755);
		*at = '/';
	}
	if (!text) {
		mkdir(full, 0755);
		return;
	}
	file = fopen(full, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	struct node *node = calloc(1, sizeof(*node));

	strcpy(node->root, "/tmp/bpf_exporter_names_XXXXXX");
	assert_non_null(mkdtemp(node->root));
	node->names = container_names_new(node->root);
	node->naming.names = node->names;
	*state = node;
	return 0;
}

static int teardown(void **state)
{
	struct node *node = *state;
	char command[96];

	container_names_free(node->names);
	snprintf(command, sizeof(command), "rm -rf %s", node->root);
	free(node);
	return system(command);
}

/* The labels of a path; "(later)" when its name is not known yet. */
static const char *labels_of(struct node *node, const char *path, bool last)
{
	static char text[4][1024];
	static int turn;
	char *out = text[turn++ & 3];
	struct group_name name;

	container_names_new_poll(node->names);
	if (!group_name(&name, &node->naming, path, last)) {
		buffer_free(&name.labels);
		return "(later)";
	}
	snprintf(out, sizeof(text[0]), "%.*s", (int)name.labels.len, name.labels.data);
	buffer_free(&name.labels);
	return out;
}

#define assert_labels(node, path, want) assert_string_equal(labels_of(node, path, false), want)
#define assert_last(node, path, want) assert_string_equal(labels_of(node, path, true), want)

/* Bug: a pod's container without its names although the kubelet's links are there. */
static void test_kubelet(void **state)
{
	struct node *node = *state;

	assert_labels(node, POD "/" ID, "(later)");
	assert_labels(node, POD, "(later)");
	put(node, "/var/log/pods/shop_web-0_" UID, NULL);
	assert_labels(node, POD, "namespace=\"shop\",pod=\"web-0\"");
	assert_labels(node, POD "/" ID, "(later)"); /* its link comes when it has started */
	put(node, "/var/log/containers/web-0_shop_cart-" ID ".log", "");
	assert_labels(node, POD "/" ID, "namespace=\"shop\",pod=\"web-0\",container=\"cart\"");
	assert_labels(node, SLICE "/cri-containerd-" ID ".scope",
		      "namespace=\"shop\",pod=\"web-0\",container=\"cart\"");
	assert_labels(node, SLICE "/cri-containerd-" ID ".scope/system.slice/x.service",
		      "namespace=\"shop\",pod=\"web-0\",container=\"cart\"");
	/* nobody has a link for a sandbox: in the end it is its pod's */
	assert_labels(node, POD "/" ID2, "(later)");
	assert_last(node, POD "/" ID2, "namespace=\"shop\",pod=\"web-0\"");
	assert_labels(node, POD "/crio-conmon-" ID2, "namespace=\"shop\",pod=\"web-0\"");
	/* a static pod: its uid is a hash */
	put(node, "/var/log/pods/kube-system_etcd-node1_0123456789abcdef0123456789abcdef", NULL);
	assert_labels(node, "/kubepods/burstable/pod0123456789abcdef0123456789abcdef",
		      "namespace=\"kube-system\",pod=\"etcd-node1\"");
	assert_last(node, "/kubepods/pod" UID2 "/" ID2, "pod=\"" UID2 "\"");
}

/* Bug: the runtimes' state is not understood, or a sandbox is taken for a container. */
static void test_states(void **state)
{
	struct node *node = *state;

	put(node, TASK "k8s.io/" ID "/config.json",
	    "{\"annotations\": {\"io.kubernetes.cri.container-type\": \"container\","
	    "\"io.kubernetes.cri.container-name\": \"cart\", \"io.kubernetes.cri.sandbox-name\": \"web-0\","
	    "\"io.kubernetes.cri.sandbox-namespace\": \"shop\", \"io.kubernetes.cri.sandbox-uid\": \"" UID "\"}}");
	put(node, TASK "k8s.io/" ID2 "/config.json",
	    "{\"annotations\": {\"io.kubernetes.cri.container-type\": \"sandbox\","
	    "\"io.kubernetes.cri.sandbox-name\": \"web-0\", \"io.kubernetes.cri.sandbox-namespace\": \"shop\"}}");
	assert_labels(node, POD "/" ID, "namespace=\"shop\",pod=\"web-0\",container=\"cart\"");
	assert_labels(node, SLICE "/cri-containerd-" ID ".scope",
		      "namespace=\"shop\",pod=\"web-0\",container=\"cart\"");
	assert_labels(node, POD "/" ID2, "namespace=\"shop\",pod=\"web-0\"");
	/* the same state says nothing of another pod, and nothing of no pod */
	assert_labels(node, "/kubepods/pod" UID2 "/" ID, "(later)");
	assert_labels(node, "/k8s.io/" ID, "(later)");
	assert_last(node, "/k8s.io/" ID, "container=\"4e9f1c5b7a3d\"");

	put(node, "/run/containers/storage/overlay-containers/" ID2 "/userdata/config.json",
	    "{\"annotations\": {\"io.container.manager\": \"cri-o\", \"io.kubernetes.pod.name\": \"db-1\","
	    "\"io.kubernetes.pod.namespace\": \"shop\", \"io.kubernetes.container.name\": \"postgres\"}}");
	assert_labels(node, SLICE "/crio-" ID2 ".scope/container",
		      "namespace=\"shop\",pod=\"db-1\",container=\"postgres\"");
	put(node, "/run/containers/storage/overlay-containers/" ID2 "/userdata/config.json",
	    "{\"annotations\": {\"io.container.manager\": \"cri-o\", \"io.kubernetes.pod.name\": \"db-1\","
	    "\"io.kubernetes.pod.namespace\": \"shop\", \"io.kubernetes.container.name\": \"POD\"}}");
	assert_labels(node, SLICE "/crio-" ID2 ".scope", "namespace=\"shop\",pod=\"db-1\"");

	put(node, "/var/lib/containers/storage/overlay-containers/containers.json",
	    "[{\"id\": \"" ID2 "\", \"names\": [\"other\"]}, {\"id\": \"" ID "\", \"names\": [\"web1\", \"w\"]}]");
	assert_labels(node, "/machine.slice/libpod-" ID ".scope/container", "container=\"web1\"");
	assert_labels(node, "/machine.slice/libpod-conmon-" ID ".scope", "container=\"web1\"");
	assert_labels(node, "/libpod_parent/" ID2 "/libpod-" ID, "container=\"web1\"");
	put(node, "/var/lib/docker/containers/" ID "/config.v2.json", "{\"Name\": \"/web2\", \"Config\": {}}");
	assert_labels(node, "/docker/" ID, "container=\"web2\"");
	assert_labels(node, "/system.slice/docker-" ID ".scope", "container=\"web2\"");
	assert_labels(node, "/lxc.payload.db", "container=\"db\"");
	/* a name that does not fit is none, and not that of what is below (fuzzer) */
	assert_labels(node, "/lxc/" ID "x/docker/" ID, "container=\"web2\"");
	/* a user's own container: its unit, and its id, whatever root's runtimes say of that id */
	assert_labels(node, "/user.slice/user-1.slice/user@1.service/user.slice/libpod-" ID ".scope",
		      "unit=\"user@1.service\",container=\"4e9f1c5b7a3d\"");
	assert_labels(node, "/system.slice/nginx.service", "unit=\"nginx.service\"");
	assert_labels(node, "/a/b", "cgroup=\"/a/b\"");
	assert_labels(node, "/", "cgroup=\"/\"");
}

/* Bug: the cgroupfs driver's containers have no runtime, or that of somebody's container with the same id. */
static void test_kubelets_runtime(void **state)
{
	struct node *node = *state;
	struct cgroup_path at;

	put(node, "/var/lib/docker/containers/" ID "/config.v2.json", "{\"Name\": \"/web2\", \"Config\": {}}");
	cgroup_path_parse(&at, POD "/" ID);
	assert_string_equal(container_names_kubelets_runtime(node->names, &at), "");
	put(node, TASK "k8s.io/" ID "/config.json",
	    "{\"annotations\": {\"io.kubernetes.cri.container-type\": \"container\","
	    "\"io.kubernetes.cri.container-name\": \"cart\", \"io.kubernetes.cri.sandbox-name\": \"web-0\","
	    "\"io.kubernetes.cri.sandbox-namespace\": \"shop\", \"io.kubernetes.cri.sandbox-uid\": \"" UID "\"}}");
	assert_string_equal(container_names_kubelets_runtime(node->names, &at), "containerd");
	/* it is the kubelet's, so of all its containers, whose state may be gone already */
	cgroup_path_parse(&at, POD "/" ID2);
	assert_string_equal(container_names_kubelets_runtime(node->names, &at), "containerd");
}

/* Bug: a container of ctr's, whose id is any name, is a path; or any folder that is called like one is one. */
static void test_tasks(void **state)
{
	struct node *node = *state;

	put(node, TASK "default/c1/config.json", "{\"linux\": {\"cgroupsPath\": \"/default/c1\"}}");
	put(node, TASK "default/c2/config.json", "{\"linux\": {\"cgroupsPath\": \"/elsewhere/c2\"}}");
	put(node, TASK "default/config.json", "{\"linux\": {\"cgroupsPath\": \"/default/.\"}}");
	put(node, TASK "config.json", "{\"linux\": {\"cgroupsPath\": \"/default/..\"}}");
	assert_labels(node, "/default/c1", "container=\"c1\"");
	assert_labels(node, "/default/c1/below/it", "container=\"c1\"");
	assert_labels(node, "/default/c2", "cgroup=\"/default/c2\"");
	assert_labels(node, "/default/c", "cgroup=\"/default/c\"");
	assert_labels(node, "/default/c12", "cgroup=\"/default/c12\"");
	assert_labels(node, "/default/.", "cgroup=\"/default/.\"");
	assert_labels(node, "/default/..", "cgroup=\"/default/..\"");
	assert_labels(node, "/default", "cgroup=\"/default\"");
	assert_labels(node, "/", "cgroup=\"/\"");
	assert_labels(node, "/a/default/c1", "cgroup=\"/a/default/c1\"");
}

/* Bug: the capability to read what runtimes keep for root is given up, as nothing that is closed is there yet; or
 * kept where there is no runtime. A folder that is made later is out of reach, although its runtime was there. */
static void test_closed(void **state)
{
	struct node *node = *state;
	char place[128], want[128];

	assert_int_equal(container_names_try(node->root, false), 0);
	put(node, "/var/log/pods", NULL);
	put(node, "/var/log/containers", NULL);
	assert_int_equal(container_names_try(node->root, false), 0);
	for (size_t i = 0; i < container_names_nr_folders; i++) {
		const struct container_names_folder *folder = &container_names_folders[i];
		char path[128];

		container_names_place(folder, node->root, place, sizeof(place));
		snprintf(want, sizeof(want), "%s%s", node->root, folder->top);
		assert_string_equal(place, want);
		put(node, folder->top, NULL);
		container_names_place(folder, node->root, place, sizeof(place));
		assert_string_equal(place, want);
		assert_int_equal(container_names_try(node->root, false), folder->closed ? -EACCES : 0);
		assert_int_equal(container_names_try(node->root, true), 0);
		snprintf(path, sizeof(path), "%s%s", folder->top, folder->rest);
		put(node, path, NULL);
		container_names_place(folder, node->root, place, sizeof(place));
		snprintf(want, sizeof(want), "%s%s%s", node->root, folder->top, folder->rest);
		assert_string_equal(place, want);
	}
}

/* Bug: a name that is none becomes a label, a link lends another pod's name, a state file is followed out of its
 * place or breaks the reader. */
static void test_hostile(void **state)
{
	struct node *node = *state;
	char path[256];

	static const char *const folders[] = {
		"/var/log/pods/Shop_web-0_" UID,     "/var/log/pods/shop_web\"0_" UID,
		"/var/log/pods/_web-0_" UID,	     "/var/log/pods/shop__" UID,
		"/var/log/pods/shop_web_0_" UID,     "/var/log/pods/-shop_web-0_" UID,
		"/var/log/pods/shop_.._" UID,	     "/var/log/pods/shop_web-0_" UID "x",
		"/var/log/pods/shop_web\n0_" UID,    "/var/log/pods/shop_web-0_../../" UID,
	};
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		put(node, folders[i], NULL);
	assert_last(node, POD, "pod=\"" UID "\"");
	put(node, "/var/log/pods/shop_web-0_" UID, NULL);
	/* the link of an id must speak of the pod that has it */
	put(node, "/var/log/containers/other-0_shop_cart-" ID ".log", "");
	assert_labels(node, POD "/" ID, "(later)");
	put(node, "/var/log/containers/web-0_shop_CART-" ID ".log", "");
	assert_labels(node, POD "/" ID, "(later)");
	put(node, "/var/log/containers/web-0_shop_cart" ID ".log", "");
	assert_labels(node, POD "/" ID, "(later)");

	static const char *const texts[] = {
		"", "{", "[]", "null", "{\"Name\": 5}", "{\"Name\": null}", "{\"Name\": \"\"}", "{\"Name\": \"/\"}",
		"{\"Name\": {\"Name\": \"x\"}}", "{\"annotations\": []}", "\xff\xfe", "{\"Name\": \"\xff\"}",
		"{\"Name\": \"a\\u0000b\"}",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		put(node, "/var/lib/docker/containers/" ID2 "/config.v2.json", texts[i]);
		assert_last(node, "/docker/" ID2, "container=\"0123456789ab\"");
	}
	put(node, "/var/lib/docker/containers/" ID2 "/config.v2.json", "{\"Name\": \"/a\\\"} 1\\n\\u001b\"}");
	assert_last(node, "/docker/" ID2, "container=\"a\\\"} 1\\\\x0a\\\\x1b\"");
	/* a pod's labels in docker's words do not make a pod of a container */
	put(node, "/var/lib/docker/containers/" ID2 "/config.v2.json",
	    "{\"Name\": \"/x\", \"Config\": {\"Labels\": {\"io.kubernetes.pod.uid\": \"" UID "\","
	    "\"io.kubernetes.pod.name\": \"web-0\", \"io.kubernetes.pod.namespace\": \"shop\"}}}");
	assert_last(node, "/docker/" ID2, "container=\"0123456789ab\"");
	/* a file elsewhere */
	put(node, "/secret", "{\"Name\": \"/secret\"}");
	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/" ID2 "/config.v2.json", node->root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("../../../../../secret", path), 0);
	assert_last(node, "/docker/" ID2, "container=\"0123456789ab\"");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* and nobody waits for its writer */
	assert_last(node, "/docker/" ID2, "container=\"0123456789ab\"");
}

/* Bug: --cgroup.include, --cgroup.exclude or --labels.drop name the wrong ones. */
static void test_flags(void **state)
{
	struct node *node = *state;
	static const char *const shop[] = { "shop", "/a/*" }, *const ssh[] = { "ssh*.service" };

	put(node, "/var/log/pods/shop_web-0_" UID, NULL);
	put(node, "/var/log/containers/web-0_shop_cart-" ID ".log", "");
	node->naming.include = shop;
	node->naming.nr_include = 2;
	assert_labels(node, POD, "namespace=\"shop\",pod=\"web-0\"");
	assert_labels(node, "/a/b", "cgroup=\"/a/b\"");
	assert_labels(node, "/b", "cgroup=\"(other)\"");
	assert_labels(node, "/system.slice/shop.service", "cgroup=\"(other)\"");
	node->naming.nr_include = 0;
	node->naming.exclude = ssh;
	node->naming.nr_exclude = 1;
	assert_labels(node, "/system.slice/sshd.service", "cgroup=\"(other)\"");
	assert_labels(node, "/system.slice/nginx.service", "unit=\"nginx.service\"");
	node->naming.nr_exclude = 0;
	node->naming.drop = 1 << GROUP_LABEL_POD | 1 << GROUP_LABEL_UNIT;
	assert_labels(node, POD "/" ID, "namespace=\"shop\",container=\"cart\"");
	assert_labels(node, "/system.slice/nginx.service", "cgroup=\"(dropped)\"");
}

/* ---- with the fold ---- */

static struct world *world_with(struct node *node)
{
	struct world *w = world_new(TEST_OBJECTS "/fold.bpf.o", 10, true);

	w->naming = node->naming;
	return w;
}

/* As a poll does it: names and tree first, then the rows, then the rest. */
static void poll(struct world *w, const struct world_who *who, uint64_t value)
{
	uint64_t values[8] = { value };

	w->now_ns += WORLD_SECOND;
	world_walk(w);
	if (who)
		assert_int_equal(fold_row(world_table(w, "who_plain"), who, values), 0);
	fold_tick(w->fold, w->now_ns, true);
	world_must(!families_publish(w->families, w->store, 1000, NULL, 0), "publish");
}

/* What is shown: "family{labels} value", in one text. */
static char *shown(struct world *w)
{
	struct snapshot *snapshot = snapshot_acquire(w->store);
	struct buffer out = { 0 };

	render_text(&out, snapshot);
	buffer_add(&out, "", 1);
	snapshot_release(w->store, snapshot);
	return out.data;
}

#define assert_shown(w, text) \
	do { \
		char *_all = shown(w); \
		if (!strstr(_all, text)) \
			fail_msg("not shown: %s\n%s", text, _all); \
		free(_all); \
	} while (0)
#define assert_not_shown(w, text) \
	do { \
		char *_all = shown(w); \
		if (strstr(_all, text)) \
			fail_msg("shown: %s\n%s", text, _all); \
		free(_all); \
	} while (0)

/* Bug: a series that is shown before its name is known, and changes its labels; or counts of that time lost. */
static void test_late_name(void **state)
{
	struct node *node = *state;
	struct world *w = world_with(node);
	struct world_who who = world_who(world_cgroup(w, POD "/" ID), 7, "sh");

	world_process(w, 7, true);
	poll(w, &who, 5);
	assert_not_shown(w, "hits_total{");
	put(node, "/var/log/pods/shop_web-0_" UID, NULL);
	poll(w, &who, 6);
	assert_not_shown(w, "hits_total{");
	put(node, "/var/log/containers/web-0_shop_cart-" ID ".log", "");
	poll(w, &who, 9);
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{namespace=\"shop\",pod=\"web-0\",container=\"cart\"} 9\n");
	assert_shown(w, "ebpf_who_plain_hits_total{pid=\"7\",comm=\"sh\",namespace=\"shop\",pod=\"web-0\",container=\"cart\"} 9\n");
	assert_not_shown(w, "nameless");
	poll(w, &who, 10);
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{namespace=\"shop\",pod=\"web-0\",container=\"cart\"} 10\n");
	world_free(w);
}

/* Bug: a container that is gone before its name came is counted for nobody; one that nobody names waits for ever. */
static void test_gone_nameless(void **state)
{
	struct node *node = *state;
	struct world *w = world_with(node);
	struct world_who who = world_who(world_cgroup(w, POD "/" ID), 7, "sh"),
			 other = world_who(world_cgroup(w, "/docker/" ID2), 8, "sh");

	poll(w, &who, 5);
	poll(w, &other, 3);
	world_cgroup_gone(w, POD "/" ID);
	poll(w, &who, 5);
	assert_not_shown(w, "hits_total{");
	put(node, "/var/log/pods/shop_web-0_" UID, NULL);
	put(node, "/var/log/containers/web-0_shop_cart-" ID ".log", "");
	poll(w, &who, 5);
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{namespace=\"shop\",pod=\"web-0\",container=\"cart\"} 5\n");
	for (int i = 0; i < 30; i++)
		poll(w, &other, 4);
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{container=\"0123456789ab\"} 4\n");
	world_free(w);
}

/* Bug: a pod made anew goes on where one of the same name ended, or what that one counted is lost. */
static void test_new_uid(void **state)
{
	struct node *node = *state;
	struct world *w = world_with(node);
	struct world_who first = world_who(world_cgroup(w, POD), 0, ""), second;

	put(node, "/var/log/pods/shop_web-0_" UID, NULL);
	poll(w, &first, 5);
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{namespace=\"shop\",pod=\"web-0\"} 5\n");
	world_cgroup_gone(w, POD);
	put(node, "/var/log/pods/shop_web-0_" UID2, NULL);
	second = world_who(world_cgroup(w, "/kubepods/pod" UID2), 0, "");
	poll(w, &second, 1); /* the walk that meets the new one misses the old one */
	assert_not_shown(w, "hits_total{namespace=\"shop\",pod=\"web-0\"} 6\n");
	poll(w, &second, 2);
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{cgroup=\"(removed)\"} 5\n");
	poll(w, &second, 3);
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{namespace=\"shop\",pod=\"web-0\"} 3\n");
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{cgroup=\"(removed)\"} 5\n");
	/* the first pod's last words */
	poll(w, &first, 6);
	assert_shown(w, "ebpf_cgroup_who_plain_hits_total{cgroup=\"(removed)\"} 6\n");
	world_free(w);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_kubelet), T(test_kubelets_runtime), T(test_states), T(test_hostile), T(test_flags), T(test_tasks), T(test_closed),
					    T(test_late_name), T(test_gone_nameless), T(test_new_uid) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
