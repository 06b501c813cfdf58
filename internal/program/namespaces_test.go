package program_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/internal/program"
)

func TestParseNamespaces(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		want  []string
	}{
		"empty means all namespaces":                   {value: "", want: nil},
		"only commas and blanks mean all namespaces":   {value: " , ,", want: nil},
		"one name is one namespace":                    {value: "gateways", want: []string{"gateways"}},
		"blanks around names are ignored":              {value: " b , a ", want: []string{"a", "b"}},
		"a name given twice is watched once":           {value: "a,b,a", want: []string{"a", "b"}},
		"an empty entry between names does not matter": {value: "a,,b", want: []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := program.ParseNamespaces(tc.value)
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestParseNamespacesRefusesWhatIsNoName(t *testing.T) {
	for _, value := range []string{"Gateways", "a,b_c", "a b", "*", "-a"} {
		t.Run(value, func(t *testing.T) {
			_, err := program.ParseNamespaces(value)
			require.ErrorIs(t, err, program.ErrInvalidNamespace)
		})
	}
}
