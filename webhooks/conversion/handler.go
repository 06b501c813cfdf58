package conversion

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Path is where the handler is served.
const Path = "/convert"

// maxReviewBytes bounds a review. The API server stores objects of at most 1.5 MiB, reads most of them one by one, and
// sends a review of several only for what it holds in memory itself.
const maxReviewBytes = 64 << 20

const reviewKind = "ConversionReview"

// ReviewVersions are the versions of ConversionReview that the handler understands, the preferred one first. They have
// the same fields.
func ReviewVersions() []string { return []string{"v1", "v1beta1"} }

// errPanic is what a caller gets to know of a panic.
var errPanic = errors.New("internal error while converting; the log of the conversion webhook has more")

// Handler answers the ConversionReviews of an API server. Make it with [NewHandler].
type Handler struct {
	convert func(object map[string]any, to string) ([]byte, error)
	metrics *Metrics
	log     logr.Logger
}

// NewHandler returns a handler that converts with c. It counts in metrics, which may be nil.
func NewHandler(c Converter, metrics *Metrics, log logr.Logger) *Handler {
	return &Handler{convert: c.convert, metrics: metrics, log: log}
}

// ServeHTTP answers one review. What is no review gets a status of 4xx. A review with an object that does not convert
// gets an answer that names the object, as the protocol wants: all objects convert, or none.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	review, status, err := readReview(w, r)
	if err != nil {
		h.log.V(1).Info("refused a request that is no ConversionReview", "reason", err.Error())
		http.Error(w, err.Error(), status)
		return
	}
	review.Response = h.respond(review.Request)
	review.Request = nil
	answer, err := json.Marshal(review)
	if err != nil {
		h.log.Error(err, "encoding the answer to a ConversionReview")
		http.Error(w, "encoding the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(answer); err != nil {
		h.log.V(1).Info("the caller of a conversion went away", "reason", err.Error())
	}
	h.metrics.took(time.Since(started))
}

// readReview reads a review with a request. The status is for an error.
func readReview(w http.ResponseWriter, r *http.Request) (*apiextensionsv1.ConversionReview, int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, http.StatusMethodNotAllowed, errors.New("a ConversionReview is sent by POST")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, http.StatusUnsupportedMediaType, errors.New("a ConversionReview is application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReviewBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("a ConversionReview has at most %d bytes", maxReviewBytes)
	case err != nil:
		return nil, http.StatusBadRequest, errors.New("reading the ConversionReview failed")
	}
	review := &apiextensionsv1.ConversionReview{}
	if err := json.Unmarshal(body, review); err != nil {
		return nil, http.StatusBadRequest, errors.New("no JSON of a ConversionReview")
	}
	gv := review.GroupVersionKind()
	if gv.Group != apiextensionsv1.GroupName || gv.Kind != reviewKind || !slices.Contains(ReviewVersions(), gv.Version) {
		return nil, http.StatusBadRequest, fmt.Errorf("want a %s of %s, version %v", reviewKind, apiextensionsv1.GroupName, ReviewVersions())
	}
	if review.Request == nil {
		return nil, http.StatusBadRequest, errors.New("the ConversionReview has no request")
	}
	return review, 0, nil
}

// respond converts the objects of a request, in their order.
func (h *Handler) respond(request *apiextensionsv1.ConversionRequest) *apiextensionsv1.ConversionResponse {
	to, err := versionOf(request.DesiredAPIVersion)
	if err != nil {
		return h.failed(request.UID, fmt.Errorf("desiredAPIVersion: %w", err))
	}
	converted := make([]runtime.RawExtension, len(request.Objects))
	for i, object := range request.Objects {
		raw, err := h.object(object.Raw, to)
		if err != nil {
			return h.failed(request.UID, fmt.Errorf("objects[%d]: %w", i, err))
		}
		converted[i].Raw = raw
	}
	return &apiextensionsv1.ConversionResponse{
		UID: request.UID, ConvertedObjects: converted, Result: metav1.Status{Status: metav1.StatusSuccess},
	}
}

// object converts one object and counts it.
func (h *Handler) object(raw []byte, to string) (out []byte, err error) {
	from := ""
	defer func() {
		if cause := recover(); cause != nil {
			// The API server could not read any of its objects if one bad object ended the process.
			h.log.Error(errPanic, "converting", "from", from, "to", to, "panic", fmt.Sprintf("%T", cause))
			out, err = nil, errPanic
		}
		h.metrics.converted(from, to, err)
	}()
	object, err := decode(raw)
	if err != nil {
		return nil, err
	}
	from, _ = versionOf(object["apiVersion"]) // an unknown one is the conversion's affair
	return h.convert(object, to)
}

// failed is the answer to a request that cannot be fulfilled. Errors of this package carry no values of objects.
func (h *Handler) failed(uid types.UID, err error) *apiextensionsv1.ConversionResponse {
	h.log.Error(err, "a conversion failed")
	return &apiextensionsv1.ConversionResponse{UID: uid, Result: metav1.Status{
		Status: metav1.StatusFailure, Message: err.Error(), Reason: metav1.StatusReasonInvalid,
	}}
}
