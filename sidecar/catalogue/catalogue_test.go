package catalogue_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
)

const values = `
replicas: 1
catalogue:
  channels:
    10.6-lts: {version: 10.6.0.10, tag: ignored-here}
    10.0-lts: {version: 10.0.1.3}
  versions:
    10.6.0.10: {licenses: [L-TWO, L-ONE]}
    10.6.0.9: {}
    10.0.1.3: {}
  licenses:
    L-ONE: {displayName: One, uses: [production]}
    L-TWO: {link: "https://example.com/two"}
  aliases:
    10.0.1: 10.0-lts
`

func parse(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Parse([]byte(values))
	require.NoError(t, err)
	return c
}

func TestResolve(t *testing.T) {
	for name, tc := range map[string]struct {
		version, want string
		known         bool
	}{
		"a channel resolves to its version":               {version: "10.6-lts", want: "10.6.0.10", known: true},
		"an old channel name resolves like the new one":   {version: "10.0.1", want: "10.0.1.3", known: true},
		"an exact version is itself":                      {version: "10.6.0.9", want: "10.6.0.9", known: true},
		"an unknown exact version comes back unknown":     {version: "10.6.0.11", want: "10.6.0.11", known: false},
		"an unknown channel comes back unknown":           {version: "12.0-cd", want: "12.0-cd", known: false},
		"nothing is unknown and never matches by default": {version: "", want: "", known: false},
	} {
		t.Run(name, func(t *testing.T) {
			got, known := parse(t).Resolve(tc.version)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.known, known)
		})
	}
}

func TestNamesComeOldestFirst(t *testing.T) {
	assert.Equal(t, []string{"10.0-lts", "10.6-lts"}, parse(t).Channels())
	assert.Equal(t, []string{"10.0.1.3", "10.6.0.9", "10.6.0.10"}, parse(t).Versions())
}

func TestLicenses(t *testing.T) {
	c := parse(t)

	one, known := c.License("L-ONE")
	require.True(t, known)
	assert.Equal(t, "One", one.DisplayName)
	assert.Equal(t, "https://www.ibm.com/support/customer/csol/terms/?id=L-ONE", one.Link, "IBM's page unless the catalogue says otherwise")
	assert.True(t, one.Covers("production"))
	assert.False(t, one.Covers("nonproduction"))

	two, known := c.License("L-TWO")
	require.True(t, known)
	assert.Equal(t, "https://example.com/two", two.Link)
	assert.Empty(t, two.Uses)

	_, known = c.License("L-NONE")
	assert.False(t, known)
}

func TestLicensesOfAVersionFollowChannelsAndKeepTheCataloguesOrder(t *testing.T) {
	c := parse(t)
	assert.Equal(t, []string{"L-TWO", "L-ONE"}, c.LicensesOf("10.6-lts"))
	assert.Equal(t, []string{"L-TWO", "L-ONE"}, c.LicensesOf("10.6.0.10"))
	assert.Empty(t, c.LicensesOf("10.6.0.9"))
	assert.Empty(t, c.LicensesOf("unheard-of"))
}

func TestTheZeroCatalogueKnowsNothing(t *testing.T) {
	var c catalogue.Catalogue
	_, known := c.Resolve("10.6-lts")
	assert.False(t, known)
	assert.Empty(t, c.Channels())
	assert.Empty(t, c.Versions())
}

func TestTheUsesOfALicence(t *testing.T) {
	c, err := catalogue.Parse([]byte(values))
	require.NoError(t, err)
	uses, known := c.LicenseUses("L-ONE")
	assert.Equal(t, []string{"production"}, uses)
	assert.True(t, known)
	uses, known = c.LicenseUses("L-TWO")
	assert.Empty(t, uses, "the catalogue does not say")
	assert.True(t, known)
	_, known = c.LicenseUses("L-NONE")
	assert.False(t, known)
}

func TestParseRefusesWhatIsNoCatalogue(t *testing.T) {
	for name, tc := range map[string]struct {
		values string
		want   error
	}{
		"an empty file has no catalogue":           {values: "", want: catalogue.ErrNoCatalogue},
		"values without the key have no catalogue": {values: "replicas: 1", want: catalogue.ErrNoCatalogue},
		"text that is no YAML is malformed":        {values: "a: [", want: catalogue.ErrMalformed},
		"a list where a map belongs is malformed":  {values: "catalogue: {versions: [1]}", want: catalogue.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := catalogue.Parse([]byte(tc.values))
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestLoadNamesTheFileThatItCannotUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "values.yaml")
	_, err := catalogue.Load(path)
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.WriteFile(path, []byte("a: 1"), 0o600))
	_, err = catalogue.Load(path)
	require.ErrorIs(t, err, catalogue.ErrNoCatalogue)
	assert.ErrorContains(t, err, path)

	require.NoError(t, os.WriteFile(path, []byte(values), 0o600))
	c, err := catalogue.Load(path)
	require.NoError(t, err)
	assert.Len(t, c.Versions(), 3)
}

func TestTheOrderOfNames(t *testing.T) {
	const oldestFirst = "10.0-cd 10.0-lts 10.0.1.0 10.0.4.0 10.0.4.0sr1 10.0.4.0sr10 10.5-lts 10.5.0.0 10.6.0.9 10.6.0.10 11.0-sc2 11.0.0.0"
	want := strings.Fields(oldestFirst)
	rapid.Check(t, func(t *rapid.T) {
		shuffled := rapid.Permutation(want).Draw(t, "shuffled")
		text := "catalogue: {versions: {"
		for _, name := range shuffled {
			text += `"` + name + `": {}, `
		}
		c, err := catalogue.Parse([]byte(text + "}}"))
		require.NoError(t, err)
		assert.Equal(t, want, c.Versions())
	})
}

func TestTheOrderIsTotalForAnyNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.StringMatching(`[0-9a.-]{1,6}`), rapid.ID[string]).Draw(t, "names")
		sorted := func(order []string) []string {
			text := "catalogue: {versions: {"
			for _, name := range order {
				text += `"` + name + `": {}, `
			}
			c, err := catalogue.Parse([]byte(text + "}}"))
			require.NoError(t, err)
			return c.Versions()
		}
		forward := sorted(names)
		slices.Reverse(names)
		assert.Equal(t, forward, sorted(names))
	})
}

func TestTheChartsCatalogueIsReadWhole(t *testing.T) {
	path := filepath.Join("..", "..", "helm-charts", "datapowerservice", "values.yaml")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no chart to look at: %v", err)
	}
	c, err := catalogue.Load(path)
	require.NoError(t, err)
	for _, channel := range c.Channels() {
		exact, known := c.Resolve(channel)
		assert.True(t, known)
		assert.Contains(t, c.Versions(), exact, "channel %s leads to a known version", channel)
	}
	// From the release notes of the existing operator: renamed in 1.1 and 1.3.
	for old, current := range map[string]string{"10.0.0": "10.0-cd", "10.0.1": "10.0-lts", "10.0-eus": "10.0-lts"} {
		want, _ := c.Resolve(current)
		got, known := c.Resolve(old)
		assert.True(t, known)
		assert.Equal(t, want, got, old)
	}
}
