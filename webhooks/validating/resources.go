package validating

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// The least that a gateway needs.
var (
	minimumCPURequest = resource.MustParse("100m")
	minimumCPULimit   = resource.MustParse("500m")
	minimumMemory     = resource.MustParse("2Gi")
)

func (f *findings) resources(resources *v1beta3.Resources, path *field.Path) {
	if resources == nil {
		return
	}
	requests, limits := orEmpty(resources.Requests), orEmpty(resources.Limits)
	const notDecimal = " (a G is less than a Gi)"
	f.quantityAtLeast(path.Child("requests", "cpu"), requests.CPU, minimumCPURequest, "requests.cpu must be at least 100m: raise it")
	f.quantityAtLeast(path.Child("requests", "memory"), requests.Memory, minimumMemory,
		"requests.memory must be at least 2Gi: raise it"+notDecimal)
	f.quantityAtLeast(path.Child("limits", "cpu"), limits.CPU, minimumCPULimit, "limits.cpu must be at least 500m: raise it")
	f.quantityAtLeast(path.Child("limits", "memory"), limits.Memory, minimumMemory,
		"limits.memory must be at least 2Gi: raise it"+notDecimal)
	f.notAbove(path.Child("requests", "cpu"), requests.CPU, limits.CPU, "requests.cpu", "limits.cpu")
	f.notAbove(path.Child("requests", "memory"), requests.Memory, limits.Memory, "requests.memory", "limits.memory")
}

func (f *findings) quantityAtLeast(path *field.Path, value *resource.Quantity, least resource.Quantity, detail string) {
	if value != nil && value.Cmp(least) < 0 {
		f.invalid(path, stringKind, detail)
	}
}

func (f *findings) notAbove(path *field.Path, request, limit *resource.Quantity, requestName, limitName string) {
	if request != nil && limit != nil && request.Cmp(*limit) > 0 {
		f.invalid(path, stringKind, fmt.Sprintf("%s must not exceed %s: lower the request or raise the limit", requestName, limitName))
	}
}

func orEmpty[T any](value *T) T {
	if value == nil {
		var empty T
		return empty
	}
	return *value
}
