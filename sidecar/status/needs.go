package status

import (
	"fmt"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// hashedPasswordKey is the key of a user's Secret that holds a crypt(3) string
// in place of a clear-text password.
const hashedPasswordKey = "password-hashed"

// need is what one field of the spec expects of a Secret or ConfigMap.
type need struct {
	object ObjectName
	// path is the field, for example spec.users[0].passwordSecret.
	path string
	// anyKey are keys of which the object must have at least one; empty when
	// its existence is enough.
	anyKey []string
}

// needsOf lists what the spec cannot do without: existence first, in the order
// of the spec, then the keys.
func needsOf(service *v1beta3.DataPowerService) []need {
	var needs []need
	for _, reference := range v1beta3.References(service) {
		if reference.Optional {
			continue
		}
		n := need{object: ObjectName{reference.Kind, reference.Name}, path: reference.Path}
		if reference.Key != "" {
			n.anyKey = []string{reference.Key}
		}
		needs = append(needs, n)
	}
	for i, user := range service.Spec.Users {
		needs = append(needs, need{
			object: ObjectName{v1beta3.KindSecret, user.PasswordSecret},
			path:   fmt.Sprintf("spec.users[%d].passwordSecret", i),
			anyKey: []string{v1beta3.PasswordKey, hashedPasswordKey},
		})
	}
	return needs
}
