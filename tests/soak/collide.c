// SPDX-License-Identifier: MIT
/* collide: numbers of 20 digits whose hash, as uthash computes it without a key (Bob Jenkins' function), agrees in its low 16 bits.
 * usage: collide COUNT: one a line. 12 digits are fixed for a round, the other eight are tried: what they add to the state is
 * looked up, so a round of 100 million numbers, of which some 1,500 are taken, lasts a fraction of a second. */
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define DIGITS 20
#define WORDS 10000 /* of four digits */

static unsigned word[WORDS];

static unsigned last_bits(unsigned i, unsigned j, unsigned k)
{
	HASH_JEN_MIX(i, j, k);
	return k & 0xffff;
}

int main(int argc, char **argv)
{
	static unsigned short bits[WORDS];
	unsigned want = argc > 1 ? (unsigned)atoi(argv[1]) : 0, found = 0;
	char id[DIGITS + 1];
	for (unsigned n = 0; n < WORDS; n++)
		word[n] = ('0' + n / 1000) | ('0' + n / 100 % 10) << 8 | ('0' + n / 10 % 10) << 16 |
			  ('0' + n % 10) << 24;
	for (unsigned round = 0; found < want && round < 1000; round++) {
		unsigned i = 0x9e3779b9u, j = 0x9e3779b9u, k = 0xfeedbeefu, hash;
		unsigned head[3] = {7000, 1000 + round, 4711};
		i += word[head[0]], j += word[head[1]], k += word[head[2]];
		HASH_JEN_MIX(i, j, k);
		k += DIGITS;
		for (unsigned x = 0; x < WORDS && found < want; x++) {
			for (unsigned y = 0; y < WORDS; y++)
				bits[y] = (unsigned short)last_bits(i + word[x], j + word[y], k);
			for (unsigned y = 0; y < WORDS && found < want; y++) {
				if (bits[y] != 0x155)
					continue;
				snprintf(id, sizeof(id), "%04u%04u%04u%04u%04u", head[0], head[1], head[2], x,
					y);
				HASH_JEN(id, DIGITS, hash);
				if ((hash & 0xffff) != 0x155) {
					fprintf(stderr, "uthash computes it otherwise\n");
					return 1;
				}
				puts(id);
				found++;
			}
		}
	}
	return found == want ? 0 : 1;
}
