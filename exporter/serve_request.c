/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>
#include <strings.h>

#include "serve_parts.h"

struct reading {
	struct request *request;
	unsigned int lengths;
	int gzip, any; /* -1 not named, 0 refused, 1 accepted */
};

static size_t trim(const char **text, size_t len)
{
	while (len && (**text == ' ' || **text == '\t')) {
		(*text)++;
		len--;
	}
	while (len && ((*text)[len - 1] == ' ' || (*text)[len - 1] == '\t'))
		len--;
	return len;
}

/* Whether the parameters after a coding leave it a weight: "q=0", "q=0.", "q=0.000" do not. */
static int has_weight(const char *params, size_t len)
{
	len = trim(&params, len);
	if (len < 3 || strncasecmp(params, "q=", 2))
		return 1;
	for (size_t i = 2; i < len && params[i] != ';' && params[i] != ' '; i++)
		if (params[i] >= '1' && params[i] <= '9')
			return 1;
	return 0;
}

static void read_codings(struct reading *reading, const char *value)
{
	while (*value) {
		size_t item = strcspn(value, ","), len = strcspn(value, ",;");
		const char *name = value;
		int accepted = len < item ? has_weight(value + len + 1, item - len - 1) : 1;

		len = trim(&name, len);
		if ((len == 4 && !strncasecmp(name, "gzip", 4)) ||
		    (len == 6 && !strncasecmp(name, "x-gzip", 6)))
			reading->gzip = accepted;
		else if (len == 1 && *name == '*')
			reading->any = accepted;
		value += item;
		value += *value == ',';
	}
}

static enum MHD_Result read_header(void *arg, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	struct reading *reading = arg;

	(void)kind;
	if (!value)
		value = "";
	for (const char *c = value; *c; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			reading->request->malformed = true;

	if (!strcasecmp(name, "Content-Length")) {
		reading->lengths++;
		if (strcmp(value, "0"))
			reading->request->body = true;
	} else if (!strcasecmp(name, "Transfer-Encoding")) {
		reading->lengths++;
		reading->request->body = true;
	} else if (!strcasecmp(name, "Accept-Encoding")) {
		read_codings(reading, value);
	}
	return MHD_YES;
}

void serve_read_request(struct MHD_Connection *connection, struct request *request)
{
	struct reading reading = { .request = request, .gzip = -1, .any = -1 };

	*request = (struct request){ 0 };
	MHD_get_connection_values(connection, MHD_HEADER_KIND, read_header, &reading);
	if (reading.lengths > 1)
		request->malformed = true;
	request->gzip = reading.gzip >= 0 ? reading.gzip : reading.any > 0;
}
