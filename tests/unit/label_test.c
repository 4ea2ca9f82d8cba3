/* SPDX-License-Identifier: GPL-2.0-only */
/* label: bytes chosen by whoever names a process or a cgroup -> text that stays one valid label. */
#include "objects.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "group_name.h"
#include "label_cgroup.h"
#include "render.h"
#include "series.h"

/* ---- label_add ---- */

struct text_case {
	const char *what, *value;
	size_t len;
	const char *want; /* between the quotes; NULL: no label at all */
};

#define V(text) text, sizeof(text) - 1

static const struct text_case text_cases[] = {
	{ "plain", V("nginx"), "nginx" },
	{ "empty adds nothing", V(""), NULL },
	{ "a quote ends the label early", V("a\"b"), "a\\\"b" },
	{ "a backslash escapes the closing quote", V("a\\"), "a\\\\" },
	{ "a newline begins another sample", V("a\nb 1"), "a\\\\x0ab 1" },
	{ "carriage return and tab", V("\r\t"), "\\\\x0d\\\\x09" },
	{ "NUL inside", V("a\0b"), "a\\\\x00b" },
	{ "escape sequences for terminals", V("\x1b[2J"), "\\\\x1b[2J" },
	{ "DEL", V("\x7f"), "\\\\x7f" },
	{ "C1 control U+0085, a newline to some", V("\xc2\x85"), "\\\\xc2\\\\x85" },
	{ "C1 control U+0080", V("\xc2\x80"), "\\\\xc2\\\\x80" },
	{ "C1 control U+009f", V("\xc2\x9f"), "\\\\xc2\\\\x9f" },
	{ "U+00a0 is none", V("\xc2\xa0"), "\xc2\xa0" },
	{ "two bytes", V("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f" },
	{ "three bytes", V("\xe2\x82\xac"), "\xe2\x82\xac" },
	{ "four bytes", V("\xf0\x9f\x90\x9d"), "\xf0\x9f\x90\x9d" },
	{ "the last code point, U+10ffff", V("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf" },
	{ "beyond it", V("\xf4\x90\x80\x80"), "\\\\xf4\\\\x90\\\\x80\\\\x80" },
	{ "0xf5 begins nothing", V("\xf5\x80\x80\x80"), "\\\\xf5\\\\x80\\\\x80\\\\x80" },
	{ "Latin-1", V("gr\xfc\xdf"), "gr\\\\xfc\\\\xdf" },
	{ "0xff", V("\xff"), "\\\\xff" },
	{ "a continuation alone", V("\x80" "a"), "\\\\x80a" },
	{ "overlong slash", V("\xc0\xaf"), "\\\\xc0\\\\xaf" },
	{ "overlong quote", V("\xc0\xa2"), "\\\\xc0\\\\xa2" },
	{ "overlong NUL", V("\xc1\x80"), "\\\\xc1\\\\x80" },
	{ "overlong, three bytes", V("\xe0\x9f\xbf"), "\\\\xe0\\\\x9f\\\\xbf" },
	{ "overlong, four bytes", V("\xf0\x8f\xbf\xbf"), "\\\\xf0\\\\x8f\\\\xbf\\\\xbf" },
	{ "the first of three bytes that is not", V("\xe0\xa0\x80"), "\xe0\xa0\x80" },
	{ "surrogate, low end", V("\xed\xa0\x80"), "\\\\xed\\\\xa0\\\\x80" },
	{ "surrogate, high end", V("\xed\xbf\xbf"), "\\\\xed\\\\xbf\\\\xbf" },
	{ "just below the surrogates", V("\xed\x9f\xbf"), "\xed\x9f\xbf" },
	{ "cut after one of two", V("a\xc3"), "a\\\\xc3" },
	{ "cut after two of three", V("\xe2\x82"), "\\\\xe2\\\\x82" },
	{ "cut after three of four", V("\xf0\x9f\x90"), "\\\\xf0\\\\x9f\\\\x90" },
	{ "a sequence that a quote interrupts", V("\xe2\x82\""), "\\\\xe2\\\\x82\\\"" },
	{ "16 bytes", V("0123456789abcdef"), "0123456789abcdef" },
};

/* Bug: a name that ends its label, forges another, or makes the scrape invalid UTF-8. */
static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(text_cases) / sizeof(*text_cases); i++) {
		const struct text_case *c = &text_cases[i];
		char *value = malloc(c->len + 1); /* exactly: ASan sees a read beyond it */
		char want[256] = "";
		struct buffer out = { 0 };

		value = realloc(value, c->len ? c->len : 1);
		memcpy(value, c->value, c->len);
		label_add(&out, "comm", value, c->len);
		buffer_add(&out, "", 1);
		if (c->want)
			snprintf(want, sizeof(want), "comm=\"%s\"", c->want);
		if (strcmp(out.data, want))
			fail_msg("%s: got %s, expected %s", c->what, out.data, want);
		buffer_free(&out);
		free(value);
	}
}

/* Bug: a comma too many or too few. */
static void test_commas(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	label_add(&out, "a", "", 0);
	label_add(&out, "b", "1", 1);
	label_add(&out, "c", "", 0);
	label_add(&out, "d", "2", 1);
	buffer_add(&out, "", 1);
	assert_string_equal(out.data, "b=\"1\",d=\"2\"");
	buffer_free(&out);
}

/* ---- kinds ---- */

static const char *decoded(const struct label *label, const void *key)
{
	static char text[256];
	struct buffer out = { 0 };

	label->kind->decode(label, key, &out);
	snprintf(text, sizeof(text), "%.*s", (int)out.len, out.data ? out.data : "");
	buffer_free(&out);
	return text;
}

struct kind_case {
	const char *label;
	int64_t value;
	const char *want;
};

/* Bug: wrong byte order, sign, width or name of a value; a crash on one that nobody foresaw. */
static void test_kinds(void **state)
{
	static const struct kind_case cases[] = {
		{ "pid", 1, "1" }, { "pid", -1, "-1" }, { "pid", 4194304, "4194304" },
		{ "interface", 1000000, "1000000" }, { "interface", 0, "0" },
		{ "interface", 0xffffffff, "4294967295" },
		{ "errno", 111, "ECONNREFUSED" }, { "errno", -111, "ECONNREFUSED" }, { "errno", 0, "none" },
		{ "errno", 133, "EHWPOISON" }, { "errno", 134, "unknown_134" }, { "errno", 512, "unknown_512" },
		{ "errno", 4096, "aborted" }, { "errno", 4097, "other" },
		{ "errno", INT_MAX, "unknown_2147483647" }, { "errno", INT_MIN, "unknown_2147483648" },
		{ "signal", 15, "TERM" }, { "signal", 0, "none" }, { "signal", 9, "KILL" },
		{ "signal", 40, "unknown_40" }, { "signal", 0xffffffff, "unknown_-1" },
		{ "color", 0, "none" }, { "color", 5, "red" }, { "color", 7, "blue" }, { "color", -1, "bad" },
		{ "color", 6, "unknown_6" }, { "color", -2, "unknown_-2" },
		{ "large", INT64_MIN, "-9223372036854775808" }, { "large", INT64_MAX, "9223372036854775807" },
		{ "port", 0x5000, "80" }, { "port", 0xffff, "65535" }, { "port", 0, "0" },
		{ "small", 0xffff, "65535" }, { "tiny", -128, "-128" }, { "tiny", 127, "127" },
		{ "flag", 1, "1" }, { "device", 0, "none" }, { "device", 8 << 20 | 1, "8:1" },
		{ "device", 0xffffffff, "4095:1048575" }, { "peer4", 0x0100007f, "127.0.0.1" },
		{ "peer4", 0xffffffff, "255.255.255.255" }, { "interface", 1, "lo" },
	};
	struct schema schema;
	struct bpf_object *object = object_schema("good", &schema);
	const struct table *all = table_named(&schema, "all");

	(void)state;
	label_set_sysfs("/nonexistent");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned char key[96];
		const struct label *label = all->labels;

		memset(key, 0xa5, sizeof(key)); /* what lies beside must not matter */
		while (strcmp(label->name, cases[i].label))
			assert_true(++label < all->labels + all->nr_labels);
		memcpy(key + label->offset, &cases[i].value, label->size);
		if (strcmp(decoded(label, key), cases[i].want))
			fail_msg("%s %lld: got %s, expected %s", label->name, (long long)cases[i].value,
				 decoded(label, key), cases[i].want);
	}
	schema_free(&schema);
	bpf_object__close(object);
}

/* Bug: text that runs on behind an array without NUL; an address of the wrong family. */
static void test_arrays(void **state)
{
	struct schema schema;
	struct bpf_object *object = object_schema("good", &schema);
	const struct label *labels = table_named(&schema, "all")->labels;
	unsigned char key[96] = { 0 };

	(void)state;
	memset(key + labels[1].offset, 'x', 16);
	memset(key + labels[2].offset, 0x20, 16);
	assert_string_equal(decoded(&labels[1], key), "xxxxxxxxxxxxxxxx");
	assert_string_equal(decoded(&labels[2], key), "2020:2020:2020:2020:2020:2020:2020:2020");
	memset(key + labels[2].offset, 0, 16);
	assert_string_equal(decoded(&labels[2], key), "::");
	key[labels[2].offset + 10] = key[labels[2].offset + 11] = 0xff;
	key[labels[2].offset + 12] = 127;
	assert_string_equal(decoded(&labels[2], key), "::ffff:127.0.0.0");
	memcpy(key + labels[10].offset, "0123456789ab", 12);
	assert_string_equal(decoded(&labels[10], key), "0123456789ab");
	memcpy(key + labels[10].offset, "ab\0d", 4);
	assert_string_equal(decoded(&labels[10], key), "ab");
	assert_string_equal(decoded(&labels[0], key), "0"); /* label_cgroup.c knows better */
	schema_free(&schema);
	bpf_object__close(object);
}

/* Bug: a disk by its number although sysfs names it; a path instead of a name. */
static void test_disk_name(void **state)
{
	char dir[] = "/tmp/bpf_exporter_label_XXXXXX", path[128], command[160];
	struct schema schema;
	struct bpf_object *object = object_schema("good", &schema);
	const struct label *label = &table_named(&schema, "all")->labels[5];
	unsigned char key[96] = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "mkdir -p %s/dev/block", dir);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/dev/block/259:3", dir);
	assert_int_equal(symlink("../../devices/pci0000:00/nvme0n1/nvme0n1p3", path), 0);
	label_set_sysfs(dir);
	memcpy(key + label->offset, &(uint32_t){ 259 << 20 | 3 }, 4);
	assert_string_equal(decoded(label, key), "nvme0n1p3");
	memcpy(key + label->offset, &(uint32_t){ 259 << 20 | 4 }, 4);
	assert_string_equal(decoded(label, key), "259:4");
	label_set_sysfs("/sys");
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	schema_free(&schema);
	bpf_object__close(object);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256], *slash;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* Bug: an interrupt's number off by one, no name where the kernel has one, a series for each of thousands. */
static void test_irq_name(void **state)
{
	const struct label label = { .size = 4, .kind = label_kind_named("irq_t") };
	char dir[] = "/tmp/bpf_exporter_label_XXXXXX", name[64], text[64];
	uint32_t key = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_file(dir, "kernel/irq/0/actions", "timer\n");
	write_file(dir, "kernel/irq/17/actions", "i801_smbus,ehci_hcd:usb1\n");
	write_file(dir, "kernel/irq/18/actions", "\n"); /* nobody asked for it */
	write_file(dir, "kernel/irq/18/chip_name", "IO-APIC\n");
	label_set_sysfs(dir);
	assert_string_equal(decoded(&label, &key), "other");
	key = 1;
	assert_string_equal(decoded(&label, &key), "timer");
	key = 18;
	assert_string_equal(decoded(&label, &key), "i801_smbus,ehci_hcd:usb1");
	key = 19;
	assert_string_equal(decoded(&label, &key), "IO-APIC");
	key = 20;
	assert_string_equal(decoded(&label, &key), "irq19");
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "kernel/irq/%u/actions", 1000 + i);
		snprintf(text, sizeof(text), "queue%u\n", i);
		write_file(dir, name, text);
		key = 1001 + i;
		text[strlen(text) - 1] = 0;
		assert_string_equal(decoded(&label, &key), i < 60 ? text : "other");
	}
	key = 1; /* those that have a name keep it */
	assert_string_equal(decoded(&label, &key), "timer");
	label_set_sysfs("/sys");
	snprintf(name, sizeof(name), "rm -rf %s", dir);
	assert_int_equal(system(name), 0);
}

/* ---- all the way to the text ---- */

/* A parser of the text format, as strict as Prometheus': the value of label `name` of the one sample. */
static int parse_label(const char *line, const char *name, char *value)
{
	const char *at = strchr(line, '{') + 1;

	for (;;) {
		size_t len = strcspn(at, "=");
		bool wanted = len == strlen(name) && !strncmp(at, name, len);
		char *out = value;

		at += len + 1;
		assert_int_equal(*at++, '"');
		for (; *at != '"'; at++) {
			char c = *at;

			assert_true(c && c != '\n');
			if (c == '\\') {
				at++;
				assert_non_null(strchr("\\\"n", *at));
				c = *at == 'n' ? '\n' : *at;
			}
			*out++ = c;
		}
		*out = 0;
		at++;
		if (wanted)
			return 0;
		if (*at++ != ',')
			return -1;
	}
}

/* Bug: a process that calls itself `x"} 1\nforged 2` forges a sample. */
static void test_forged_sample(void **state)
{
	static const char *const names[] = { "x\"} 1\nforged 2", "\\\"} 1\n#", "\\", "\n", "{", "}",
					     "# TYPE a b\n", "\\n\\\"\n\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct families *families = families_new();
		struct family *family = families_add(families, "ebpf_x_total", "Help \\ \n# TYPE y z.",
						     METRIC_COUNTER, 0, LEVEL_OTHER);
		struct snapshot_store *store = snapshot_store_new();
		struct buffer labels = { 0 }, out = { 0 };
		static const struct group_naming naming;
		char path[64], got[128], *line;
		struct group_name group;
		int samples = 0;

		label_add(&labels, "comm", names[i], strlen(names[i]));
		snprintf(path, sizeof(path), "/%s", names[i]);
		assert_true(group_name(&group, &naming, path, true));
		buffer_add(&labels, ",", 1);
		buffer_add(&labels, group.labels.data, group.labels.len);
		buffer_free(&group.labels);
		family_series(family, labels.data, labels.len)->value = 42;
		assert_int_equal(families_publish(families, store, 10, NULL, 0), 0);
		render_text(&out, snapshot_acquire(store));
		buffer_add(&out, "", 1);
		for (line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n")) {
			if (*line == '#')
				continue;
			samples++;
			assert_int_equal(strncmp(line, "ebpf_x_total{comm=\"", 19), 0);
			assert_string_equal(strrchr(line, '}'), "} 42");
			assert_int_equal(parse_label(line, "comm", got), 0);
			if (!strchr(names[i], '\n'))
				assert_string_equal(got, names[i]);
			assert_int_equal(parse_label(line, "cgroup", got), 0);
		}
		assert_int_equal(samples, 1);
		buffer_free(&labels);
		buffer_free(&out);
		families_free(families);
		snapshot_store_free(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	 cmocka_unit_test(test_commas),
		cmocka_unit_test(test_kinds),	 cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_disk_name), cmocka_unit_test(test_irq_name),
		cmocka_unit_test(test_forged_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
