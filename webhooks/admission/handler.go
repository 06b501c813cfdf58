package admission

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/webhooks/defaulting"
	"github.com/datapower-operator/datapower-operator/webhooks/validating"
)

// Webhooks are what the answers depend on.
type Webhooks struct {
	// Defaults are the chart's.
	Defaults defaulting.Defaults
	// Catalogue is what is known of versions and licences.
	Catalogue validating.Catalogue
	// ServiceExists tells whether there is a DataPowerService. It answers at once and from a cache; when it does not
	// know it says false, and a warning is left out.
	ServiceExists func(ctx context.Context, namespace, name string) bool
	// Metrics count the answers.
	Metrics *Metrics
	// Clock times them.
	Clock clock.PassiveClock
}

// Handlers are the webhooks by path.
func (w *Webhooks) Handlers() map[string]http.Handler {
	handlers := map[string]http.Handler{}
	for _, kind := range Kinds() {
		defaulter := &admission.Webhook{Handler: w.counted(defaulterName, kind, w.byDefault)}
		validator := &admission.Webhook{Handler: w.counted(validatorName, kind, w.validate)}
		for _, version := range kind.Versions {
			handlers[kind.DefaultPath(version)] = defaulter
			handlers[kind.ValidatePath(version)] = validator
		}
	}
	return handlers
}

// errWrongKind says that a request is about an object of another kind than the path is for.
var errWrongKind = errors.New("this webhook is for another kind")

// answer is what a webhook makes of a request. It may take the kind of the request's object for granted.
type answer func(ctx context.Context, kind Kind, request admission.Request) admission.Response

// counted answers what needs no webhook, and counts.
func (w *Webhooks) counted(webhook string, kind Kind, answer answer) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, request admission.Request) admission.Response {
		begun := w.Clock.Now()
		response := w.dispatch(ctx, kind, request, answer)
		w.Metrics.observe(webhook, kind, request.Kind.Version, response, w.Clock.Since(begun))
		return response
	})
}

func (w *Webhooks) dispatch(ctx context.Context, kind Kind, request admission.Request, answer answer) admission.Response {
	creates, updates := request.Operation == admissionv1.Create, request.Operation == admissionv1.Update
	switch {
	case !creates && !updates || request.SubResource != "":
		return admission.Allowed("")
	case request.Kind.Group != datapower.Group || request.Kind.Kind != kind.Name || !kind.known(request.Kind.Version):
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("%w: it is for %s", errWrongKind, kind.Name))
	case creates:
		request.OldObject.Raw = nil
	}
	return answer(ctx, kind, request)
}

// byDefault answers with what defaulting adds.
func (w *Webhooks) byDefault(_ context.Context, _ Kind, request admission.Request) admission.Response {
	filled, err := defaulting.JSON(request.Object.Raw, request.OldObject.Raw, w.Defaults)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, filled)
}

// validate answers with all errors and warnings at once.
func (w *Webhooks) validate(ctx context.Context, kind Kind, request admission.Request) admission.Response {
	found, err := w.judge(ctx, kind, request)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	response := admission.Allowed("")
	if len(found.errors) > 0 {
		status := apierrors.NewInvalid(schema.GroupKind{Group: request.Kind.Group, Kind: request.Kind.Kind}, request.Name, found.errors).Status()
		response = admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: &status}}
	}
	response.Warnings = found.warnings
	return response
}

// verdict names the outcome of a request. A refusal is HTTP 200 like anything else, so only this tells it.
func verdict(response admission.Response) string {
	switch {
	case response.Allowed && len(response.Patches) > 0:
		return verdictPatched
	case response.Allowed:
		return verdictAllowed
	case response.Result != nil && response.Result.Reason == metav1.StatusReasonInvalid:
		return verdictRefused
	}
	return verdictFailed
}

// Verdicts, as metrics have them.
const (
	verdictAllowed = "allowed"
	verdictPatched = "patched"
	verdictRefused = "refused"
	verdictFailed  = "failed"
)

var verdicts = []string{verdictAllowed, verdictPatched, verdictRefused, verdictFailed}

// Names of the webhooks in metrics.
const (
	defaulterName = "defaulter"
	validatorName = "validator"
)
