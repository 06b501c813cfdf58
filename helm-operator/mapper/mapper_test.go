package mapper_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
)

func TestAKindWithoutAMapperNeedsNothing(t *testing.T) {
	cr := &unstructured.Unstructured{}
	refs, err := mapper.None{}.References(cr)
	require.NoError(t, err)
	assert.Empty(t, refs)
	generated, err := mapper.None{}.Generated(cr)
	require.NoError(t, err)
	assert.Empty(t, generated)
	values, err := mapper.None{}.Map(context.Background(), cr, nil)
	require.NoError(t, err)
	assert.Nil(t, values, "no key is added to the values")
}

func TestAHoldIsShownInItsOwnWords(t *testing.T) {
	assert.EqualError(t, &mapper.HoldError{Reason: "ReferenceNotFound", Message: "Secret x not found"}, "Secret x not found")
}
