// SPDX-License-Identifier: MIT
/* scripts: see scripts.h. */
#include "bridge/cluster/scripts.h"

/* What each script begins with. */
#define COMMON                                                                                                 \
	"local P = table.remove(ARGV, 1) .. ':'\n"                                                             \
	"local clock = redis.call('TIME')\n"                                                                   \
	"local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)\n"                      \
	"local SETTLE = tonumber(table.remove(ARGV, 1))\n"                                                     \
	"local function text(n) return string.format('%.0f', n) end\n"                                         \
	"local function holder_of(ident)\n"                                                                    \
	" local u = redis.call('HMGET', P .. 'unit:' .. ident, 'inst', 'online')\n"                            \
	" if u[1] and u[2] == '1' and redis.call('EXISTS', P .. 'alive:' .. u[1]) == 1 then return u[1] end\n" \
	" return nil\n"                                                                                        \
	"end\n"                                                                                                \
	"-- where it cannot be given, it stays what it was\n"                                                  \
	"local function give(id, inst)\n"                                                                      \
	" redis.call('XADD', P .. 'inbox:' .. inst, 'MAXLEN', '~', 200000, '*', 'cmd', id)\n"                  \
	" redis.call('SADD', P .. 'open:' .. inst, id)\n"                                                      \
	" redis.call('HSET', P .. 'cmd:' .. id, 'state', 'inbox', 'owner', inst)\n"                            \
	"end\n"                                                                                                \
	"-- a stranger's unit is forgotten soon: anybody can make up idents\n"                                 \
	"local function keep(key, trusted, long, short)\n"                                                     \
	" redis.call('PEXPIRE', key, trusted == '1' and long or short)\n"                                      \
	"end\n"                                                                                                \
	"local function kept(id)\n"                                                                            \
	" local c = redis.call('HMGET', P .. 'cmd:' .. id, 'ident', 'topic', 'payload', 'retained', "          \
	"'response', 'correlation', 'expiry', 'at', 'responds')\n"                                             \
	" for i = 1, 9 do c[i] = c[i] or '' end\n"                                                             \
	" c[10] = id\n"                                                                                        \
	" c[11] = text(now)\n"                                                                                 \
	" return c\n"                                                                                          \
	"end\n"                                                                                                \
	"local function left(id)\n"                                                                            \
	" local c = redis.call('HMGET', P .. 'cmd:' .. id, 'state', 'fate', 'end', 'endto', 'endwith')\n"      \
	" return {kept(id), c[1] or '', c[2] or '', c[3] or '', c[4] or '', c[5] or ''}\n"                     \
	"end\n"

static const char *const scripts[] = {
	/* The lease of an instance, and of the router: ARGV inst, run, lease in ms, may it be the router (0: no, 1: yes, 2: only until another one may, for it
	 * has no broker).
	 * Returns other, or ok, was the lease over (0, 1), is it the router (0, 1), are claims complete (0, 1), how many tables there are. */
	[SCRIPT_RENEW] = COMMON
	"local inst, run, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])\n"
	"local alive = redis.call('GET', P .. 'alive:' .. inst)\n"
	"if alive and alive ~= run then return {'other'} end\n"
	"redis.call('SET', P .. 'alive:' .. inst, run, 'PX', lease)\n"
	"redis.call('SADD', P .. 'instances', inst)\n"
	"redis.call('SETNX', P .. 'epoch', text(now))\n"
	"local me, router, mine = inst .. '|' .. run, redis.call('GET', P .. 'router'), 0\n"
	"if ARGV[4] == '0' and router == me then\n"
	" redis.call('DEL', P .. 'router')\n"
	"elseif ARGV[4] == '1' and router and router ~= me and redis.call('EXISTS', P .. 'cut') == 1 "
	"then\n"
	" local gone = P .. 'gone:' .. router:match('^(.*)|')\n"
	" redis.call('SUNIONSTORE', P .. 'gone:' .. inst, P .. 'gone:' .. inst, gone)\n"
	" redis.call('DEL', gone)\n"
	" router = me\n"
	"end\n"
	"if ARGV[4] == '1' and not router or ARGV[4] ~= '0' and router == me then\n"
	" redis.call('SET', P .. 'router', me, 'PX', lease)\n"
	" if ARGV[4] == '2' then redis.call('SET', P .. 'cut', '1', 'PX', lease) else redis.call('DEL', P .. "
	"'cut') end\n"
	" mine = 1\n"
	"end\n"
	"local age = now - tonumber(redis.call('GET', P .. 'epoch'))\n"
	"return {'ok', alive and 0 or 1, mine, age > lease and 1 or 0, redis.call('HLEN', P .. "
	"'tables')}\n",
	/* An instance stops: ARGV inst, run. */
	[SCRIPT_LEAVE] = COMMON "if redis.call('GET', P .. 'router') == ARGV[1] .. '|' .. ARGV[2] then "
				"redis.call('DEL', P .. 'router') end\n"
				"if redis.call('GET', P .. 'alive:' .. ARGV[1]) == ARGV[2] then "
				"redis.call('DEL', P .. 'alive:' .. ARGV[1]) end\n"
				"return {'ok'}\n",
	/* A unit speaks: ARGV ident, inst, ms since its connection began, the claim that inst has (0: none), is it trusted (0, 1), is its note wanted in any
	 * case (0, 1). Returns mine, claim, the instance before (empty: none, or this one), the newest date, the note, is there one (0, 1), does the
	 * instance before send one after it (0, 1); or lost, claim, the instance that has it. */
	[SCRIPT_CLAIM] = COMMON
	"local ident, inst, since, known = ARGV[1], ARGV[2], now - tonumber(ARGV[3]), ARGV[4]\n"
	"local key = P .. 'unit:' .. ident\n"
	"local u = redis.call('HMGET', key, 'inst', 'claim', 'since', 'online')\n"
	"local holder, claim = u[1], tonumber(u[2] or '0') or 0\n"
	"if holder == inst and known ~= '0' and u[2] == known then\n"
	" redis.call('HSET', key, 'online', '1', 'trusted', ARGV[5]) keep(key, ARGV[5], "
	"31536000000, 86400000)\n"
	" redis.call('SADD', P .. 'units:' .. inst, ident)\n"
	" return {'mine', known, '', '0', '', redis.call('HEXISTS', key, 'note')}\n"
	"end\n"
	"local fresh = known == '0' and tonumber(ARGV[3]) < 1500 if not fresh and holder and "
	"holder ~= inst and u[4] == '1' and (tonumber(u[3] or '0') or 0) > since and\n"
	" redis.call('EXISTS', P .. 'alive:' .. holder) == 1 then\n"
	" return {'lost', u[2], holder}\n"
	"end\n"
	"claim = text(math.max(now, claim + 1))\n"
	"redis.call('HSET', key, 'inst', inst, 'claim', claim, 'since', text(since), 'online', "
	"'1', 'trusted', ARGV[5]) keep(key, ARGV[5], 31536000000, 86400000)\n"
	"redis.call('SADD', P .. 'units:' .. inst, ident)\n"
	"local before, late = '', 0\n"
	"if holder and holder ~= inst then\n"
	" before = holder\n"
	" redis.call('HSET', key, 'prev', holder)\n"
	" redis.call('SREM', P .. 'units:' .. holder, ident)\n"
	" if redis.call('EXISTS', P .. 'alive:' .. holder) == 1 then\n"
	"  late = u[4] == '1' and 1 or 0\n"
	"  redis.call('XADD', P .. 'inbox:' .. holder, 'MAXLEN', '~', 200000, '*', 'moved', "
	"ident, 'claim', claim, 'to', inst)\n"
	" end\n"
	"end\n"
	"local hold = P .. 'hold:' .. ident\n"
	"for _, id in ipairs(redis.call('LRANGE', hold, 0, -1)) do\n"
	" local c = redis.call('HMGET', P .. 'cmd:' .. id, 'state', 'until')\n"
	" if c[1] == 'held' and (tonumber(c[2] or '0') or 0) > now then\n"
	"  redis.call('LREM', hold, 0, id)\n"
	"  redis.call('ZREM', P .. 'held', id)\n"
	"  give(id, inst)\n"
	" end\n"
	"end\n"
	"local note = {}\n"
	"if before ~= '' or ARGV[6] == '1' then note = redis.call('HMGET', key, 'newest', 'note') "
	"end\n"
	"return {'mine', claim, before, note[1] or '0', note[2] or '', redis.call('HEXISTS', key, "
	"'note'), late}\n",
	/* A unit is off line: ARGV ident, inst, claim (0: whichever inst has), has inst told without the registry that it is on line (0, 1). Then it is inst that
	 * tells the contrary, unless another one has it on line. Returns its claim, which grows with each; 0: it was not inst's. */
	[SCRIPT_RELEASE] =
		COMMON "local key = P .. 'unit:' .. ARGV[1]\n"
		       "local u = redis.call('HMGET', key, 'inst', 'claim', 'trusted', 'online')\n"
		       "local claim = tonumber(u[2] or '0') or 0\n"
		       "redis.call('SREM', P .. 'units:' .. ARGV[2], ARGV[1])\n"
		       "if not u[1] then return now end\n"
		       "if u[1] ~= ARGV[2] and ARGV[4] == '1' and u[4] == '0' then\n"
		       " claim = math.max(now, claim + 1)\n"
		       " redis.call('HSET', key, 'inst', ARGV[2], 'prev', u[1], 'claim', text(claim))\n"
		       "elseif u[1] ~= ARGV[2] or (ARGV[3] ~= '0' and u[2] ~= ARGV[3]) then\n"
		       " return 0\n"
		       "end\n"
		       "redis.call('HSET', key, 'online', '0')\n"
		       "keep(key, u[3], 7776000000, 600000)\n"
		       "return claim > 0 and claim or now\n",
	/* The router has a command: ARGV inst, run, id, ident, what a repetition has as well (0: it is never repeated), connection, sum, 0: it is new,
	 * 1: it may be a repetition, or 2: it is only asked whether the registry has it, then names and values of what is kept of it. Returns again, dup,
	 * unknown, stale, wait, nobody, or sent and the instance. */
	[SCRIPT_ROUTE] = COMMON
	"local inst, id, ident = ARGV[1], ARGV[3], ARGV[4]\n"
	"local c = redis.call('HMGET', P .. 'cmd:' .. id, 'state', 'owner')\n"
	"local waits = c[1] == 'wait' and c[2] == inst\n"
	"if not waits and (c[1] or redis.call('EXISTS', P .. 'done:' .. id) == 1) then\n"
	" return {c[1] == 'taken' and c[2] == inst and 'nobody' or 'again'}\n"
	"end\n"
	"local seen, mark = P .. 'seen:' .. ARGV[5], ARGV[7] .. '|'\n"
	"if not waits then\n"
	" if ARGV[5] ~= '0' and ARGV[8] ~= '0' then\n"
	"  local before = redis.call('GET', seen)\n"
	"  if before and before:sub(1, #mark) == mark and before ~= mark .. ARGV[6] then return {'dup'} end\n"
	" end\n"
	" if ARGV[8] == '2' then return {'unknown'} end\n"
	" if redis.call('GET', P .. 'router') ~= inst .. '|' .. ARGV[2] then return {'stale'} end\n"
	"end\n"
	"local to = holder_of(ident)\n"
	"local epoch = not to and redis.call('GET', P .. 'epoch')\n"
	"local age = epoch and now - tonumber(epoch) or -1\n"
	"local state = age >= 0 and age < SETTLE and 'wait' or 'taken'\n"
	"if waits then\n"
	" redis.call('HSET', P .. 'cmd:' .. id, 'state', state)\n"
	"else\n"
	" if ARGV[5] ~= '0' then redis.call('SET', seen, mark .. ARGV[6], 'EX', 120) end\n"
	" local fields = {'ident', ident, 'at', text(now), 'owner', inst, 'state', state}\n"
	" for i = 9, #ARGV do fields[#fields + 1] = ARGV[i] end\n"
	" redis.call('HSET', P .. 'cmd:' .. id, unpack(fields))\n"
	"end\n"
	"if to then\n"
	" if waits then redis.call('SREM', P .. 'open:' .. inst, id) end\n"
	" give(id, to)\n"
	" return {'sent', to}\n"
	"end\n"
	"redis.call('SADD', P .. 'open:' .. inst, id)\n"
	"return {state == 'wait' and 'wait' or 'nobody'}\n",
	/* An instance takes a command out of its inbox: ARGV inst, id, entry. Returns what is kept of it; nothing: it is not for inst. */
	[SCRIPT_TAKE] = COMMON "redis.call('XDEL', P .. 'inbox:' .. ARGV[1], ARGV[3])\n"
			       "local key = P .. 'cmd:' .. ARGV[2]\n"
			       "local c = redis.call('HMGET', key, 'state', 'owner')\n"
			       "if c[1] ~= 'inbox' or c[2] ~= ARGV[1] then return {} end\n"
			       "redis.call('HSET', key, 'state', 'taken', 'fate', '')\n"
			       "return kept(ARGV[2])\n",
	/* The unit of a command that inst has taken is not on line there: ARGV inst, id. Returns sent and the instance, nobody, or gone. */
	[SCRIPT_PASS] = COMMON
	"local c = redis.call('HMGET', P .. 'cmd:' .. ARGV[2], 'state', 'owner', 'ident', 'hops')\n"
	"if c[1] ~= 'taken' or c[2] ~= ARGV[1] then return {'gone'} end\n"
	"local to = holder_of(c[3])\n"
	"if not to or to == ARGV[1] or (tonumber(c[4] or '0') or 0) >= 8 then return {'nobody'} end\n"
	"redis.call('HINCRBY', P .. 'cmd:' .. ARGV[2], 'hops', 1)\n"
	"redis.call('SREM', P .. 'open:' .. ARGV[1], ARGV[2])\n"
	"give(ARGV[2], to)\n"
	"return {'sent', to}\n",
	/* A command for a unit that is nowhere: ARGV inst, id, ms, how many may wait, the request's own id. Returns held, elsewhere, crowded, same,
	 * or gone. */
	[SCRIPT_HOLD] =
		COMMON "local inst, id = ARGV[1], ARGV[2]\n"
		       "local c = redis.call('HMGET', P .. 'cmd:' .. id, 'state', 'owner', 'ident')\n"
		       "if c[1] ~= 'taken' or c[2] ~= inst then return {'gone'} end\n"
		       "local to = holder_of(c[3])\n"
		       "if to then\n"
		       " redis.call('SREM', P .. 'open:' .. inst, id)\n"
		       " give(id, to)\n"
		       " return {'elsewhere'}\n"
		       "end\n"
		       "local hold = P .. 'hold:' .. c[3]\n"
		       "local waiting = redis.call('LRANGE', hold, 0, -1)\n"
		       "for _, other in ipairs(waiting) do\n"
		       " if ARGV[5] ~= '' and redis.call('HGET', P .. 'cmd:' .. other, 'rid') == ARGV[5] then "
		       "return {'same'} end\n"
		       "end\n"
		       "if #waiting >= tonumber(ARGV[4]) or redis.call('ZCARD', P .. 'held') >= 100000 then "
		       "return {'crowded'} end\n"
		       "local over = text(now + tonumber(ARGV[3]))\n"
		       "redis.call('HSET', P .. 'cmd:' .. id, 'state', 'held', 'until', over, 'rid', ARGV[5])\n"
		       "redis.call('RPUSH', hold, id)\n"
		       "redis.call('ZADD', P .. 'held', over, id)\n"
		       "redis.call('SREM', P .. 'open:' .. inst, id)\n"
		       "return {'held'}\n",
	/* An end of a command: ARGV inst, id, the reply, its response topic and correlation data. Returns 1: it counts, and is kept until SCRIPT_CONFIRM; 0: another
	 * one does. */
	[SCRIPT_FINISH] = COMMON
	"local key = P .. 'cmd:' .. ARGV[2]\n"
	"local c = redis.call('HMGET', key, 'state', 'owner')\n"
	"if not c[1] then\n"
	" local done = redis.call('GET', P .. 'done:' .. ARGV[2])\n"
	" if not done then redis.call('SET', P .. 'done:' .. ARGV[2], 'by ' .. ARGV[1], 'EX', 3600) end\n"
	" return (not done or done == 'by ' .. ARGV[1]) and 1 or 0\n"
	"end\n"
	"if (c[1] ~= 'taken' and c[1] ~= 'ending') or c[2] ~= ARGV[1] then return 0 end\n"
	"redis.call('HSET', key, 'state', 'ending', 'end', ARGV[3], 'endto', ARGV[4], 'endwith', ARGV[5])\n"
	"redis.call('SADD', P .. 'open:' .. ARGV[1], ARGV[2])\n"
	"return 1\n",
	/* The end is safe: ARGV inst, id. */
	[SCRIPT_CONFIRM] = COMMON "local c = redis.call('HMGET', P .. 'cmd:' .. ARGV[2], 'state', 'owner')\n"
				  "redis.call('SREM', P .. 'open:' .. ARGV[1], ARGV[2])\n"
				  "if c[1] ~= 'ending' or c[2] ~= ARGV[1] then return 0 end\n"
				  "redis.call('DEL', P .. 'cmd:' .. ARGV[2])\n"
				  "redis.call('SET', P .. 'done:' .. ARGV[2], 'by ' .. ARGV[1], 'EX', 3600)\n"
				  "return 1\n",
	/* A command that inst has ended, of which the registry does not know: ARGV inst, id. */
	[SCRIPT_DROP] = COMMON "local c = redis.call('HMGET', P .. 'cmd:' .. ARGV[2], 'owner', 'ident')\n"
			       "if c[1] ~= ARGV[1] then return 0 end\n"
			       "redis.call('SET', P .. 'done:' .. ARGV[2], 'by ' .. ARGV[1], 'EX', 3600)\n"
			       "redis.call('SREM', P .. 'open:' .. c[1], ARGV[2])\n"
			       "redis.call('LREM', P .. 'hold:' .. c[2], 0, ARGV[2])\n"
			       "redis.call('ZREM', P .. 'held', ARGV[2])\n"
			       "redis.call('DEL', P .. 'cmd:' .. ARGV[2])\n"
			       "return 1\n",
	/* The router ends what was held for too long: ARGV inst, run. Returns a list of commands, as left() says. */
	[SCRIPT_EXPIRE] = COMMON
	"if redis.call('GET', P .. 'router') ~= ARGV[1] .. '|' .. ARGV[2] then return {} end\n"
	"local out = {}\n"
	"for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'held', '-inf', text(now), 'LIMIT', 0, 50)) do\n"
	" local c = redis.call('HMGET', P .. 'cmd:' .. id, 'state', 'ident')\n"
	" redis.call('ZREM', P .. 'held', id)\n"
	" if c[2] then redis.call('LREM', P .. 'hold:' .. c[2], 0, id) end\n"
	" if c[1] == 'held' then\n"
	"  redis.call('HSET', P .. 'cmd:' .. id, 'state', 'taken', 'owner', ARGV[1], 'fate', 'expired')\n"
	"  redis.call('SADD', P .. 'open:' .. ARGV[1], id)\n"
	"  out[#out + 1] = left(id)\n"
	" end\n"
	"end\n"
	"return out\n",
	/* The router ends what instances had whose lease is over: ARGV inst, run. Returns nothing, or the instance, a list of commands that it had taken, as
	 * left() says, a list of commands that nobody holds, a list of units that are off line now, each followed by its claim. */
	[SCRIPT_BURY] = COMMON
	"local inst = ARGV[1]\n"
	"if redis.call('GET', P .. 'router') ~= inst .. '|' .. ARGV[2] then return {} end\n"
	"for _, dead in ipairs(redis.call('SMEMBERS', P .. 'instances')) do\n"
	" if dead ~= inst and redis.call('EXISTS', P .. 'alive:' .. dead) == 0 then\n"
	"  local ended, absent, units = {}, {}, {}\n"
	"  for _, id in ipairs(redis.call('SRANDMEMBER', P .. 'open:' .. dead, 100)) do\n"
	"   local c = redis.call('HMGET', P .. 'cmd:' .. id, 'state', 'owner', 'ident', 'fate')\n"
	"   redis.call('SREM', P .. 'open:' .. dead, id)\n"
	"   if c[2] == dead then\n"
	"    local unsent = c[1] == 'inbox' or c[1] == 'wait'\n"
	"    local to = unsent and holder_of(c[3])\n"
	"    if to then\n"
	"     give(id, to)\n"
	"    else\n"
	"     redis.call('HSET', P .. 'cmd:' .. id, 'owner', inst)\n"
	"     redis.call('SADD', P .. 'open:' .. inst, id)\n"
	"     if unsent then\n"
	"      redis.call('HSET', P .. 'cmd:' .. id, 'state', 'taken')\n"
	"      absent[#absent + 1] = kept(id)\n"
	"     else\n"
	"      if c[1] ~= 'ending' and c[4] ~= 'expired' then redis.call('HSET', P .. 'cmd:' .. id, 'fate', "
	"'gone') end\n"
	"      ended[#ended + 1] = left(id)\n"
	"     end\n"
	"    end\n"
	"   end\n"
	"  end\n"
	"  for _, list in ipairs({'units:', 'gone:'}) do\n"
	"   for _, ident in ipairs(redis.call('SRANDMEMBER', P .. list .. dead, 200)) do\n"
	"    redis.call('SREM', P .. list .. dead, ident)\n"
	"    if redis.call('HGET', P .. 'unit:' .. ident, 'inst') == dead or list == 'gone:' then\n"
	"     redis.call('SADD', P .. 'gone:' .. inst, ident)\n"
	"    end\n"
	"    if redis.call('HGET', P .. 'unit:' .. ident, 'inst') == dead then\n"
	"     redis.call('HSET', P .. 'unit:' .. ident, 'online', '0', 'why', '')\n"
	"    end\n"
	"   end\n"
	"  end\n"
	"  if redis.call('EXISTS', P .. 'units:' .. dead, P .. 'open:' .. dead, P .. 'gone:' .. dead) == 0 "
	"then\n"
	"   redis.call('SREM', P .. 'instances', dead)\n"
	"   redis.call('DEL', P .. 'inbox:' .. dead)\n"
	"  end\n"
	"  return {dead, ended, absent}\n"
	" end\n"
	"end\n"
	"return {}\n",
	/* Units that inst, the router, is to tell as off line: ARGV inst, run. Returns a list of ident, the instance that had it,
	 * whether it is trusted (0, 1), and why it is gone (empty: its instance is). */
	[SCRIPT_GONE] = COMMON
	"local out = {}\n"
	"if redis.call('GET', P .. 'router') ~= ARGV[1] .. '|' .. ARGV[2] then return out end\n"
	"for _, ident in ipairs(redis.call('SRANDMEMBER', P .. 'gone:' .. ARGV[1], 200)) do\n"
	" local u = redis.call('HMGET', P .. 'unit:' .. ident, 'inst', 'online', 'trusted', 'why')\n"
	" if u[1] and u[2] == '0' then\n"
	"  out[#out + 1] = ident\n"
	"  out[#out + 1] = u[1]\n"
	"  out[#out + 1] = u[3] or '0'\n"
	"  out[#out + 1] = u[4] or ''\n"
	" else\n"
	"  redis.call('SREM', P .. 'gone:' .. ARGV[1], ident)\n"
	" end\n"
	"end\n"
	"return out\n",
	/* A unit that an earlier run of inst had has not come back: ARGV inst, ident. The router tells it. */
	[SCRIPT_SWEEP] =
		COMMON "local router = redis.call('GET', P .. 'router')\n"
		       "if not router then return 0 end\n"
		       "redis.call('SREM', P .. 'units:' .. ARGV[1], ARGV[2])\n"
		       "if redis.call('HGET', P .. 'unit:' .. ARGV[2], 'inst') ~= ARGV[1] then return 0 end\n"
		       "redis.call('HSET', P .. 'unit:' .. ARGV[2], 'online', '0', 'why', 'restart')\n"
		       "redis.call('SADD', P .. 'gone:' .. router:match('^(.*)|'), ARGV[2])\n"
		       "return 1\n",
	/* inst has told that the unit is off line: ARGV inst, ident. */
	[SCRIPT_TOLD] = COMMON "return redis.call('SREM', P .. 'gone:' .. ARGV[1], ARGV[2])\n",
	/* What an earlier run of inst left: ARGV inst, where to go on (0: the beginning). Returns where to go on (0: that was all), and a list of commands that
	 * it had taken, as left() says. */
	[SCRIPT_LEFT] = COMMON
	"local out = {}\n"
	"local some = redis.call('SSCAN', P .. 'open:' .. ARGV[1], ARGV[2], 'COUNT', 200)\n"
	"for _, id in ipairs(some[2]) do\n"
	" local c = redis.call('HMGET', P .. 'cmd:' .. id, 'state', 'owner')\n"
	" if (c[1] == 'taken' or c[1] == 'wait' or c[1] == 'ending') and c[2] == ARGV[1] then out[#out + 1] = "
	"left(id) end\n"
	" if not c[1] then redis.call('SREM', P .. 'open:' .. ARGV[1], id) end\n"
	"end\n"
	"return {some[1], out}\n",
	/* What is known of a unit: ARGV ident, inst, claim, newest date, note. Another instance that has it by now gets it into its inbox. */
	[SCRIPT_NOTE] = COMMON
	"local key = P .. 'unit:' .. ARGV[1]\n"
	"local u = redis.call('HMGET', key, 'inst', 'claim', 'online', 'newest')\n"
	"if not u[1] then return 0 end\n"
	"if u[1] ~= ARGV[2] and u[3] == '1' and redis.call('EXISTS', P .. 'alive:' .. u[1]) == 1 then\n"
	" redis.call('XADD', P .. 'inbox:' .. u[1], 'MAXLEN', '~', 200000, '*', 'note', ARGV[1], 'newest', "
	"ARGV[4], "
	"'bytes', ARGV[5])\n"
	" return 2\n"
	"end\n"
	"if u[1] ~= ARGV[2] and (tonumber(u[4] or '0') or 0) > tonumber(ARGV[4]) then return 0 end\n"
	"redis.call('HSET', key, 'newest', ARGV[4], 'note', ARGV[5])\n"
	"return 1\n",
	/* Newest dates: ARGV inst, idents and dates in turns, each with a blank behind it. */
	[SCRIPT_DATES] = COMMON "for ident, ms in ARGV[2]:gmatch('(%w+) (%d+) ') do\n"
				" if redis.call('HGET', P .. 'unit:' .. ident, 'inst') == ARGV[1] then\n"
				"  redis.call('HSET', P .. 'unit:' .. ident, 'newest', ms)\n"
				" end\n"
				"end\n"
				"return 1\n",
	/* A unit has answered what inst has not sent: ARGV inst, ident, then names and values of the answer, for the one that has the unit, or had it. */
	[SCRIPT_ANSWER] = COMMON
	"local u = redis.call('HMGET', P .. 'unit:' .. ARGV[2], 'inst', 'prev')\n"
	"local to = u[1] ~= ARGV[1] and u[1] or u[2]\n"
	"if not to or redis.call('EXISTS', P .. 'open:' .. to, P .. 'alive:' .. to) < 2 then return 0 end\n"
	"redis.call('XADD', P .. 'inbox:' .. to, 'MAXLEN', '~', 200000, '*', 'answer', ARGV[2], unpack(ARGV, "
	"3))\n"
	"return 1\n",
	/* The table that notes of an instance refer to: ARGV key, table. Returns all tables. */
	[SCRIPT_TABLES] =
		COMMON "if redis.call('HLEN', P .. 'tables') >= 32 then redis.call('DEL', P .. 'tables') end\n"
		       "redis.call('HSETNX', P .. 'tables', ARGV[1], ARGV[2])\n"
		       "return redis.call('HVALS', P .. 'tables')\n",
};

const char *script_text(enum script script)
{
	return scripts[script];
}
