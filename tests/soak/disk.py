# SPDX-License-Identifier: MIT
"""What a disk may hold after the power went, made from the log of record.c.

The file system that is assumed:
- Of a page (4 KiB) of a file the disk holds what was there at the last sync of the file that had ended, or any later
  state of this page: each page on its own, in no order. In a torn image each sector (512 bytes) is on its own.
- A write is held for certain when a sync of its file began after the write had ended, and the sync has ended itself;
  a write with O_DSYNC when it has ended.
- The size of a file is the one that what is held needs, or any later one. A piece that was never written is zeros.
- Creations, renames, removals and truncations go through a journal: they are held up to some moment, none before an
  earlier one. Held for certain are those before a sync of a directory, and those of a file (and before them) that was
  synced itself.
ext4 and XFS hold at least this. Strict: a sync of a file holds no name, only one of a directory does.
Not modelled: disks that lie about a flush, errors of reading."""

import bisect
import os
import struct

PAGE, SECTOR = 4096, 512
HEADER = struct.Struct("<IIQQQqQ")
END, WRITE, SYNC, TRUNCATE, CREATE, RENAME, UNLINK, SEND, ACCEPT, BEYOND = range(1, 11)
DELIVERED = 100  # added by the broker of powerloss.py
DSYNC, DIRECTORY, ALL, DATAGRAM = 1, 2, 4, 8
NEVER = 1 << 60


class Event:
    __slots__ = ("kind", "flags", "id", "ns", "inode", "offset", "data", "end", "result")

    def __init__(self, header, data):
        self.kind, self.flags, self.id, self.ns, self.inode, self.offset, _ = header
        self.data, self.end, self.result = data, NEVER, None


def read_log(path):
    """All events in order; of one that has an end, the place of that in the list and what the call returned."""
    raw, at, events, begun = path.read_bytes(), 0, [], {}
    while at + HEADER.size <= len(raw):
        header = HEADER.unpack_from(raw, at)
        at += HEADER.size
        event = Event(header, raw[at:at + header[6]])
        at += header[6]
        if event.kind == END:
            first = begun.pop(int.from_bytes(event.data, "little"))
            first.end, first.result = len(events), event.offset
        elif event.kind in (WRITE, SYNC, SEND):
            begun[event.id] = event
        events.append(event)
    return events


class File:
    def __init__(self, directory):
        self.directory = directory
        self.pages = {}  # number: [(place, place of its end or NEVER, O_DSYNC, offset in the page, bytes)]
        self.sizes = []  # (place, end, O_DSYNC, size that it needs)
        self.cuts = []  # (number of the operation, place, size)
        self.syncs = []  # (place of the begin, of the end)

    def write(self, place, event):
        done = event.result if event.result is not None else len(event.data)
        data = event.data[:max(done, 0)]
        dsync = bool(event.flags & DSYNC)
        at = 0
        while at < len(data):
            page, inside = divmod(event.offset + at, PAGE)
            piece = data[at:at + PAGE - inside]
            self.pages.setdefault(page, []).append((place, event.end, dsync, inside, piece))
            at += len(piece)
        if data:
            self.sizes.append((place, event.end, dsync, event.offset + len(data)))

    def synced(self, cut):
        """Writes that ended before this place are held."""
        return max((begin for begin, end in self.syncs if end < cut), default=-1)


class Disk:
    """`how` of an image: "none", "all" or "some" of what is not certain."""

    def __init__(self, events, root, strict=False):
        self.events, self.root, self.strict = events, str(root), strict
        self.certain = []  # (place, so many operations are held from there on)
        self.files, self.operations = [], []  # operation: (place, kind, names, file)
        self.places = []
        self.flushes = []  # (begin, end) of each sync of a file
        by_inode, names = {}, {}
        for place, event in enumerate(events):
            if event.kind == CREATE:
                file = File(bool(event.flags & DIRECTORY))
                by_inode[event.inode] = file
                names[event.data.decode()] = file
                self._operation(place, CREATE, [event.data.decode()], file)
            elif event.kind == RENAME:
                old, new = event.data.decode().split("\0")[:2]
                file = names.pop(old, None)
                names = {(new + n[len(old):] if n.startswith(old + "/") else n): f for n, f in names.items()}
                names[new] = file
                self._operation(place, RENAME, [old, new], file)
            elif event.kind == UNLINK:
                self._operation(place, UNLINK, [event.data.decode()], names.pop(event.data.decode(), None))
            elif event.kind == TRUNCATE and event.inode in by_inode:
                file = by_inode[event.inode]
                file.cuts.append((len(self.operations), place, event.offset))
                self._operation(place, TRUNCATE, [], file)
            elif event.kind == WRITE:
                by_inode[event.inode].write(place, event)
            elif event.kind == SYNC and event.result == 0:
                self._sync(place, event, by_inode)
            elif event.kind == BEYOND:
                raise RuntimeError(f"the recorder cannot follow {event.data!r}")

    def _operation(self, place, kind, names, file):
        self.operations.append((place, kind, names, file))
        self.places.append(place)

    def _sync(self, place, event, by_inode):
        everything = event.flags & (ALL | DIRECTORY)
        file = by_inode.get(event.inode)
        for each in set(by_inode.values()) if event.flags & ALL else [file] if file else []:
            each.syncs.append((place, event.end))
        if not event.flags & DIRECTORY:
            self.flushes.append((place, event.end))
        last = bisect.bisect_left(self.places, place)
        if not everything:
            mine = [] if self.strict else [n for n in range(last) if self.operations[n][3] is file]
            last = mine[-1] + 1 if mine else 0
        self.certain.append((event.end, last))

    def _names(self, count):
        names = {}
        for _, kind, words, file in self.operations[:count]:
            if kind == CREATE:
                names[words[0]] = file
            elif kind == RENAME:
                old, new = words
                names = {(new + n[len(old):] if n == old or n.startswith(old + "/") else n): f
                         for n, f in names.items() if n != new}
            elif kind == UNLINK:
                names.pop(words[0], None)
        return names

    def image(self, cut, how, torn, rng, directory):
        """Writes to `directory` what may be held when the power goes before event number `cut`."""
        last = bisect.bisect_left(self.places, cut)
        certain = max((n for end, n in self.certain if end < cut), default=0)
        count = {"none": certain, "all": last, "some": rng.randint(certain, last)}[how]
        os.makedirs(directory)
        for name, file in sorted(self._names(count).items()):
            path = os.path.join(directory, os.path.relpath(name, self.root))
            if file.directory:
                os.makedirs(path, exist_ok=True)
            else:
                self._write(file, path, cut, count, how, torn, rng)

    def _write(self, file, path, cut, count, how, torn, rng):
        synced = file.synced(cut)
        held = [(n, place, size) for n, place, size in file.cuts if n < count]
        start, size = held[-1][1:] if held else (-1, 0)

        def is_certain(end, dsync):
            return end < synced or dsync and end < cut

        later = [(need, is_certain(end, dsync)) for place, end, dsync, need in file.sizes if start < place < cut]
        least = max([size, *(need for need, sure in later if sure)])
        most = max([least, *(need for need, _ in later)])
        size = {"none": least, "all": most, "some": rng.choice((most, most, least, rng.randint(least, most)))}[how]
        with open(path, "wb") as out:
            out.truncate(size)
            for number, pieces in file.pages.items():
                if number * PAGE >= size or pieces[0][0] >= cut:
                    continue
                states = [bytes(PAGE)]  # those that the disk may hold, the oldest first
                for place, end, dsync, inside, piece in pieces:
                    if place >= cut:
                        break
                    states.append(states[-1][:inside] + piece + states[-1][inside + len(piece):])
                    if is_certain(end, dsync):
                        states = states[-1:]
                    for _, cut_place, cut_size in held:  # a page before a truncation that is held
                        if place < cut_place and cut_size <= number * PAGE:
                            states = [bytes(PAGE)]
                if how == "some" and torn:
                    page = b"".join(rng.choice(states)[at:at + SECTOR] for at in range(0, PAGE, SECTOR))
                else:
                    page = states[{"none": 0, "all": -1, "some": rng.randrange(len(states))}[how]]
                if page.count(0) != PAGE:
                    out.seek(number * PAGE)
                    out.write(page[:size - number * PAGE])
