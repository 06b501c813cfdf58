// SPDX-License-Identifier: Apache-2.0

package oda

import (
	"fmt"
	"slices"
	"strings"
)

// Conflict says who has the path that an API asks for.
type Conflict struct {
	Winner Key
	// Gateway is "namespace/name"; Host and Path are the winner's.
	Gateway string
	Host    string
	Path    string
	// Equal is false when the paths overlap without being equal.
	Equal bool
}

// String tells a user what is in the way.
func (c Conflict) String() string {
	what := "overlaps with"
	if c.Equal {
		what = "is"
	}
	return fmt.Sprintf("the path %s %s of the older %s on gateway %s, host %s", what, c.Path, c.Winner, c.Gateway, c.Host)
}

// Conflicts returns those of the APIs that are not routed because an older one, or an older foreign claim, has their
// path. It is the same as a Router that was told of all of them.
func Conflicts(all []API, s Settings, foreign ...Claim) map[Key]Conflict {
	r := NewRouter()
	for _, c := range foreign {
		c.Foreign = true
		r.Set(c)
	}
	for _, a := range all {
		r.Set(s.ClaimOf(a))
	}
	out := map[Key]Conflict{}
	for _, a := range all {
		if c, lost := r.Conflict(a.Key); lost {
			out[a.Key] = c
		}
	}
	return out
}

// Router keeps who has which path, and says after each change whose fate it changed. It is not safe for concurrent use.
type Router struct {
	claims map[Key]*entry
	places map[place]*paths
}

type entry struct {
	Claim
	conflict *Conflict
}

// place is a virtual host of a gateway: requests for one host are never sent to another's routes.
type place struct{ gateway, host string }

// paths of the claims in one place.
type paths struct {
	sorted []string
	users  map[string][]*entry
}

// NewRouter returns a Router that knows no claim.
func NewRouter() *Router {
	return &Router{claims: map[Key]*entry{}, places: map[place]*paths{}}
}

// Set records a claim in place of what was recorded for its key. It returns the keys of the other claims whose
// Conflict is not what it was, sorted.
func (r *Router) Set(c Claim) []Key {
	before := r.claims[c.Key]
	if before != nil && sameClaim(before.Claim, c) {
		return nil
	}
	touched := r.component(before)
	if before != nil {
		r.unlink(before)
	}
	e := &entry{Claim: c}
	if before != nil {
		e.conflict = before.conflict
	}
	r.claims[c.Key] = e
	r.link(e)
	delete(touched, before)
	for n := range r.component(e) {
		touched[n] = true
	}
	return r.settle(touched, c.Key)
}

// Delete forgets a claim and returns what Set returns.
func (r *Router) Delete(k Key) []Key {
	e := r.claims[k]
	if e == nil {
		return nil
	}
	touched := r.component(e)
	r.unlink(e)
	delete(r.claims, k)
	delete(touched, e)
	return r.settle(touched, k)
}

// Conflict tells why the claim of a key has not got its place; false when it has.
func (r *Router) Conflict(k Key) (Conflict, bool) {
	if e := r.claims[k]; e != nil && e.conflict != nil {
		return *e.conflict, true
	}
	return Conflict{}, false
}

// settle decides anew about claims that overlap with no others than each other, oldest first: a claim has its place
// unless an older one that has its own is in the way.
func (r *Router) settle(touched map[*entry]bool, changed Key) []Key {
	order := make([]*entry, 0, len(touched))
	before := map[*entry]*Conflict{}
	for e := range touched {
		order = append(order, e)
		before[e], e.conflict = e.conflict, nil
	}
	slices.SortFunc(order, func(a, b *entry) int { return a.compare(b.Claim) })
	decided := map[*entry]bool{}
	var out []Key
	for _, e := range order {
		if !e.Foreign {
			e.conflict = r.lost(e, decided)
		}
		decided[e] = true
		if e.Key != changed && !sameConflict(before[e], e.conflict) {
			out = append(out, e.Key)
		}
	}
	slices.SortFunc(out, compareKeys)
	return out
}

// lost finds the oldest claim in the way of e among those that have their place.
func (r *Router) lost(e *entry, decided map[*entry]bool) *Conflict {
	var winner *entry
	for n := range r.neighbours(e) {
		if decided[n] && n.conflict == nil && (winner == nil || n.compare(winner.Claim) < 0) {
			winner = n
		}
	}
	if winner == nil {
		return nil
	}
	return clash(winner.Claim, e.Claim)
}

// clash describes where two claims meet: the first place where their paths are equal, else the first where they overlap.
func clash(winner, loser Claim) *Conflict {
	var found *Conflict
	for _, w := range winner.Routes {
		for _, l := range loser.Routes {
			host, meet := meet(w, l)
			if !meet {
				continue
			}
			c := &Conflict{Winner: winner.Key, Gateway: w.Gateway, Host: host, Path: w.Path, Equal: w.Path == l.Path}
			if c.Equal {
				return c
			}
			if found == nil {
				found = c
			}
		}
	}
	return found
}

func meet(w, l Route) (host string, ok bool) {
	if w.Gateway != l.Gateway || !overlap(w.Matches, l.Matches) {
		return "", false
	}
	for _, h := range w.Hosts {
		if slices.Contains(l.Hosts, h) {
			return h, true
		}
	}
	return "", false
}

func overlap(a, b []Match) bool {
	return slices.ContainsFunc(a, func(m Match) bool { return slices.ContainsFunc(b, m.Overlaps) })
}

// component is e with all claims that it overlaps with, that those overlap with, and so on; empty for nil.
func (r *Router) component(e *entry) map[*entry]bool {
	all := map[*entry]bool{}
	if e == nil {
		return all
	}
	all[e] = true
	for queue := []*entry{e}; len(queue) > 0; queue = queue[1:] {
		for n := range r.neighbours(queue[0]) {
			if !all[n] {
				all[n] = true
				queue = append(queue, n)
			}
		}
	}
	return all
}

// neighbours are the other claims that e overlaps with.
func (r *Router) neighbours(e *entry) map[*entry]bool {
	out := map[*entry]bool{}
	for _, route := range e.Routes {
		for _, host := range route.Hosts {
			p := r.places[place{route.Gateway, host}]
			if p == nil {
				continue
			}
			for _, m := range route.Matches {
				p.near(m, func(n *entry) {
					if n != e && !out[n] && clash(n.Claim, e.Claim) != nil {
						out[n] = true
					}
				})
			}
		}
	}
	return out
}

// near calls visit for each claim with a path that begins with the match's, or that the match's begins with.
func (p *paths) near(m Match, visit func(*entry)) {
	for end := range len(m.Path) { // shorter paths
		for _, e := range p.users[m.Path[:end]] {
			visit(e)
		}
	}
	from, _ := slices.BinarySearch(p.sorted, m.Path)
	for _, path := range p.sorted[from:] { // the same and longer ones
		if !strings.HasPrefix(path, m.Path) {
			return
		}
		for _, e := range p.users[path] {
			visit(e)
		}
	}
}

func (r *Router) link(e *entry) {
	for at, path := range e.spots() {
		p := r.places[at]
		if p == nil {
			p = &paths{users: map[string][]*entry{}}
			r.places[at] = p
		}
		if _, known := p.users[path]; !known {
			i, _ := slices.BinarySearch(p.sorted, path)
			p.sorted = slices.Insert(p.sorted, i, path)
		}
		p.users[path] = append(p.users[path], e)
	}
}

func (r *Router) unlink(e *entry) {
	for at, path := range e.spots() {
		p := r.places[at]
		if p == nil {
			continue
		}
		if i := slices.Index(p.users[path], e); i >= 0 {
			p.users[path] = slices.Delete(p.users[path], i, i+1)
		}
		if len(p.users[path]) > 0 {
			continue
		}
		delete(p.users, path)
		if i, found := slices.BinarySearch(p.sorted, path); found {
			p.sorted = slices.Delete(p.sorted, i, i+1)
		}
		if len(p.sorted) == 0 {
			delete(r.places, at)
		}
	}
}

// spots yields each place of a claim with each path that it has there.
func (e *entry) spots() func(yield func(place, string) bool) {
	return func(yield func(place, string) bool) {
		for _, route := range e.Routes {
			for _, host := range route.Hosts {
				for _, m := range route.Matches {
					if !yield(place{route.Gateway, host}, m.Path) {
						return
					}
				}
			}
		}
	}
}

func sameClaim(a, b Claim) bool {
	return a.Key == b.Key && a.Created == b.Created && a.Foreign == b.Foreign &&
		slices.EqualFunc(a.Routes, b.Routes, func(x, y Route) bool {
			return x.Gateway == y.Gateway && x.Path == y.Path && slices.Equal(x.Hosts, y.Hosts) && slices.Equal(x.Matches, y.Matches)
		})
}

func sameConflict(a, b *Conflict) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func compareKeys(a, b Key) int { return strings.Compare(a.String(), b.String()) }
