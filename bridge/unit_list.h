// SPDX-License-Identifier: MIT
/* unit_list: what is known of units, for people: --units and --forget.
 * Uses: bridge/base, bridge/outbox, bridge/units.
 * Not: write into an outbox. */
#ifndef T2M_UNIT_LIST_H
#define T2M_UNIT_LIST_H

/* Prints the units that the outbox in this directory knows, a line each, also while a bridge uses it. The exit code. */
int unit_list_print(const char *path);
/* Asks the bridge to forget the unit: at once if it runs, or at its next start. The exit code. */
int unit_list_forget(const char *path, const char *ident);

#endif
