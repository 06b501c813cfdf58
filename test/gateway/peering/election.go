package peering

import "net/netip"

// candidate is a member in an election.
type candidate struct {
	address  string
	priority uint64
	active   bool
}

// quorum tells whether so many active members may choose a primary: half of the known ones and one more.
func quorum(known, active int) bool { return active >= known/2+1 }

// elect chooses a primary among the active candidates: the lowest priority, then the lowest address. It chooses none
// without a quorum.
func elect(candidates []candidate) (string, bool) {
	active := 0
	var best *candidate
	for i := range candidates {
		if !candidates[i].active {
			continue
		}
		active++
		if best == nil || preferred(candidates[i], *best) {
			best = &candidates[i]
		}
	}
	if best == nil || !quorum(len(candidates), active) {
		return "", false
	}
	return best.address, true
}

// preferred tells whether a candidate goes before another.
func preferred(a, b candidate) bool {
	if a.priority != b.priority {
		return a.priority < b.priority
	}
	return lower(a.address, b.address)
}

// lower orders addresses by their value; 10.0.0.9 is lower than 10.0.0.10. What is no address is ordered as text.
func lower(a, b string) bool {
	first, errA := netip.ParseAddr(a)
	second, errB := netip.ParseAddr(b)
	if errA != nil || errB != nil {
		return a < b
	}
	return first.Less(second)
}

// claim says who is the primary. Of two claims the one of the later election counts, so that members which were apart
// agree again.
type claim struct {
	Epoch    uint64 `json:"epoch"`
	Primary  string `json:"primary,omitempty"`
	Priority uint64 `json:"primaryPriority,omitempty"` // of the primary
}

// merge returns which of two claims counts. Two elections at once give claims of the same epoch; then the preferred
// primary counts.
func merge(own, other claim) claim {
	switch {
	case other.Primary == "" || other.Epoch < own.Epoch:
		return own
	case own.Primary == "" || other.Epoch > own.Epoch:
		return other
	}
	theirs := candidate{address: other.Primary, priority: other.Priority}
	if preferred(theirs, candidate{address: own.Primary, priority: own.Priority}) {
		return other
	}
	return own
}
