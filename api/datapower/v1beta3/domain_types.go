// SPDX-License-Identifier: Apache-2.0

package v1beta3

// User is a user of the gateways.
//
// +kubebuilder:validation:XValidation:rule="self.accessLevel != 'group-defined' || (has(self.group) && self.group.size() > 0)",fieldPath=".group",message="group is required when accessLevel is group-defined: name a user group of the default domain",reason=FieldValueRequired
type User struct {
	// Name of the user.
	// It must not contain control characters, double quotes or backslashes, which DataPower's command language cannot hold in a name.
	// That rule is this operator's own; DataPower's convention for names of objects (letters, digits, '_', '-', '.') is narrower.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'[\p{Cc}"\\]')`,message="name must not contain control characters, double quotes or backslashes: use letters, digits, '_', '-' and '.'"
	Name string `json:"name"`

	// PasswordSecret names the Secret with the password: key password-hashed (crypt(3) text, preferred) or key password (clear text, with the optional keys salt and method).
	// A change of the Secret rolls the pods.
	// The operator's own calls to the gateways need the clear-text form.
	// +required
	// +kubebuilder:validation:MinLength=1
	PasswordSecret string `json:"passwordSecret"`

	// AccessLevel is privileged for all rights, or group-defined for those of group.
	// +required
	AccessLevel AccessLevel `json:"accessLevel"`

	// Group of a user whose accessLevel is group-defined.
	// The configuration of the domain "default" must define it.
	// Ignored for privileged users.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`
}

// AccessLevel is the access level of a user.
// +kubebuilder:validation:Enum=group-defined;privileged
type AccessLevel string

// The access levels of users.
const (
	AccessLevelGroupDefined AccessLevel = "group-defined"
	AccessLevelPrivileged   AccessLevel = "privileged"
)

// Domain is a DataPower domain and its configuration.
//
// +kubebuilder:validation:XValidation:rule="!has(self.passphraseSecret) || self.passphraseSecret.size() == 0 || !has(self.settings) || !has(self.settings.passphrase)",fieldPath=".passphraseSecret",message="passphraseSecret and settings.passphrase exclude each other: remove the deprecated passphraseSecret",reason=FieldValueForbidden
type Domain struct {
	// Name of the domain: letters, digits, '_', '-' and '.'.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9_.-]+$`
	// +kubebuilder:validation:XValidation:rule="self != '.' && self != '..'",message="name must not be '.' or '..', because a directory is named after the domain: choose another name"
	Name string `json:"name"`

	// Certs are certificates and keys for the domain.
	// Replaced whole: several entries may name one Secret.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Certs []Cert `json:"certs,omitempty"`

	// DPApp is the configuration and the files of the domain.
	// +optional
	DPApp *DPApp `json:"dpApp,omitempty"`

	// PassphraseSecret names a Secret with the key passphrase.
	//
	// Deprecated: use settings.passphrase.secret, which does the same.
	// Since 1.4.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PassphraseSecret string `json:"passphraseSecret,omitempty"`

	// PasswordMap holds password aliases, through which the configuration refers to passwords.
	// Merged by alias: an alias has one password.
	// Since 1.6.7.
	// +optional
	// +listType=map
	// +listMapKey=alias
	// +kubebuilder:validation:MaxItems=100
	PasswordMap []PasswordMapEntry `json:"passwordMap,omitempty"`

	// Settings of the domain.
	// Since 1.6.7.
	// +optional
	Settings *DomainSettings `json:"settings,omitempty"`
}

// passphrase is the domain's passphrase settings, empty when there are none.
func (d *Domain) passphrase() Passphrase {
	if d.Settings == nil || d.Settings.Passphrase == nil {
		return Passphrase{}
	}
	return *d.Settings.Passphrase
}

// Cert is a Secret whose keys become certificate and key files.
//
// +kubebuilder:validation:XValidation:rule="!has(self.subPath) || self.subPath.size() == 0 || self.certType == 'usrcerts'",fieldPath=".subPath",message="subPath is allowed only with certType usrcerts: remove subPath or use usrcerts",reason=FieldValueForbidden
type Cert struct {
	// CertType is usrcerts for the domain's own cert: directory, or sharedcerts for the directory that all domains see.
	// +required
	CertType CertType `json:"certType"`

	// Secret names the Secret.
	// Every key becomes a file.
	// A change of the Secret rolls the pods.
	// +required
	// +kubebuilder:validation:MinLength=1
	Secret string `json:"secret"`

	// SubPath is a directory below the domain's own cert: directory.
	// It is relative and has no '..' segment.
	// Default: the directory itself.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !('/' + self + '/').contains('/../')",message="subPath must be relative and must not contain a '..' segment: name a directory below cert:///"
	SubPath string `json:"subPath,omitempty"`
}

// CertType says who sees a certificate.
// +kubebuilder:validation:Enum=sharedcerts;usrcerts
type CertType string

// The types of certificates.
const (
	CertTypeSharedCerts CertType = "sharedcerts"
	CertTypeUsrCerts    CertType = "usrcerts"
)

// DPApp is the configuration and the files of a domain.
type DPApp struct {
	// Config names ConfigMaps with .cfg files, which are read in this order.
	// A change of their content rolls the pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:items:MinLength=1
	Config []string `json:"config,omitempty"`

	// Local names ConfigMaps that hold a .tar.gz file each, which is unpacked into local:///.
	// Where files clash the last one wins.
	// A change of their content rolls the pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:items:MinLength=1
	Local []string `json:"local,omitempty"`
}

// DomainSettings are settings of a domain.
type DomainSettings struct {
	// Passphrase encrypts passwords in the domain's configuration.
	// +optional
	Passphrase *Passphrase `json:"passphrase,omitempty"`
}

// Passphrase is a passphrase: the user's own or a generated one.
//
// +kubebuilder:validation:XValidation:rule="(has(self.secret) && self.secret.size() > 0) != (has(self.generate) && self.generate)",message="set exactly one of secret and 'generate: true' for the passphrase"
type Passphrase struct {
	// Generate makes the operator create a Secret with a random passphrase.
	// Default: false.
	// The Secret is listed in status.generated.
	// +optional
	Generate *bool `json:"generate,omitempty"`

	// Secret names a Secret with the key passphrase.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret,omitempty"`
}

// PasswordMapEntry is a password alias: the user's own password or a generated one.
//
// +kubebuilder:validation:XValidation:rule="(has(self.secret) && self.secret.size() > 0) != (has(self.generate) && self.generate)",message="set exactly one of secret and 'generate: true' for the password alias"
type PasswordMapEntry struct {
	// Alias is the name by which the configuration refers to the password.
	// It must not contain control characters, double quotes or backslashes.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'[\p{Cc}"\\]')`,message="alias must not contain control characters, double quotes or backslashes: use letters, digits, '_', '-' and '.'"
	Alias string `json:"alias"`

	// Generate makes the operator create a Secret with a random password.
	// Default: false.
	// The Secret is listed in status.generated.
	// +optional
	Generate *bool `json:"generate,omitempty"`

	// Secret names a Secret with the key password.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret,omitempty"`
}
