package validating_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utiljson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/webhooks/validating"
)

func loadCatalogue(t testing.TB) validating.Catalogue {
	t.Helper()
	values, err := os.ReadFile("../../helm-charts/datapowerservice/values.yaml")
	require.NoError(t, err)
	c, err := catalogue.Parse(values)
	require.NoError(t, err)
	return c
}

// smallCatalogue knows more of few versions than the chart knows of many.
type smallCatalogue struct{}

func (smallCatalogue) Channels() []string { return []string{"10.5-lts", "10.6-lts"} }

func (smallCatalogue) Resolve(name string) (string, bool) {
	exact, known := map[string]string{
		"10.5-lts": "10.5.0.1", "10.6-lts": "10.6.0.1", "10.6-eus": "10.6.0.1", "10.4-old": "10.4.0.1", "10.6.0.1": "10.6.0.1",
	}[name]
	if !known {
		return name, false
	}
	return exact, true
}

func (smallCatalogue) LicensesOf(name string) []string {
	if name == "10.6.0.1" || name == "10.6-lts" {
		return []string{"L-AAAA-AAAAAA", "L-BBBB-BBBBBB"}
	}
	return nil
}

func (smallCatalogue) LicenseUses(id string) ([]string, bool) {
	uses, known := map[string][]string{
		"L-AAAA-AAAAAA": {"production"}, "L-BBBB-BBBBBB": nil, "L-CCCC-CCCCCC": {"nonproduction", "developers"},
	}[id]
	return uses, known
}

// valid is a spec without errors and warnings.
const valid = `license: {accept: true, use: production, license: L-AAAA-AAAAAA}
version: 10.6.0.1
users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}]
`

// service is a valid service with these fields of the spec in place of its own.
func service(t testing.TB, spec string) *v1beta3.DataPowerService {
	t.Helper()
	svc := &v1beta3.DataPowerService{}
	svc.Name, svc.Namespace = "gw", "ns"
	decode(t, overlaid(t, valid, spec), &svc.Spec)
	return svc
}

func overlaid(t testing.TB, base, over string) map[string]any {
	t.Helper()
	object := map[string]any{}
	for _, text := range []string{base, over} {
		fields := map[string]any{}
		require.NoError(t, yaml.Unmarshal([]byte(text), &fields), text)
		for name, value := range fields {
			object[name] = value
		}
	}
	return object
}

// decode decodes strictly, so that a misspelled field of a test does not go unseen.
func decode(t testing.TB, object, into any) {
	t.Helper()
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	strict, err := utiljson.UnmarshalStrict(raw, into)
	require.NoError(t, err)
	require.Empty(t, strict)
}

func texts(errors field.ErrorList) []string {
	var out []string
	for _, err := range errors {
		out = append(out, err.Error())
	}
	return out
}
