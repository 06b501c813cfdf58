package exposure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Resources that people published, with what upstream's operator makes of them: the URL is the gateway's address and the
// path.
func TestPublishedResourcesGetTheirURL(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "samples", "exposedapi", "*.yaml"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("the published resources are not here")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			u := object(t, string(text))
			r := readResource(u)
			require.Empty(t, r.specError)
			got := Compute(in(t, r.API))
			spec := u.Object["spec"].(map[string]any)
			want := APIStatus{Name: u.GetName(), UID: routeUID, Path: spec["path"].(string), Port: spec["port"].(int64),
				Implementation: spec["implementation"].(string), URL: "https://203.0.113.10" + spec["path"].(string), IP: "203.0.113.10"}
			if ui, found := spec["developerUI"]; found {
				want.DeveloperUI = "https://203.0.113.10" + ui.(string)
			}
			assert.Equal(t, want, *got.APIStatus)
			assert.Equal(t, "True Routed", says(got, "Routed"))
		})
	}
}
