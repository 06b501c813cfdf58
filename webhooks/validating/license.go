package validating

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

var (
	licenseID = regexp.MustCompile(`^L-[A-Z0-9]{4}-[A-Z0-9]{6}$`)
	// exactVersion is the form of an exact version. One of this form is accepted although the catalogue does not know
	// it: DataPower is released more often than this operator.
	exactVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(sr[0-9]+|\.[0-9]+)?$`)
)

// verdict is what becomes of a licence without ID.
type verdict int

const (
	refused  verdict = iota
	warned           // the service was made with an API version that has no such field
	accepted         // the user writes such a version
)

// license validates the licence.
func (f *findings) license(spec *v1beta3.DataPowerServiceSpec, catalogue Catalogue, unnamed verdict) {
	license, path := spec.License, specPath.Child("license")
	if !license.Accept {
		f.invalid(path.Child("accept"), booleanKind,
			"license.accept must be true: accept the licence named in license.license to run DataPower")
	}
	requiredOneOf(f, path.Child("use"), license.Use, v1beta3.LicenseUseProduction, v1beta3.LicenseUseNonproduction,
		v1beta3.LicenseUseDevelopers, v1beta3.LicenseUseDevelopersLimited)
	idPath := path.Child("license")
	switch {
	case license.License == "" && unnamed == accepted:
	case license.License == "" && unnamed == warned:
		f.warn(idPath, "is not set, because the service was made with an older API version: name the licence")
	case license.License == "":
		f.required(idPath, "name the licence that license.accept accepts, for example L-EYGU-PVGRBC")
	case !licenseID.MatchString(license.License):
		f.invalid(idPath, stringKind, "must be the ID of a licence, for example L-EYGU-PVGRBC")
	default:
		f.knownLicense(spec, catalogue)
	}
}

// knownLicense warns of a licence that the catalogue does not know, or knows to be for something else.
func (f *findings) knownLicense(spec *v1beta3.DataPowerServiceSpec, catalogue Catalogue) {
	id, path := spec.License.License, specPath.Child("license", "license")
	uses, known := catalogue.LicenseUses(id)
	if !known {
		f.warn(path, "is not in the catalogue: check that it belongs to the version and the use")
	}
	if len(uses) > 0 && !slices.Contains(uses, string(spec.License.Use)) {
		f.warn(path, fmt.Sprintf("is not for use %s: it covers %s", spec.License.Use, strings.Join(uses, ", ")))
	}
	if ids := catalogue.LicensesOf(spec.Version); len(ids) > 0 && !slices.Contains(ids, id) {
		f.warn(path, "is stale: it does not belong to spec.version; accept one of "+strings.Join(ids, ", "))
	}
}

func (f *findings) version(spec *v1beta3.DataPowerServiceSpec, catalogue Catalogue) {
	path := specPath.Child("version")
	exact, known := catalogue.Resolve(spec.Version)
	isExact := exactVersion.MatchString(spec.Version)
	channels := catalogue.Channels()
	switch {
	case spec.Version == "":
		f.required(path, "name an exact version such as 10.6.0.1 or one of the channels "+strings.Join(channels, ", "))
	case isExact && !known:
		f.warn(path, "is not in the catalogue: it is used as it is")
	case !known:
		f.invalid(path, stringKind, "must be an exact version such as 10.6.0.1 or one of the channels "+strings.Join(channels, ", "))
	case !isExact && !slices.Contains(channels, spec.Version):
		f.warn(path, "is a former name: "+currentName(exact, catalogue))
	}
}

// currentName says which channel leads to an exact version.
func currentName(exact string, catalogue Catalogue) string {
	for _, channel := range catalogue.Channels() {
		if other, _ := catalogue.Resolve(channel); other == exact {
			return "the channel is called " + channel + " today"
		}
	}
	return "it stands for " + exact
}
