package validating

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Catalogue is what is known of versions and licences. The chart's values hold it.
type Catalogue interface {
	// Channels are the names of the channels of today.
	Channels() []string
	// Resolve turns a version, a channel, or a former name of a channel into an exact version. known is false when the
	// catalogue has no entry; the name then comes back as it was.
	Resolve(name string) (exact string, known bool)
	// LicensesOf are the IDs of the licences that belong to a version, named as for Resolve. Empty means that the
	// catalogue does not know.
	LicensesOf(name string) []string
	// LicenseUses are the values of spec.license.use that a licence covers; empty means that the catalogue does not
	// know. known is false when it has no such licence.
	LicenseUses(id string) (uses []string, known bool)
}

// Service validates a DataPowerService that is created (old is nil) or updated from old. A service that is being
// deleted is not validated, so that its finalizers can go, and neither is a spec that the update leaves as it was. An
// update may keep a licence without ID, which services of older API versions have, as long as it leaves the licence
// alone.
func Service(svc, old *v1beta3.DataPowerService, catalogue Catalogue) (field.ErrorList, []string) {
	if svc.DeletionTimestamp != nil {
		return nil, nil
	}
	f := &findings{}
	f.annotations(svc, old)
	if old == nil {
		f.name(svc.Name)
	} else if equality.Semantic.DeepEqual(old.Spec, svc.Spec) {
		return f.errors, f.warnings
	}
	unnamed := refused
	if old != nil && old.Spec.License == svc.Spec.License {
		unnamed = warned
	}
	f.license(&svc.Spec, catalogue, unnamed)
	f.spec(&svc.Spec, catalogue)
	if old != nil {
		f.immutable(&svc.Spec, &old.Spec)
	}
	return f.errors, f.warnings
}

// Stored validates a DataPowerService as it is stored, for the reconcile: whatever let it in, it is judged like a new
// one. Only a licence without ID passes with a warning, because older API versions have none, and annotations are not
// looked at, because the operator ignores those that it does not understand.
func Stored(svc *v1beta3.DataPowerService, catalogue Catalogue) (field.ErrorList, []string) {
	if svc.DeletionTimestamp != nil {
		return nil, nil
	}
	f := &findings{}
	f.name(svc.Name)
	f.license(&svc.Spec, catalogue, warned)
	f.spec(&svc.Spec, catalogue)
	return f.errors, f.warnings
}

// specPath is the path of the spec.
var specPath = field.NewPath("spec")

// spec validates all of the spec but the licence.
func (f *findings) spec(spec *v1beta3.DataPowerServiceSpec, catalogue Catalogue) {
	f.version(spec, catalogue)
	f.users(spec.Users, specPath.Child("users"))
	f.domains(spec.Domains, specPath.Child("domains"))
	f.container(spec)
	f.resources(spec.Resources, specPath.Child("resources"))
	f.probes(spec)
	f.healthCheck(spec.HealthCheck, specPath.Child("healthCheck"))
	f.pods(spec)
	f.storage(spec.Storage, specPath.Child("storage"))
	f.scaling(spec)
	f.gateway(spec)
	f.tracing(spec)
}
