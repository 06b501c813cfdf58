package values_test

import (
	"strconv"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/values"
)

// environment stands in for the process's.
func environment(name string) string {
	return map[string]string{
		"TAG": "10.6.0.1", "PORT": "8080", "ENABLED": "true", "HOSTS": "[a, b]", "COMMAS": "a,b=c,d", "EMPTY": "",
		"ZERO": "0", "LEADING": "007", "NEGATIVE": "-5", "TEMPLATE": `{{ "x" | upper }}`,
	}[name]
}

func parse(t *testing.T, in map[string]any) *values.Overrides {
	t.Helper()
	o, err := values.ParseOverrides(in, environment)
	require.NoError(t, err)
	return o
}

// merge lays overrides over an empty spec.
func merge(t *testing.T, in map[string]any) map[string]any {
	t.Helper()
	v, err := parse(t, in).Merge(nil, nil)
	require.NoError(t, err)
	return v
}

func TestOverrideStringsTakeTheTypeThatTheyLookLike(t *testing.T) {
	tests := map[string]struct {
		value any
		want  any
	}{
		"a word":                               {"abc", "abc"},
		"nothing":                              {"", ""},
		"true":                                 {"true", true},
		"false":                                {"false", false},
		"null":                                 {"null", nil},
		"a whole number":                       {"42", float64(42)},
		"a negative number":                    {"-42", float64(-42)},
		"zero":                                 {"0", float64(0)},
		"a number with a leading zero":         {"0755", "0755"},
		"a decimal, which may be a version":    {"1.10", "1.10"},
		"a version":                            {"10.6.0.1", "10.6.0.1"},
		"an exponent":                          {"1e3", "1e3"},
		"a hexadecimal number":                 {"0x10", "0x10"},
		"a number beyond 64 bits":              {"99999999999999999999", "99999999999999999999"},
		"commas and equal signs":               {"a,b=c,d", "a,b=c,d"},
		"quotes":                               {`say "hi"`, `say "hi"`},
		"a backslash":                          {`C:\temp`, `C:\temp`},
		"a line break":                         {"a\nb\n", "a\nb\n"},
		"a colon":                              {"key: value", "key: value"},
		"a word that YAML takes for a boolean": {"yes", "yes"},
		"a list":                               {"[a, 1, true]", []any{"a", float64(1), true}},
		"a list of decimals in quotes":         {`["1.10"]`, []any{"1.10"}},
		"an empty list":                        {"[]", []any{}},
		"a map":                                {"{a: {b: 1}}", map[string]any{"a": map[string]any{"b": float64(1)}}},
		"a boolean of YAML":                    {true, true},
		"a number of YAML":                     {float64(5), float64(5)},
		"a fraction of YAML":                   {1.5, float64(1.5)},
		"a null of YAML":                       {nil, nil},
		"a list of YAML, strings in it are left alone": {[]any{"$PORT", "true", "{{ 1 }}"}, []any{"$PORT", "true", "{{ 1 }}"}},
		"a map of YAML": {map[string]any{"a": "1"}, map[string]any{"a": "1"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, map[string]any{"key": test.want}, merge(t, map[string]any{"key": test.value}))
		})
	}
}

func TestScalarsAreReadAsHelmSetReadsThem(t *testing.T) {
	for _, s := range []string{
		"true", "false", "null", "0", "1", "-1", "+1", "00", "01", "-01", "1.0", "1.10", "1e3", ".5", "abc",
		"9223372036854775807", "9223372036854775808", "1_000", "nil", "~", "on", "No", "10.6-lts", "1h", "4Gi", "a b",
	} {
		t.Run(s, func(t *testing.T) {
			want, err := strvals.Parse("key=" + s)
			require.NoError(t, err)
			if n, ok := want["key"].(int64); ok {
				if n > 1<<53 {
					t.Skip("beyond the whole numbers that Helm's --set-json keeps")
				}
				want["key"] = float64(n) // as a values file gives it
			}
			assert.Equal(t, want, merge(t, map[string]any{"key": s}))
		})
	}
}

func TestOverridesExpandTheEnvironmentAndThenTemplates(t *testing.T) {
	tests := map[string]struct {
		value string
		want  any
	}{
		"a variable":                           {"$TAG", "10.6.0.1"},
		"a variable in braces":                 {"v${TAG}-x", "v10.6.0.1-x"},
		"a number from the environment":        {"$PORT", float64(8080)},
		"a boolean from the environment":       {"$ENABLED", true},
		"zero from the environment":            {"$ZERO", float64(0)},
		"a leading zero from the environment":  {"$LEADING", "007"},
		"a negative number":                    {"$NEGATIVE", float64(-5)},
		"a list from the environment":          {"$HOSTS", []any{"a", "b"}},
		"a list around variables":              {"[$PORT, x]", []any{float64(8080), "x"}},
		"commas from the environment":          {"$COMMAS", "a,b=c,d"},
		"an empty variable":                    {"$EMPTY", ""},
		"an unknown variable":                  {"${UNKNOWN}", ""},
		"a sprig function":                     {`{{ "abc" | upper }}`, "ABC"},
		"a template that makes a number":       {"{{ add 1 2 }}", float64(3)},
		"a template that makes a list":         {`[{{ list "a" "b" | join "," }}]`, []any{"a", "b"}},
		"a variable within a template":         {`{{ "$TAG" | replace "." "-" }}`, "10-6-0-1"},
		"a template within a variable":         {"$TEMPLATE", "X"},
		"a boolean with a line break after it": {"{{ true }}\n", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, map[string]any{"key": test.want}, merge(t, map[string]any{"key": test.value}))
		})
	}
}

func TestTheProcessesEnvironmentIsUsedWhenNoneIsGiven(t *testing.T) {
	t.Setenv("DATAPOWER_TEST_TAG", "from the process")
	o, err := values.ParseOverrides(map[string]any{"tag": "$DATAPOWER_TEST_TAG"}, nil)
	require.NoError(t, err)
	v, err := o.Merge(nil, nil)
	require.NoError(t, err)
	assert.Equal(t, "from the process", v["tag"])
}

func TestOverridePathsReachIntoMapsAndLists(t *testing.T) {
	spec := func() map[string]any {
		return map[string]any{
			"image":   map[string]any{"tag": "old", "name": "gw"},
			"domains": []any{map[string]any{"name": "default"}, map[string]any{"name": "web"}},
		}
	}
	tests := map[string]struct {
		path string
		want map[string]any
	}{
		"a top-level key": {"debug", map[string]any{"debug": "new", "image": spec()["image"], "domains": spec()["domains"]}},
		"a nested key leaves its neighbours": {"image.tag", map[string]any{
			"image": map[string]any{"tag": "new", "name": "gw"}, "domains": spec()["domains"],
		}},
		"maps that are missing are made": {"a.b.c", map[string]any{
			"a": map[string]any{"b": map[string]any{"c": "new"}}, "image": spec()["image"], "domains": spec()["domains"],
		}},
		"an index": {"domains[1].name", map[string]any{
			"image":   spec()["image"],
			"domains": []any{map[string]any{"name": "default"}, map[string]any{"name": "new"}},
		}},
		"an index past the end": {"domains[2].name", map[string]any{
			"image": spec()["image"],
			"domains": []any{
				map[string]any{"name": "default"}, map[string]any{"name": "web"}, map[string]any{"name": "new"},
			},
		}},
		"a key with escaped dots": {`labels.app\.kubernetes\.io/name`, map[string]any{
			"labels": map[string]any{"app.kubernetes.io/name": "new"}, "image": spec()["image"], "domains": spec()["domains"],
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parse(t, map[string]any{test.path: "new"}).Merge(spec(), nil)
			require.NoError(t, err)
			assert.Equal(t, test.want, got.AsMap())
		})
	}
}

func TestNullRemovesTheChartsDefault(t *testing.T) {
	got := merge(t, map[string]any{"resources": "null"})
	value, present := got["resources"]
	assert.True(t, present, "Helm deletes a default where the values hold a null")
	assert.Nil(t, value)
}

func TestOverridesThatMakeNoSenseAreRefusedWithTheirPath(t *testing.T) {
	tests := map[string]struct {
		path  string
		value any
	}{
		"a template that does not parse":    {"image.tag", "{{ .Values"},
		"a template with unknown functions": {"image.tag", "{{ nosuch 1 }}"},
		"a template that fails":             {"image.tag", `{{ fail "no" }}`},
		"a list that does not parse":        {"hosts", "[a, "},
		"a map that does not parse":         {"hosts", "{a: "},
		"a path with an empty index":        {"a[].b", "x"},
		"a path with a wordy index":         {"a[first]", "x"},
		"a path with an open index":         {"a[0", "x"},
		"a path with a negative index":      {"a[-1]", "x"},
		"a path with a huge index":          {"a[70000]", "x"},
		"a path with a comma":               {"a,b", "x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := values.ParseOverrides(map[string]any{test.path: test.value}, environment)
			require.Error(t, err)
			assert.ErrorContains(t, err, "overrideValues "+strconv.Quote(test.path))
		})
	}
}

func TestAnOverrideThatDoesNotFitTheSpecIsRefusedWithItsPath(t *testing.T) {
	_, err := parse(t, map[string]any{"image[0]": "x"}).Merge(map[string]any{"image": "a string"}, nil)
	assert.ErrorContains(t, err, `overrideValues "image[0]"`)
}

func TestErrorsOfOverridesCarryNoValueOfTheEnvironment(t *testing.T) {
	secret := func(string) string { return "hunter2" }
	_, err := values.ParseOverrides(map[string]any{"a[x]": "$PASSWORD"}, secret)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestPathsAreListedInOrder(t *testing.T) {
	o := parse(t, map[string]any{"b": 1, "a.c": 2, "a": map[string]any{}})
	assert.Equal(t, []string{"a", "a.c", "b"}, o.Paths())
	assert.Empty(t, parse(t, nil).Paths())
}

func TestMappedValuesWinOverTheSpecAndOverridesOverBoth(t *testing.T) {
	spec := map[string]any{
		"replicas": int64(1), "debug": false,
		"operator": map[string]any{"stopped": true, "kept": "spec"},
		"list":     []any{"spec", "spec"},
		"scalar":   "spec",
	}
	mapped := map[string]any{
		"operator": map[string]any{"stopped": false, "monitor": map[string]any{"external": true}},
		"list":     []any{"mapped"},
		"scalar":   map[string]any{"from": "mapped"},
	}
	got, err := parse(t, map[string]any{"operator.stopped": "null", "debug": "true"}).Merge(spec, mapped)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"replicas": float64(1),
		"debug":    true,
		"operator": map[string]any{"stopped": nil, "kept": "spec", "monitor": map[string]any{"external": true}},
		"list":     []any{"mapped"},
		"scalar":   map[string]any{"from": "mapped"},
	}, got.AsMap())
}

func TestNothingMergesToNothing(t *testing.T) {
	got, err := parse(t, nil).Merge(nil, nil)
	require.NoError(t, err)
	assert.NotNil(t, got, "Helm writes into it")
	assert.Empty(t, got)
}

func TestOneResourceNeverSeesAnothersValues(t *testing.T) {
	o := parse(t, map[string]any{"nested": map[string]any{"list": []any{"x"}}})
	first, err := o.Merge(map[string]any{}, nil)
	require.NoError(t, err)
	first["nested"].(map[string]any)["list"].([]any)[0] = "changed"
	second, err := o.Merge(map[string]any{}, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"nested": map[string]any{"list": []any{"x"}}}, second.AsMap())
}

// tree generates what a custom resource's spec can hold.
func tree() *rapid.Generator[map[string]any] {
	scalar := rapid.OneOf(
		rapid.Map(rapid.StringOf(rapid.RuneFrom(nil, unicode.Letter, unicode.Digit, unicode.Punct, unicode.Symbol)),
			func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"1.10", "yes", "null", "0x1F", "1e3", "~", "=", "2026-11-20", "010", " x ", "a: b", "- c"}),
			func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Int64Range(-1<<53, 1<<53), func(n int64) any { return n }), // Helm reads numbers as float64
		rapid.Map(rapid.Float64Range(-1e9, 1e9), func(f float64) any { return f }),
		rapid.Just[any](nil),
	)
	key := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9./_-]{0,8}`)
	var node func(depth int) *rapid.Generator[any]
	node = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return scalar
		}
		return rapid.OneOf(scalar,
			rapid.Map(rapid.SliceOfN(node(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(key, node(depth-1), 0, 3), func(m map[string]any) any { return m }))
	}
	return rapid.MapOfN(key, node(3), 0, 4)
}

func TestMergeNeverChangesItsArguments(t *testing.T) {
	o := parse(t, map[string]any{"over.ridden": "1", "over.list[0]": "x", "over.map": "{c: d}", "over.deep[1].name": "y"})
	rapid.Check(t, func(t *rapid.T) {
		spec, mapped := tree().Draw(t, "spec"), tree().Draw(t, "mapped")
		spec["over"] = map[string]any{
			"ridden": "by", "list": []any{"first", "second"}, "map": map[string]any{"c": "e"},
			"deep": []any{map[string]any{"name": "a"}, map[string]any{"name": "b"}},
		}
		delete(mapped, "over")
		specBefore, mappedBefore := runtime.DeepCopyJSON(spec), runtime.DeepCopyJSON(mapped)
		_, err := o.Merge(spec, mapped)
		require.NoError(t, err)
		require.Equal(t, specBefore, spec)
		require.Equal(t, mappedBefore, mapped)
	})
}

func TestMergedValuesAreWhatHelmTemplateReadsFromAFile(t *testing.T) {
	o := parse(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		spec := tree().Draw(t, "spec")
		got, err := o.Merge(spec, nil)
		require.NoError(t, err)

		file, err := yaml.Marshal(spec)
		require.NoError(t, err)
		want, err := chartutil.ReadValues(file)
		require.NoError(t, err)
		require.Equal(t, want, got)
		requireSame(t, spec, got.AsMap())
	})
}

func TestMappedValuesWinWhereverTheyAreNoMaps(t *testing.T) {
	o := parse(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		spec, mapped := tree().Draw(t, "spec"), tree().Draw(t, "mapped")
		got, err := o.Merge(spec, mapped)
		require.NoError(t, err)
		for key, value := range mapped {
			if _, isMap := value.(map[string]any); !isMap {
				requireSame(t, value, got[key])
			}
		}
		for key, value := range spec {
			if _, shadowed := mapped[key]; !shadowed {
				requireSame(t, value, got[key])
			}
		}
	})
}

// requireSame compares values of a spec with values read from YAML: whole numbers are float64 there.
func requireSame(t require.TestingT, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		require.Truef(t, ok, "%T is no map", got)
		require.Len(t, m, len(want))
		for key := range want {
			requireSame(t, want[key], m[key])
		}
	case []any:
		l, ok := got.([]any)
		require.Truef(t, ok, "%T is no list", got)
		require.Len(t, l, len(want))
		for i := range want {
			requireSame(t, want[i], l[i])
		}
	case int64:
		require.Equal(t, float64(want), got)
	default:
		require.Equal(t, want, got)
	}
}

func FuzzParseOverrides(f *testing.F) {
	f.Add("image.tag", "$TAG")
	f.Add(`a\.b[0].c`, "{{ 1 }}")
	f.Add("a[0][1]", "[1, {b: 2}]")
	f.Add("a=b", "{x")
	f.Fuzz(func(t *testing.T, path, value string) {
		o, err := values.ParseOverrides(map[string]any{path: value}, func(string) string { return "x" })
		if err != nil {
			return
		}
		assert.Equal(t, []string{path}, o.Paths())
		_, _ = o.Merge(map[string]any{"a": map[string]any{"b": []any{"c"}}}, nil)
	})
}
