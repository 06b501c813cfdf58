// SPDX-License-Identifier: Apache-2.0

package v1beta3

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// Keys of the Secrets that the operator generates, and of those that users provide in their place.
const (
	// PassphraseKey holds the passphrase of a domain.
	PassphraseKey = "passphrase"
	// PasswordKey holds the clear-text password of a user or of a password alias.
	PasswordKey = "password"
)

// maxObjectNameLength is the longest name of a Secret, in bytes.
const maxObjectNameLength = 253

// notInName matches what a generated Secret's name does not use. A dot is legal in such names, but not in every
// position, so it is replaced too.
var notInName = regexp.MustCompile(`[^a-z0-9-]`)

// GeneratedSecret is one Secret that the operator makes because a field of the spec says "generate: true".
type GeneratedSecret struct {
	// Name of the Secret, in the namespace of the DataPowerService.
	Name string
	// Key within the Secret: PassphraseKey or PasswordKey.
	Key string
	// Path of the field that asks for the Secret, for example spec.domains[0].settings.passphrase.
	Path string
	// Domain is the DataPower domain that uses the Secret.
	Domain string
	// Alias is the password alias, empty for a passphrase.
	Alias string
	// Context is the same as Path, Domain and Alias, in the form that status.generated shows.
	Context GeneratedContext
}

// GeneratedSecrets lists the Secrets that svc asks the operator to generate: by domain, the passphrase first, then
// the password aliases in their order. An entry that names a Secret of its own generates none.
func GeneratedSecrets(svc *DataPowerService) []GeneratedSecret {
	var secrets []GeneratedSecret
	for i, domain := range svc.Spec.Domains {
		path := fmt.Sprintf("spec.domains[%d]", i)
		if p := domain.passphrase(); isTrue(p.Generate) && p.Secret == "" {
			secrets = append(secrets, newGeneratedSecret(svc.Name, domain.Name, "", path+".settings.passphrase"))
		}
		for j, entry := range domain.PasswordMap {
			if isTrue(entry.Generate) && entry.Secret == "" {
				secrets = append(secrets,
					newGeneratedSecret(svc.Name, domain.Name, entry.Alias, fmt.Sprintf("%s.passwordMap[%d]", path, j)))
			}
		}
	}
	return secrets
}

// GeneratedSecretName is the name of the Secret that the operator generates for a password alias of a domain, or
// for the domain's passphrase when alias is empty:
//
//	<service>-<domain>-passphrase
//	<service>-<domain>-<alias>-password
//
// in lower case, with a dash for every character that is not a lower-case letter, digit or dash. Such a name can
// stand for several origins when characters were replaced, when it had to be cut, or when the domain or the alias
// contains a dash (domain "a-b" of service "x" reads like domain "b" of service "x-a"). Then it ends in a dash and
// the ShortHash of "<service>/<domain>/<alias>". The result never exceeds 253 bytes.
func GeneratedSecretName(service, domain, alias string) string {
	plain := service + "-" + domain + "-" + PassphraseKey
	if alias != "" {
		plain = service + "-" + domain + "-" + alias + "-" + PasswordKey
	}
	name := notInName.ReplaceAllString(strings.ToLower(plain), "-")
	ambiguous := strings.Contains(domain, "-") || strings.Contains(alias, "-")
	if name == plain && !ambiguous && len(name) <= maxObjectNameLength {
		return name
	}
	digest := datapower.ShortHash(service + "/" + domain + "/" + alias)
	if longest := maxObjectNameLength - 1 - len(digest); len(name) > longest {
		name = name[:longest]
	}
	return name + "-" + digest
}

func newGeneratedSecret(service, domain, alias, path string) GeneratedSecret {
	key := PassphraseKey
	if alias != "" {
		key = PasswordKey
	}
	return GeneratedSecret{
		Name: GeneratedSecretName(service, domain, alias), Key: key,
		Path: path, Domain: domain, Alias: alias,
		Context: GeneratedContext{Path: path, Domain: domain, Alias: alias},
	}
}

func isTrue(value *bool) bool { return value != nil && *value }
