package values_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/strvals"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/helm-operator/values"
)

// YAML text folds line separators to spaces (U+0085, U+2028) and refuses DEL, although the API server stores such
// strings and a values file can hold them escaped: values must not take the way through it.
func TestEveryStringOfASpecSurvives(t *testing.T) {
	o := parse(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "value")
		got, err := o.Merge(map[string]any{"key": want}, nil)
		require.NoError(t, err)
		require.Equal(t, want, got["key"])
	})
}

// ParseOverrides promises the type that helm --set gives; Helm does not mind the letter case of true, false and null.
// FALSE as a string is true to every template's if.
func TestBooleansInAnyLetterCaseAreReadAsHelmSetReadsThem(t *testing.T) {
	for _, s := range []string{"True", "TRUE", "False", "FALSE", "Null", "NULL"} {
		t.Run(s, func(t *testing.T) {
			want, err := strvals.Parse("key=" + s)
			require.NoError(t, err)
			assert.Equal(t, want, merge(t, map[string]any{"key": s}))
		})
	}
}

// A whole number that float64 does not hold changes silently. As a string it would stay what it is.
func TestWholeNumbersOfTheEnvironmentNeverChange(t *testing.T) {
	for _, s := range []string{"9007199254740993", "-9007199254740993", "9223372036854775807"} {
		t.Run(s, func(t *testing.T) {
			got := merge(t, map[string]any{"key": s})["key"]
			if f, isNumber := got.(float64); isNumber {
				got = strconv.FormatFloat(f, 'f', -1, 64)
			}
			assert.Equal(t, s, got)
		})
	}
}

func TestAnEmptyOverridePathIsRefused(t *testing.T) {
	_, err := values.ParseOverrides(map[string]any{"": "x"}, environment)
	assert.Error(t, err)
}
