package exposure

import "time"

// listTime is how long the first list of a kind may take before it is told of. Kinds that only some conditions are about
// hold nothing up any longer.
const listTime = 10 * time.Second

// lists tells whether all objects of a definition that is served have been recorded.
func (s *sources) lists(crd string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, found := s.started[crd]
	return found && r.synced()
}

// enough tells whether all is known that has to be before anything is said.
func (s *sources) enough() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.started {
		if !r.synced() && !(r.optional && r.overdue()) {
			return false
		}
	}
	return true
}

func (r running) overdue() bool { return time.Since(r.since) > listTime }

// waits tells whether something is not known yet.
func (s *sources) waits() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.started {
		if !r.synced() {
			return true
		}
	}
	return false
}

// complain tells once of each kind whose first list takes too long, since nothing else would say why nothing happens.
func (s *sources) complain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, r := range s.started {
		if !r.synced() && r.overdue() && !s.told[name] {
			s.told[name] = true
			s.log.Info("exposed APIs wait for the API server to list a resource; see that the sidecar may list and watch it, "+
				"and that its conversion webhook, if it has one, answers", "resource", name, "routesWait", !r.optional)
		}
	}
}
