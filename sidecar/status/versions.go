package status

import (
	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
)

// versionsOf takes the version in use from the StatefulSet's label, where the
// chart puts what it rendered, and the available ones from the catalogue.
func versionsOf(in Input) v1beta3.Versions {
	versions := v1beta3.Versions{Available: &v1beta3.AvailableVersions{
		Channels: available(in, in.Catalogue.Channels()),
		Versions: available(in, in.Catalogue.Versions()),
	}}
	if in.StatefulSet != nil {
		versions.Reconciled = in.StatefulSet.Labels[datapower.VersionLabel]
	}
	return versions
}

func available(in Input, names []string) []v1beta3.AvailableVersion {
	found := make([]v1beta3.AvailableVersion, 0, len(names))
	for _, name := range names {
		entry := v1beta3.AvailableVersion{Name: name, Licenses: []v1beta3.AvailableLicense{}}
		for _, id := range in.Catalogue.LicensesOf(name) {
			if license, known := in.Catalogue.License(id); known {
				entry.Licenses = append(entry.Licenses, availableLicense(in, license))
			}
		}
		found = append(found, entry)
	}
	return found
}

func availableLicense(in Input, license catalogue.License) v1beta3.AvailableLicense {
	return v1beta3.AvailableLicense{
		Name:               license.ID,
		DisplayName:        license.DisplayName,
		Link:               license.Link,
		MatchesCurrentType: license.Covers(string(in.Service.Spec.License.Use)),
	}
}
