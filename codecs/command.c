/* command: checking; see command.h. */
#include "command.h"

const char *command_check(const struct command *command, size_t max)
{
	if (command->text.len == 0)
		return "empty command; send what stands between *XX,<ident>, and #, for example S32,000000,1";
	if (command->text.len > max)
		return "command too long for this protocol";
	for (size_t i = 0; i < command->text.len; i++) {
		uint8_t c = command->text.ptr[i];
		if (c == '*' || c == '#' || c == '$')
			return "the characters * # $ delimit frames and are not allowed in a command";
		if (c < 0x20 || c == 0x7f)
			return "control characters are not allowed in a command";
		if (c > 0x7f)
			return "only ASCII characters are allowed in a command";
	}
	return NULL;
}

void command_token_copy(char *to, size_t size, struct span from)
{
	size_t n = from.len < size - 1 ? from.len : size - 1;
	if (n > 0)
		memcpy(to, from.ptr, n);
	to[n] = '\0';
}
