// SPDX-License-Identifier: MIT
/* scripts: what the registry does in one step: Lua that Redis or Valkey runs without anything between.
 * Uses: nothing else.
 * Not: call the registry.
 *
 * Keys, behind the name of the fleet and a colon:
 *   alive:<instance>  the run of the instance that has the name; ends with its lease
 *   instances         instances of which something is left
 *   router            instance and run of the one that takes commands; ends with its lease
 *   cut               the router has no broker: another one may take its place; ends with the lease
 *   epoch             since when the registry has data: shortly after it, claims may still be missing
 *   unit:<ident>      inst, claim (only grows), since (its connection), online, prev (the one before inst);
 *                     note, newest: what is known of it
 *   tables            the tables of keys that notes refer to
 *   units:<instance>  idents that it holds
 *   gone:<instance>   idents of dead instances, which this one, the router, is to tell as off line
 *   inbox:<instance>  stream: cmd <id>; moved <ident> claim <number> to <instance>; note <ident> newest <ms> bytes <note>;
 *                     answer <ident> and what the unit says
 *   cmd:<id>          a command until its end: what was published, owner, state (wait: until claims are complete; inbox, taken, held, ending); fate: how
 *                     it is to end; end, endto, endwith: how it ends, until that is safe
 *   open:<instance>   ids of commands of which it is the owner
 *   hold:<ident>      ids of commands that wait for the unit; held: all of them by their expiry
 *   done:<id>         a command that has ended, for a while
 *   seen:<number>     the broker's packet identifier: what came under it last; seen:=<sum> of a command that has a name of its own
 * A command is executed by the one that moves it from inbox to taken, and told by the one that makes it ending. */
#ifndef T2M_SCRIPTS_H
#define T2M_SCRIPTS_H

enum script {
	SCRIPT_RENEW = 0,
	SCRIPT_LEAVE,
	SCRIPT_CLAIM,
	SCRIPT_RELEASE,
	SCRIPT_ROUTE,
	SCRIPT_TAKE,
	SCRIPT_PASS,
	SCRIPT_HOLD,
	SCRIPT_FINISH,
	SCRIPT_CONFIRM,
	SCRIPT_DROP,
	SCRIPT_EXPIRE,
	SCRIPT_BURY,
	SCRIPT_GONE,
	SCRIPT_SWEEP,
	SCRIPT_TOLD,
	SCRIPT_LEFT,
	SCRIPT_NOTE,
	SCRIPT_TABLES,
	SCRIPT_DATES,
	SCRIPT_ANSWER,
	/* must stay last */
	SCRIPT_COUNT
};

/* The text for EVAL, without KEYS, so that a login may be limited to the fleet's keys. ARGV: the name of the fleet, for how many ms after the epoch claims
 * may be missing, then what scripts.c says. */
const char *script_text(enum script script);

#endif
