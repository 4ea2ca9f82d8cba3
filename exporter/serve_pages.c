/* SPDX-License-Identifier: GPL-2.0-only */
/* /health for machines, / for people. Both say what the collectors of the last poll said. */
#include <stdio.h>
#include <string.h>

#include "serve_parts.h"

static const struct {
	const char *health, *page;
} state_texts[] = {
	[COLLECTOR_UP] = { "ok", "up" },
	[COLLECTOR_PARTIAL] = { "degraded", "partial" },
	[COLLECTOR_DOWN] = { "failing", "down" },
	[COLLECTOR_OFF] = { "off", "off" },
};

/* The length of the valid UTF-8 character at `text`, 0 when it is none. NUL ends the text. */
static size_t utf8_len(const unsigned char *text)
{
	/* The second byte's range keeps out overlong forms, surrogates and what is past U+10FFFF.
	 */
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	len = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static void add_json(struct buffer *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	buffer_add(out, "\"", 1);
	while (*at) {
		size_t len = utf8_len(at);

		if (!len)
			buffer_add(out, "\\ufffd", 6);
		else if (*at == '"' || *at == '\\')
			buffer_printf(out, "\\%c", *at);
		else if (*at < ' ' || *at == 0x7f)
			buffer_printf(out, "\\u%04x", *at);
		else
			buffer_add(out, at, len);
		at += len ? len : 1;
	}
	buffer_add(out, "\"", 1);
}

static void add_time(struct buffer *out, const struct timespec *when)
{
	struct tm tm;
	char text[32];

	if (!gmtime_r(&when->tv_sec, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	buffer_printf(out, "%s.%03ldZ", text, when->tv_nsec / 1000000);
}

static enum health judge(const struct snapshot *snapshot, bool stale, const char **reason)
{
	bool up = false, trouble = false;

	*reason = "the first poll is not done";
	if (!snapshot)
		return HEALTH_FAILING;
	*reason = "the last poll is too old";
	if (stale)
		return HEALTH_FAILING;
	for (size_t i = 0; i < snapshot->nr_checks; i++) {
		enum collector_state state = snapshot->checks[i].state;

		/* A partial collector does count: it exports, only not everything. */
		up |= state == COLLECTOR_UP || state == COLLECTOR_PARTIAL;
		trouble |= state == COLLECTOR_PARTIAL || state == COLLECTOR_DOWN;
	}
	*reason = "no collector is up";
	if (!up)
		return HEALTH_FAILING;
	return trouble ? HEALTH_DEGRADED : HEALTH_OK;
}

static void add_privileges(struct buffer *out, const struct privilege_report *report)
{
	bool first = true;

	buffer_printf(out, ",\"privileges\":{\"user\":%u,\"capabilities\":", report->uid);
	if (report->dropped) {
		buffer_printf(out, "[");
		for (int i = 0; i < 64; i++) {
			const char *name =
				report->kept >> i & 1 ? privilege_capability_name(i) : NULL;

			if (name)
				buffer_printf(out, "%s\"%s\"", first ? "" : ",", name);
			first &= !name;
		}
		buffer_printf(out, "]");
	} else {
		buffer_printf(out, "\"all\"");
	}
	buffer_printf(out, ",\"no_new_privs\":%s,\"landlock\":%d,\"seccomp\":%s}",
		      report->no_new_privs ? "true" : "false", report->landlock,
		      report->seccomp ? "true" : "false");
}

enum health serve_health(struct buffer *out, const struct snapshot *snapshot, bool stale,
			 const struct privilege_report *privileges)
{
	static const char *const names[] = { "ok", "degraded", "failing" };
	const char *reason;
	enum health health = judge(snapshot, stale, &reason);

	buffer_printf(out, "{\"status\":\"%s\",", names[health]);
	if (health == HEALTH_FAILING)
		buffer_printf(out, "\"reason\":\"%s\",", reason);
	buffer_printf(out, "\"updated\":");
	if (snapshot) {
		buffer_add(out, "\"", 1);
		add_time(out, &snapshot->taken);
		buffer_add(out, "\"", 1);
	} else {
		buffer_printf(out, "null");
	}
	buffer_printf(out, ",\"checks\":{");
	for (size_t i = 0; snapshot && i < snapshot->nr_checks; i++) {
		const struct snapshot_check *check = &snapshot->checks[i];

		if (i)
			buffer_add(out, ",", 1);
		add_json(out, check->collector);
		buffer_printf(out, ":{\"status\":\"%s\"", state_texts[check->state].health);
		if (*check->reason) {
			buffer_printf(out, ",\"reason\":");
			add_json(out, check->reason);
		}
		buffer_add(out, "}", 1);
	}
	buffer_printf(out, "}");
	if (privileges)
		add_privileges(out, privileges);
	buffer_printf(out, "}\n");
	return health;
}

static void add_html(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			buffer_printf(out, "&amp;");
			break;
		case '<':
			buffer_printf(out, "&lt;");
			break;
		case '>':
			buffer_printf(out, "&gt;");
			break;
		case '"':
			buffer_printf(out, "&quot;");
			break;
		case '\'':
			buffer_printf(out, "&#39;");
			break;
		default:
			buffer_add(out, text, 1);
		}
	}
}

static void add_collectors(struct buffer *out, const struct snapshot *snapshot)
{
	buffer_printf(out, "<p>Last poll: ");
	add_time(out, &snapshot->taken);
	buffer_printf(out, "</p>\n<table>\n"
			   "<tr><th>Collector</th><th>State</th><th>Reason</th></tr>\n");
	for (size_t i = 0; i < snapshot->nr_checks; i++) {
		const struct snapshot_check *check = &snapshot->checks[i];

		buffer_printf(out, "<tr><td>");
		add_html(out, check->collector);
		buffer_printf(out, "</td><td>%s</td><td>", state_texts[check->state].page);
		add_html(out, check->reason);
		buffer_printf(out, "</td></tr>\n");
	}
	buffer_printf(out, "</table>\n");
}

void serve_page(struct buffer *out, const struct snapshot *snapshot, const char *version,
		const char *telemetry_path)
{
	buffer_printf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			   "<title>bpf_exporter</title>\n"
			   "<style>body{font-family:sans-serif;margin:2em}"
			   "td,th{padding:.2em 1em .2em 0;text-align:left}</style>\n"
			   "</head>\n<body>\n<h1>bpf_exporter ");
	add_html(out, version);
	buffer_printf(out,
		      "</h1>\n<p>Metrics of this machine's kernel for Prometheus, counted by eBPF "
		      "programs.</p>\n<ul>\n<li><a href=\"");
	add_html(out, telemetry_path);
	buffer_printf(out, "\">Metrics</a></li>\n"
			   "<li><a href=\"/health\">Health</a></li>\n"
			   "<li><a href=\"/-/healthy\">Alive</a></li>\n"
			   "<li><a href=\"/-/ready\">Ready</a></li>\n</ul>\n");
	if (snapshot)
		add_collectors(out, snapshot);
	else
		buffer_printf(out, "<p>The first poll is not done.</p>\n");
	buffer_printf(out, "</body>\n</html>\n");
}
