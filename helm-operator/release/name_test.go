package release_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/datapower-operator/datapower-operator/helm-operator/release"
)

func TestAReleaseHasTheNameOfItsResourceAsFarAsHelmAcceptsIt(t *testing.T) {
	short := strings.Repeat("a", 53)
	assert.Equal(t, short, release.NameFor(short))
	// A name that ODA Canvas gives.
	long := "ctk-productcatalogmanagement-productcatalogmanagement-v4"
	assert.Equal(t, "ctk-productcatalogmanagement-productcatalogm-6026fc7b", release.NameFor(long))
	assert.NoError(t, chartutil.ValidateReleaseName(release.NameFor(long)))
	assert.NotEqual(t, release.NameFor(long), release.NameFor(long[:len(long)-1]+"5"), "names that differ late give releases that differ")
}

func TestAShortenedNameMayEndAnywhere(t *testing.T) {
	for _, name := range []string{strings.Repeat("a.", 40) + "a", strings.Repeat("a-", 40) + "a", strings.Repeat("a", 43) + "." + strings.Repeat("b", 40)} {
		assert.NoError(t, chartutil.ValidateReleaseName(release.NameFor(name)), name)
	}
}
