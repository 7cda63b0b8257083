// SPDX-License-Identifier: MIT
/* gbk: GBK text, as Chinese units send it, to UTF-8, through the C library's iconv.
 * Uses: codecs/record; <iconv.h>.
 * Not: know any protocol. */
#ifndef T2M_GBK_H
#define T2M_GBK_H

#include "codecs/record/bytes.h"

/* Opens the converter, once, at the start. false: the system has none; texts then stay as they are. */
bool gbk_open(void);
void gbk_close(void);
/* Writes the text as UTF-8; nothing when it is no GBK or does not fit. */
void gbk_to_utf8(struct span text, struct writer *out);

#endif
