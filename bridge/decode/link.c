// SPDX-License-Identifier: MIT
/* link: see link.h. */
#include "bridge/decode/link.h"

enum {
	ETHER_IPV4 = 0x0800,
	ETHER_IPV6 = 0x86dd,
	VLAN = 0x8100,
	VLAN_STACKED = 0x88a8,
	VLAN_OLD = 0x9100,
	TCP = 6,
	UDP = 17
};

/* The Ethernet type behind VLAN tags. */
static uint16_t ether_type(struct reader *r, uint16_t type)
{
	for (int i = 0; i < 4 && (type == VLAN || type == VLAN_STACKED || type == VLAN_OLD); i++) {
		reader_take(r, 2);
		type = reader_u16(r);
	}
	return type;
}

/* Takes off what stands in front of IP; 0x0800, 0x86dd, or 0: it is no IP. -1: no such link type. */
static int take_link(uint32_t link_type, struct reader *r)
{
	uint16_t type;
	switch (link_type) {
	case 1:
		reader_take(r, 12);
		return ether_type(r, reader_u16(r));
	case 113:
		reader_take(r, 14);
		return ether_type(r, reader_u16(r));
	case 276:
		type = reader_u16(r);
		reader_take(r, 18);
		return ether_type(r, type);
	case 0: /* the family is a number of the system that captured: the IP header tells */
	case 108:
		reader_take(r, 4);
		break;
	case 12:
	case 14:
	case 101:
	case 228:
	case 229:
		break;
	default:
		return -1;
	}
	uint8_t first = reader_left(r) > 0 ? r->in.ptr[r->pos] >> 4 : 0;
	return first == 4 ? ETHER_IPV4 : first == 6 ? ETHER_IPV6 : 0;
}

static enum link_found take_ipv4(struct reader *r, struct segment *out, uint8_t *protocol, size_t *length)
{
	size_t header = (size_t)(reader_u8(r) & 15) * 4;
	reader_u8(r);
	size_t total = reader_u16(r);
	reader_u16(r);
	uint16_t fragment = reader_u16(r);
	reader_u8(r);
	*protocol = reader_u8(r);
	reader_u16(r);
	struct span from = reader_take(r, 4), to = reader_take(r, 4);
	if (header < 20)
		return LINK_DAMAGED;
	reader_take(r, header - 20);
	if (r->bad || (total != 0 && total < header))
		return LINK_DAMAGED;
	memcpy(out->from.address, from.ptr, 4);
	memcpy(out->to.address, to.ptr, 4);
	*length = total != 0 ? total - header : reader_left(r); /* 0: the network card was to fill it in */
	return fragment & 0x3fff ? LINK_FRAGMENT : LINK_SEGMENT;
}

static enum link_found take_ipv6(struct reader *r, struct segment *out, uint8_t *protocol, size_t *length)
{
	reader_take(r, 4);
	*length = reader_u16(r);
	*protocol = reader_u8(r);
	reader_u8(r);
	struct span from = reader_take(r, 16), to = reader_take(r, 16);
	if (r->bad)
		return LINK_DAMAGED;
	memcpy(out->from.address, from.ptr, 16);
	memcpy(out->to.address, to.ptr, 16);
	out->ipv6 = true;
	*length = *length != 0 ? *length : reader_left(r);
	for (int i = 0; i < 8; i++) {
		uint8_t kind = *protocol;
		if (kind != 0 && kind != 43 && kind != 44 && kind != 60)
			break;
		*protocol = reader_u8(r);
		size_t size = kind == 44 ? 8 : (size_t)reader_u8(r) * 8 + 8;
		if (kind == 44)
			reader_u8(r);
		uint16_t offset = kind == 44 ? reader_u16(r) : 0;
		reader_take(r, kind == 44 ? 4 : size - 2);
		if (r->bad || size > *length)
			return LINK_DAMAGED;
		*length -= size;
		if (kind == 44 && (offset & 0xfff9) != 0)
			return LINK_FRAGMENT;
	}
	return LINK_SEGMENT;
}

/* Sets the payload: what of `length` bytes was captured; behind them may be padding. */
static enum link_found take_payload(struct reader *r, size_t length, struct segment *out)
{
	size_t have = reader_left(r) < length ? reader_left(r) : length;
	out->missing = length - have;
	out->bytes = reader_take(r, have);
	return LINK_SEGMENT;
}

static enum link_found take_tcp(struct reader *r, size_t length, struct segment *out)
{
	out->tcp = true;
	out->from.port = reader_u16(r);
	out->to.port = reader_u16(r);
	out->sequence = reader_u32(r);
	reader_u32(r);
	size_t header = (size_t)(reader_u8(r) >> 4) * 4;
	uint8_t flags = reader_u8(r);
	reader_take(r, 6);
	if (header < 20 || header > length)
		return LINK_DAMAGED;
	reader_take(r, header - 20);
	out->fin = flags & 1;
	out->syn = flags & 2;
	out->reset = flags & 4;
	out->ack = flags & 16;
	return r->bad ? LINK_DAMAGED : take_payload(r, length - header, out);
}

static enum link_found take_udp(struct reader *r, size_t length, struct segment *out)
{
	out->from.port = reader_u16(r);
	out->to.port = reader_u16(r);
	size_t told = reader_u16(r);
	reader_u16(r);
	told = told != 0 && told < length ? told : length;
	return r->bad || told < 8 ? LINK_DAMAGED : take_payload(r, told - 8, out);
}

enum link_found link_read(uint32_t link_type, struct span packet, struct segment *out)
{
	struct reader r = reader_of(packet);
	uint8_t protocol = 0;
	size_t length = 0;
	*out = (struct segment){0};
	int type = take_link(link_type, &r);
	if (type < 0)
		return LINK_UNKNOWN;
	if (r.bad)
		return LINK_DAMAGED;
	if (type != ETHER_IPV4 && type != ETHER_IPV6)
		return LINK_OTHER;
	enum link_found found = type == ETHER_IPV4 ? take_ipv4(&r, out, &protocol, &length)
						   : take_ipv6(&r, out, &protocol, &length);
	if (found == LINK_SEGMENT && protocol == TCP)
		return take_tcp(&r, length, out);
	if (found == LINK_SEGMENT && protocol == UDP)
		return take_udp(&r, length, out);
	return found == LINK_FRAGMENT && protocol != TCP && protocol != UDP ? LINK_OTHER
	       : found == LINK_SEGMENT                                      ? LINK_OTHER
									    : found;
}
