package admission

import (
	"slices"
	"strings"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// Kind is a kind of custom resource that has webhooks.
type Kind struct {
	// Name is the kind, for example DataPowerService.
	Name string
	// Plural is the name of its resource.
	Plural string
	// Versions are its API versions, oldest first.
	Versions []string
}

// Kinds are all kinds that have webhooks.
func Kinds() []Kind {
	return []Kind{
		{Name: serviceKind, Plural: "datapowerservices", Versions: []string{"v1beta1", "v1beta2", "v1beta3"}},
		{Name: monitorKind, Plural: "datapowermonitors", Versions: []string{"v1beta2"}},
	}
}

const (
	serviceKind = "DataPowerService"
	monitorKind = "DataPowerMonitor"
)

// Newest is the kind's newest version.
func (k Kind) Newest() string { return k.Versions[len(k.Versions)-1] }

// DefaultPath is where the defaulting webhook of a version is served. Every version is answered at every path of its
// kind; there are several because webhook configurations of older operators name theirs.
func (k Kind) DefaultPath(version string) string { return k.path("default", version) }

// ValidatePath is where the validating webhook of a version is served.
func (k Kind) ValidatePath(version string) string { return k.path("validate", version) }

func (k Kind) path(verb, version string) string {
	group := strings.ReplaceAll(datapower.Group, ".", "-")
	return "/" + strings.Join([]string{verb, group, version, strings.ToLower(k.Name)}, "-")
}

// known tells whether the kind has the version, which makes it fit for the label of a metric.
func (k Kind) known(version string) bool { return slices.Contains(k.Versions, version) }
