package validating

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Bounds of the schema.
const (
	maxUsers          = 1000
	maxDomains        = 500
	maxCerts          = 100
	maxPasswordMap    = 100
	maxSubPathLength  = 128
	maxAliasLength    = 128
	unquotable        = "must not contain control characters, double quotes or backslashes: use letters, digits, '_', '-' and '.'"
	needsOneOfSecrets = "set exactly one of secret and 'generate: true'"
)

var (
	// notInGatewayName matches what DataPower's command language cannot hold in a name.
	notInGatewayName = regexp.MustCompile(`[\p{Cc}"\\]`)
	domainName       = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)
	controls         = regexp.MustCompile(`\p{Cc}`)
)

func (f *findings) users(users []v1beta3.User, path *field.Path) {
	f.atMost(path, len(users), maxUsers)
	unique(f, path, users, "name", func(u *v1beta3.User) string { return u.Name })
	for i, user := range users {
		at := path.Index(i)
		f.gatewayName(at.Child("name"), user.Name, maxNameLength)
		f.requiredObject(at.Child("passwordSecret"), user.PasswordSecret, "Secret")
		requiredOneOf(f, at.Child("accessLevel"), user.AccessLevel, v1beta3.AccessLevelGroupDefined, v1beta3.AccessLevelPrivileged)
		f.group(at.Child("group"), user)
	}
}

func (f *findings) group(path *field.Path, user v1beta3.User) {
	f.length(path, user.Group, maxNameLength)
	switch {
	case user.AccessLevel == v1beta3.AccessLevelGroupDefined && user.Group == "":
		f.required(path, "group is required when accessLevel is group-defined: name a user group of the default domain")
	case user.AccessLevel == v1beta3.AccessLevelPrivileged && user.Group != "":
		f.warn(path, "has no effect: the user is privileged")
	case controls.MatchString(user.Group):
		f.invalid(path, stringKind, "must not contain control characters: name a user group of the default domain")
	}
}

// gatewayName requires a name that DataPower's command language can hold.
func (f *findings) gatewayName(path *field.Path, name string, most int) {
	if name == "" {
		f.required(path, "give it a name")
	}
	f.length(path, name, most)
	if notInGatewayName.MatchString(name) {
		f.invalid(path, stringKind, unquotable)
	}
}

func (f *findings) domains(domains []v1beta3.Domain, path *field.Path) {
	f.atMost(path, len(domains), maxDomains)
	unique(f, path, domains, "name", func(d *v1beta3.Domain) string { return d.Name })
	for i := range domains {
		f.domain(&domains[i], path.Index(i))
	}
}

func (f *findings) domain(domain *v1beta3.Domain, path *field.Path) {
	f.length(path.Child("name"), domain.Name, maxNameLength)
	switch {
	case domain.Name == "":
		f.required(path.Child("name"), "give the domain a name")
	case !domainName.MatchString(domain.Name):
		f.invalid(path.Child("name"), stringKind, "must contain only letters, digits, '_', '-' and '.': choose another name")
	case domain.Name == "." || domain.Name == "..":
		f.invalid(path.Child("name"), stringKind,
			"name must not be '.' or '..', because a directory is named after the domain: choose another name")
	}
	f.atMost(path.Child("certs"), len(domain.Certs), maxCerts)
	for i, cert := range domain.Certs {
		f.cert(cert, path.Child("certs").Index(i))
	}
	if app := domain.DPApp; app != nil {
		f.objects(path.Child("dpApp", "config"), app.Config, "ConfigMap")
		f.objects(path.Child("dpApp", "local"), app.Local, "ConfigMap")
	}
	f.passwords(domain, path)
}

func (f *findings) cert(cert v1beta3.Cert, path *field.Path) {
	requiredOneOf(f, path.Child("certType"), cert.CertType, v1beta3.CertTypeSharedCerts, v1beta3.CertTypeUsrCerts)
	f.requiredObject(path.Child("secret"), cert.Secret, "Secret")
	subPath := path.Child("subPath")
	if cert.SubPath != "" && cert.CertType != v1beta3.CertTypeUsrCerts {
		f.forbidden(subPath, "subPath is allowed only with certType usrcerts: remove subPath or use usrcerts")
	}
	f.length(subPath, cert.SubPath, maxSubPathLength)
	climbs := strings.Contains("/"+cert.SubPath+"/", "/../")
	if strings.HasPrefix(cert.SubPath, "/") || climbs || controls.MatchString(cert.SubPath) {
		f.invalid(subPath, stringKind, "subPath must be relative and must not contain a '..' segment: name a directory below cert:///")
	}
}

func (f *findings) passwords(domain *v1beta3.Domain, path *field.Path) {
	oldPath := path.Child("passphraseSecret")
	oldSecret := domain.PassphraseSecret //lint:ignore SA1019 the field still counts
	f.object(oldPath, oldSecret, "Secret")
	if oldSecret != "" {
		f.warn(oldPath, "is deprecated: use settings.passphrase.secret, which does the same")
	}
	if domain.Settings != nil && domain.Settings.Passphrase != nil {
		passphrase := domain.Settings.Passphrase
		if oldSecret != "" {
			f.forbidden(oldPath, "passphraseSecret and settings.passphrase exclude each other: remove the deprecated passphraseSecret")
		}
		f.secretOrGenerate(path.Child("settings", "passphrase"), passphrase.Secret, passphrase.Generate, " for the passphrase")
	}
	passwordMap := path.Child("passwordMap")
	f.atMost(passwordMap, len(domain.PasswordMap), maxPasswordMap)
	unique(f, passwordMap, domain.PasswordMap, "alias", func(e *v1beta3.PasswordMapEntry) string { return e.Alias })
	for i, entry := range domain.PasswordMap {
		f.gatewayName(passwordMap.Index(i).Child("alias"), entry.Alias, maxAliasLength)
		f.secretOrGenerate(passwordMap.Index(i), entry.Secret, entry.Generate, " for the password alias")
	}
}

func (f *findings) secretOrGenerate(path *field.Path, secret string, generate *bool, purpose string) {
	if (secret != "") == isTrue(generate) {
		f.invalid(path, objectKind, needsOneOfSecrets+purpose)
	}
	f.object(path.Child("secret"), secret, "Secret")
}
