package gateway

import (
	"strings"

	"github.com/datapower-operator/datapower-operator/test/gateway/config"
)

// Ways of access in access policies.
const (
	accessRead    = 'r'
	accessWrite   = 'w'
	accessAdd     = 'a'
	accessDelete  = 'd'
	accessExecute = 'x'
)

// rights are what a user may do.
type rights struct {
	all bool
	// ways of access by domain; "*" is every domain.
	ways map[string]string
}

// rightsOf reads the rights of a user. A policy reads address/domain/resource?Access=r+w&more; only domain and access
// count here. A group-defined user whose group does not exist has no rights.
func rightsOf(user *config.User, group *config.Group) rights {
	if user.AccessLevel == config.AccessPrivileged {
		return rights{all: true}
	}
	found := rights{ways: map[string]string{}}
	if group == nil {
		return found
	}
	for _, policy := range group.AccessPolicies {
		target, terms, _ := strings.Cut(policy, "?")
		parts := strings.Split(target, "/")
		if len(parts) < 2 {
			continue
		}
		for term := range strings.SplitSeq(terms, "&") {
			if ways, is := strings.CutPrefix(term, "Access="); is {
				found.ways[parts[1]] += strings.ReplaceAll(strings.ToLower(ways), "none", "")
			}
		}
	}
	return found
}

// in tells whether the user may do something in a domain.
func (r rights) in(domain string, access byte) bool {
	return r.all || strings.IndexByte(r.ways[domain], access) >= 0 || strings.IndexByte(r.ways["*"], access) >= 0
}
