package conversion

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Typed converts in to the version of out with the zero Converter. Each is a *DataPowerService of v1beta1, v1beta2 or
// v1beta3. It fails with ErrUnknownKind or ErrTooLarge.
func Typed(in, out runtime.Object) error { return Converter{}.Typed(in, out) }

// Typed converts in to the version of out, which is overwritten. Each is a *DataPowerService of v1beta1, v1beta2 or
// v1beta3; in stays as it is, its TypeMeta does not matter. Go types cannot tell an absent field from a zero one where
// the API has no pointer, so what webhooks get from an API server is better converted as JSON. It fails with
// ErrUnknownKind or ErrTooLarge.
func (c Converter) Typed(in, out runtime.Object) error {
	from, err := versionOfType(in)
	if err != nil {
		return err
	}
	to, err := versionOfType(out)
	if err != nil {
		return err
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(in)
	if err != nil {
		return fmt.Errorf("encoding a DataPowerService of %s: %w", from, err)
	}
	object["apiVersion"], object["kind"] = datapower.Group+"/"+from, serviceKind
	dropEmptyLicense(object)
	if object, err = c.service(object, to); err != nil {
		return err
	}
	empty(out)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, out); err != nil {
		return fmt.Errorf("decoding a DataPowerService of %s: %w", to, err)
	}
	return nil
}

// dropEmptyLicense removes a licence that is only there because its Go type has no way to leave it out.
func dropEmptyLicense(object map[string]any) {
	spec, _ := object["spec"].(map[string]any)
	if license, _ := spec["license"].(map[string]any); license["license"] == "" {
		delete(license, "license")
	}
}

func versionOfType(object runtime.Object) (string, error) {
	switch object.(type) {
	case *v1beta1.DataPowerService:
		return beta1, nil
	case *v1beta2.DataPowerService:
		return beta2, nil
	case *v1beta3.DataPowerService:
		return hub, nil
	default:
		return "", fmt.Errorf("%w %T", ErrUnknownKind, object)
	}
}

// empty clears what decoding would leave untouched.
func empty(object runtime.Object) {
	switch o := object.(type) {
	case *v1beta1.DataPowerService:
		*o = v1beta1.DataPowerService{}
	case *v1beta2.DataPowerService:
		*o = v1beta2.DataPowerService{}
	case *v1beta3.DataPowerService:
		*o = v1beta3.DataPowerService{}
	}
}
