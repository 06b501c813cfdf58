// Package peering keeps gateway peering among stand-in gateways, as real TCP connections with a small protocol of its own.
//
// A [Member] is one peering object of one gateway. It dials the other members that its network names, or is dialled by
// them; each pair keeps one link. Over a link both tell their state: priority, offset, and whom they take for the
// primary. A member that was linked once keeps its row; when its link breaks, the row says down, until the member comes
// back at the same address or [Member.Reset] forgets all rows.
//
// One member is the primary. Members choose another when its link has been down for a while, and only with a quorum: at
// least half of the known members and one more are linked, where known counts every row, also those of members that are
// gone for good. This is why stale rows hurt.
//
// Nothing of it is the gateway's real protocol, which is not public. What other programs see of the real one, this
// package shows: README.md in the folder above has the sources.
package peering
