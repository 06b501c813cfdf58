package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/webhooks/validating"
)

// errUnreadable says that an object does not have the form of its kind. It names the field, never the value.
var errUnreadable = errors.New("the object does not have the form of its kind")

// findings are what is wrong with an object.
type findings struct {
	errors   field.ErrorList
	warnings []string
}

// judge validates the object of a request. It fails when there is nothing that could be validated.
func (w *Webhooks) judge(ctx context.Context, kind Kind, request admission.Request) (findings, error) {
	raw, old := request.Object.Raw, request.OldObject.Raw
	if kind.Name == monitorKind {
		return judged(raw, old, func(monitor, old *v1beta2.DataPowerMonitor) (field.ErrorList, []string) {
			// The monitor that the operator itself makes is owned by its service.
			exists := old == nil && len(monitor.OwnerReferences) == 0 && w.ServiceExists(ctx, request.Namespace, monitor.Name)
			return validating.Monitor(monitor, old, exists)
		})
	}
	switch request.Kind.Version {
	case "v1beta1":
		return judged(raw, old, func(svc, old *v1beta1.DataPowerService) (field.ErrorList, []string) {
			return validating.ServiceV1beta1(svc, old, w.Catalogue)
		})
	case "v1beta2":
		return judged(raw, old, func(svc, old *v1beta2.DataPowerService) (field.ErrorList, []string) {
			return validating.ServiceV1beta2(svc, old, w.Catalogue)
		})
	}
	return judged(raw, old, func(svc, old *v1beta3.DataPowerService) (field.ErrorList, []string) {
		return validating.Service(svc, old, w.Catalogue)
	})
}

// judged decodes an object and the one that it replaces, which is nil for a creation, and validates them. Unknown
// fields become warnings. A stored object that cannot be read is taken for none: it must be possible to replace it.
func judged[T any](raw, old []byte, validate func(object, old *T) (field.ErrorList, []string)) (findings, error) {
	object := new(T)
	unknown, err := decode(raw, object)
	if err != nil {
		return findings{}, err
	}
	var replaced *T
	if len(old) > 0 {
		was := new(T)
		if _, err := decode(old, was); err == nil {
			replaced = was
		}
	}
	errs, warnings := validate(object, replaced)
	return findings{errors: errs, warnings: append(unknownFields(unknown), warnings...)}, nil
}

// decode reads an object. unknown are the errors that only a strict reader has.
func decode(raw []byte, into any) (unknown []error, err error) {
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return nil, fmt.Errorf("%w: it is no JSON object", errUnreadable)
	}
	unknown, err = kjson.UnmarshalStrict(raw, into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return nil, fmt.Errorf("%w: %s has another type", errUnreadable, wrongType.Field)
	case err != nil:
		// The texts of other errors may hold pieces of the object.
		return nil, errUnreadable
	}
	return unknown, nil
}

// unknownPrefix begins the errors of sigs.k8s.io/json about unknown fields; the quoted path follows.
const unknownPrefix = "unknown field "

// maxUnknown bounds the warnings about unknown fields, of which an object can have very many.
const maxUnknown = 20

func unknownFields(strict []error) []string {
	var warnings []string
	for _, problem := range strict {
		quoted, isUnknown := strings.CutPrefix(problem.Error(), unknownPrefix)
		path, err := strconv.Unquote(quoted)
		if !isUnknown || err != nil || strings.HasPrefix(path, "status") {
			continue
		}
		if len(warnings) == maxUnknown {
			return append(warnings, "there are more unknown fields")
		}
		warnings = append(warnings, strconv.Quote(path)+" is unknown and has no effect: check its spelling")
	}
	return warnings
}
