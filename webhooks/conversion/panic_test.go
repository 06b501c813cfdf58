package conversion

import (
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestAPanicIsAnAnswerAndNotTheEndOfTheProcess(t *testing.T) {
	h := &Handler{convert: func(map[string]any, string) ([]byte, error) { panic("secret value") }, log: logr.Discard()}
	answer := h.respond(&apiextensionsv1.ConversionRequest{UID: "u", DesiredAPIVersion: "datapower.ibm.com/v1beta3",
		Objects: []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"datapower.ibm.com/v1beta1"}`)}}})
	assert.Equal(t, "Failure", answer.Result.Status)
	assert.Contains(t, answer.Result.Message, "internal error")
	assert.NotContains(t, answer.Result.Message, "secret value")
}
