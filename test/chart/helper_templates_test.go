// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// call includes one named template of the chart with an argument and returns what it prints.
func call(t testing.TB, name string, argument any) (string, error) {
	t.Helper()
	return callAs(t, release{releaseName, releaseNamespace}, fmt.Sprintf(`{{ include %q .Values.argument }}`, name), argument)
}

// callAs renders one template text beside the chart's named templates.
func callAs(t testing.TB, r release, text string, argument any) (string, error) {
	t.Helper()
	lone := &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: "lone", Version: "0.0.0"},
		Templates: []*chart.File{{Name: "templates/call.txt", Data: []byte(text)}},
	}
	for _, file := range loadChart(t).Templates {
		if strings.HasSuffix(file.Name, ".tpl") {
			lone.Templates = append(lone.Templates, file)
		}
	}
	files, err := renderFiles(lone, r, map[string]any{"argument": argument})
	return files["lone/templates/call.txt"], err
}

func TestQuantitiesAreUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		quantity any
		milli    float64
		text     string
		ceil     string
	}{
		"a whole number as text":                   {"1", 1000, "1", "1"},
		"a whole number from JSON":                 {float64(1), 1000, "1", "1"},
		"a whole number of Go":                     {int64(4), 4000, "4", "4"},
		"a whole number of encoding/json":          {json.Number("2"), 2000, "2", "2"},
		"a large number from JSON has no exponent": {float64(8589934592), 8589934592000, "8589934592", "8589934592"},
		"thousandths":                              {"500m", 500, "500m", "1"},
		"more thousandths than a whole":            {"1500m", 1500, "1500m", "2"},
		"exactly whole thousandths":                {"2000m", 2000, "2000m", "2"},
		"a decimal fraction":                       {"0.1", 100, "0.1", "1"},
		"a decimal fraction from JSON":             {0.5, 500, "0.5", "1"},
		"a fraction without its zero":              {".5", 500, ".5", "1"},
		"a number that ends in a dot":              {"3.", 3000, "3.", "3"},
		"a sign":                                   {"+2", 2000, "+2", "2"},
		"kilo":                                     {"2k", 2e6, "2k", "2000"},
		"mega":                                     {"1M", 1e9, "1M", "1000000"},
		"giga":                                     {"1G", 1e12, "1G", "1000000000"},
		"tera":                                     {"1T", 1e15, "1T", "1000000000000"},
		"peta":                                     {"1P", 1e18, "1P", "1000000000000000"},
		"exa":                                      {"1E", 1e21, "1E", "1000000000000000000"},
		"kibi":                                     {"1Ki", 1024e3, "1Ki", "1024"},
		"mebi":                                     {"1Mi", 1048576e3, "1Mi", "1048576"},
		"gibi":                                     {"4Gi", 4294967296e3, "4Gi", "4294967296"},
		"tebi":                                     {"1Ti", 1099511627776e3, "1Ti", "1099511627776"},
		"pebi":                                     {"1Pi", 1125899906842624e3, "1Pi", "1125899906842624"},
		"exbi":                                     {"1Ei", 1152921504606846976e3, "1Ei", "1152921504606846976"},
		"a fraction of a suffix":                   {"1.5Gi", 1610612736e3, "1.5Gi", "1610612736"},
		"an exponent":                              {"1e3", 1e6, "1e3", "1000"},
		"a capital exponent, which is not exa":     {"2E3", 2e6, "2E3", "2000"},
		"a negative exponent":                      {"5e-1", 500, "5e-1", "1"},
		"millionths":                               {"100u", 0.1, "100u", "1"},
		"billionths":                               {"5000000n", 5, "5000000n", "1"},
		"nothing is still one whole":               {"0", 0, "0", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := call(t, "datapowerservice.quantity.milli", c.quantity)
			require.NoError(t, err)
			milli, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			assert.InEpsilon(t, c.milli+1, milli+1, 1e-15)
			text, err = call(t, "datapowerservice.quantity", c.quantity)
			require.NoError(t, err)
			assert.Equal(t, c.text, text)
			text, err = call(t, "datapowerservice.quantity.ceil", c.quantity)
			require.NoError(t, err)
			assert.Equal(t, c.ceil, text)
			_, err = resource.ParseQuantity(c.text)
			assert.NoError(t, err, "Kubernetes must understand the text too")
		})
	}
}

func TestWhatIsNoQuantityIsRefused(t *testing.T) {
	for _, text := range []string{"", "Gi", "4gb", "1 Gi", "--1", "1Zi", "<nil>", "1e", "m"} {
		t.Run(text, func(t *testing.T) {
			_, err := call(t, "datapowerservice.quantity.milli", text)
			require.ErrorContains(t, err, "is no Kubernetes quantity")
		})
	}
}

func TestQuantitiesCompareAsInKubernetes(t *testing.T) {
	suffixes := []string{"m", "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}
	draw := rapid.Custom(func(r *rapid.T) string {
		number := strconv.Itoa(rapid.IntRange(0, 2048).Draw(r, "number"))
		if rapid.Bool().Draw(r, "fraction") {
			number += "." + strconv.Itoa(rapid.IntRange(0, 999).Draw(r, "decimals"))
		}
		return number + rapid.SampledFrom(suffixes).Draw(r, "suffix")
	})
	rapid.Check(t, func(r *rapid.T) {
		a, b := draw.Draw(r, "a"), draw.Draw(r, "b")
		qa, qb := resource.MustParse(a), resource.MustParse(b)
		if math.IsInf(qa.AsApproximateFloat64(), 0) || qa.Cmp(resource.MustParse("4Ei")) > 0 ||
			qb.Cmp(resource.MustParse("4Ei")) > 0 {
			r.Skip("more than Kubernetes can hold")
		}
		text, err := call(t, "datapowerservice.quantity.less", map[string]any{"a": a, "b": b})
		require.NoError(r, err)
		assert.Equal(r, qa.Cmp(qb) < 0, text == "true", "%s < %s", a, b)
	})
}

// generatedNames is the table that the Go function and the template share.
const generatedNames = "../../api/datapower/v1beta3/testdata/generated-names.json"

func TestGeneratedSecretsHaveTheNamesThatTheOperatorGivesThem(t *testing.T) {
	text, err := os.ReadFile(generatedNames)
	require.NoError(t, err)
	var cases []struct{ Why, Service, Domain, Alias, Name string }
	require.NoError(t, json.Unmarshal(text, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		t.Run(c.Why, func(t *testing.T) {
			got, err := call(t, "datapowerservice.generatedSecretName",
				map[string]any{"service": c.Service, "domain": c.Domain, "alias": c.Alias})
			require.NoError(t, err)
			assert.Equal(t, c.Name, got)
		})
	}
}

func TestTheInstanceLabelIsTheOperators(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.StringMatching(`[a-z][a-z0-9-]{0,50}[a-z0-9]`).Draw(r, "name")
		namespace := rapid.StringMatching(`[a-z][a-z0-9-]{0,60}[a-z0-9]`).Draw(r, "namespace")
		got, err := callAs(t, release{name, namespace}, `{{ include "datapowerservice.instance" . }}`, nil)
		require.NoError(r, err)
		assert.Equal(r, datapower.InstanceLabelValue(namespace, name), got)
		assert.Empty(r, validation.IsValidLabelValue(got))
	})
}

func TestALongInstanceLabelIsCutAndMarked(t *testing.T) {
	got, err := callAs(t, release{strings.Repeat("n", 30), strings.Repeat("s", 40)},
		`{{ include "datapowerservice.instance" . }}`, nil)
	require.NoError(t, err)
	// The hash is what sha256sum prints for the 71 characters.
	assert.Equal(t, strings.Repeat("s", 40)+"-"+strings.Repeat("n", 13)+"-a14abe32", got)
	assert.Len(t, got, 63)
}

func TestVolumeNamesAreLegalAndDifferForDifferentPaths(t *testing.T) {
	paths := []string{
		"/a/b", "/a-b", "/a/b/", "//a/b", "/A/B", "/a/B", "/a_b", "/a.b", "/", "/a b", "/ä", "/a/-b", "/storage/a/b",
		"/" + strings.Repeat("x", 80), "/" + strings.Repeat("x", 81), "/" + strings.Repeat("x/", 40), "relative", "a/b",
	}
	seen := map[string]string{}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			name, err := call(t, "datapowerservice.volumeName", path)
			require.NoError(t, err)
			assert.Empty(t, validation.IsDNS1123Label(name), name)
			assert.Empty(t, seen[name], "two paths with the name %s", name)
			seen[name] = path
		})
	}
	assert.Equal(t, "/a/b", seen["storage-a-b"], "a plain path keeps a plain name")
}

func TestAnnotationKeysAreLegal(t *testing.T) {
	for name, want := range map[string]string{
		"admin":                 "datapower.ibm.com/user.admin.reconciled",
		"Ops_1.x":               "datapower.ibm.com/user.Ops_1.x.reconciled",
		"-dash":                 "datapower.ibm.com/user.-dash.reconciled",
		"with space":            "datapower.ibm.com/user." + datapower.ShortHash("with space") + ".reconciled",
		"Müller":                "datapower.ibm.com/user." + datapower.ShortHash("Müller") + ".reconciled",
		"a/b":                   "datapower.ibm.com/user." + datapower.ShortHash("a/b") + ".reconciled",
		strings.Repeat("x", 47): "datapower.ibm.com/user." + strings.Repeat("x", 47) + ".reconciled",
		strings.Repeat("x", 48): "datapower.ibm.com/user." + datapower.ShortHash(strings.Repeat("x", 48)) + ".reconciled",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := call(t, "datapowerservice.reconciledKey", map[string]any{"kind": "user", "name": name})
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Empty(t, validation.IsQualifiedName(got))
		})
	}
}

func TestTextsAreQuotedForTheGateway(t *testing.T) {
	for text, want := range map[string]string{
		`plain`: `"plain"`, `with "quotes"`: `"with \"quotes\""`, `back\slash`: `"back\\slash"`, `a\"b`: `"a\\\"b"`, ``: `""`,
	} {
		t.Run(text, func(t *testing.T) {
			got, err := call(t, "datapowerservice.cfgQuote", text)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestTheChartHoldsNothingButItsOwnFiles(t *testing.T) {
	allowed := map[string]bool{".tpl": true, ".yaml": true, ".txt": true, ".md": true, ".json": true, ".sh": true,
		".cfg": true, ".js": true, ".helmignore": true}
	err := filepath.WalkDir(chartFolder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !allowed[filepath.Ext(path)] {
			err = fmt.Errorf("%s: %w", path, errors.ErrUnsupported)
		}
		return err
	})
	require.NoError(t, err)
}
