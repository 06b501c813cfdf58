package observability

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// promtool runs it in a directory and returns what it says.
func promtool(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool in the PATH (Debian's package prometheus has it)")
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// write puts rules where promtool finds them and returns the directory.
func write(t *testing.T, rules ruleFile) string {
	t.Helper()
	dir := t.TempDir()
	data, err := yaml.Marshal(rules)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rules.yaml"), data, 0o600))
	return dir
}

func TestRulesFireAndStaySilent(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			dir := write(t, rulesOf(t, kind))
			out, err := promtool(t, dir, "check", "rules", "rules.yaml")
			require.NoError(t, err, out)
			tests, err := os.ReadFile(filepath.Join("testdata", kind+"_test.yaml"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "test.yaml"), tests, 0o600))
			out, err = promtool(t, dir, "test", "rules", "test.yaml")
			require.NoError(t, err, out)
		})
	}
}

func TestEachAlertIsTestedForFiringAndForStayingSilent(t *testing.T) {
	for _, kind := range kinds {
		var file struct {
			Tests []struct {
				Tests []struct {
					Alert string `json:"alertname"`
					Want  []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			} `json:"tests"`
		}
		read(t, "test/observability/testdata/"+kind+"_test.yaml", &file)
		fires, silent := map[string]bool{}, map[string]bool{}
		for _, test := range file.Tests {
			for _, a := range test.Tests {
				if len(a.Want) > 0 {
					fires[a.Alert] = true
				} else {
					silent[a.Alert] = true
				}
			}
		}
		for _, a := range alertsOf(t, kind) {
			assert.True(t, fires[a.Alert], "%s: no test in which it fires", a.Alert)
			assert.True(t, silent[a.Alert], "%s: no test in which it stays silent", a.Alert)
		}
	}
}

func TestThereAreAsManyAlertsAsPromised(t *testing.T) {
	assert.GreaterOrEqual(t, len(alertsOf(t, "operator")), 14)
	assert.GreaterOrEqual(t, len(alertsOf(t, "domain")), 9)
	names := map[string]bool{}
	for _, a := range alerts(t) {
		assert.False(t, names[a.Alert], "%s is there twice", a.Alert)
		names[a.Alert] = true
	}
}

const runbookURL = "https://github.com/datapower-operator/datapower-operator/blob/main/"

func TestEachAlertHasWhatItsReaderNeeds(t *testing.T) {
	for _, a := range alerts(t) {
		assert.Contains(t, []string{"critical", "warning", "info"}, a.Labels["severity"], a.Alert)
		assert.NotEmpty(t, a.Annotations["summary"], a.Alert)
		assert.NotContains(t, a.Annotations["summary"], "{{", "%s: a summary is the same for all", a.Alert)
		assert.NotEmpty(t, a.Annotations["description"], a.Alert)
		assert.NotEmpty(t, a.For, a.Alert)
		path, found := strings.CutPrefix(a.Annotations["runbook_url"], runbookURL)
		require.True(t, found, a.Alert)
		assert.Equal(t, "docs/runbooks/"+a.Alert+".md", path)
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err, "%s: its runbook", a.Alert)
		assert.Empty(t, gaps(string(text)), a.Alert)
	}
}

// gaps are the sections that a runbook lacks or leaves empty.
func gaps(text string) []string {
	sections := map[string]string{}
	for _, part := range strings.Split(text, "\n## ")[1:] {
		title, body, _ := strings.Cut(part, "\n")
		sections[title] = strings.TrimSpace(body)
	}
	var missing []string
	for _, want := range []string{"Meaning", "Impact", "Diagnosis", "Mitigation"} {
		if len(sections[want]) < 20 || strings.Contains(sections[want], "TODO") {
			missing = append(missing, want)
		}
	}
	return missing
}

func TestGapsOfARunbookAreFound(t *testing.T) {
	full := "# A\n\n## Meaning\n\nlong enough to be a text\n\n## Impact\n\nlong enough to be a text\n\n## Diagnosis\n\nlong enough to be a text\n"
	assert.Equal(t, []string{"Mitigation"}, gaps(full))
	assert.Equal(t, []string{"Mitigation"}, gaps(full+"\n## Mitigation\n\nTODO write what to do here\n"))
	assert.Empty(t, gaps(full+"\n## Mitigation\n\nlong enough to be a text\n"))
}

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

func TestLinksOfRunbooksLeadSomewhere(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs/runbooks/*.md"))
	require.NoError(t, err)
	pages := map[string]bool{"README.md": true}
	for _, a := range alerts(t) {
		pages[a.Alert+".md"] = true
	}
	for _, file := range files {
		assert.True(t, pages[filepath.Base(file)], "%s is of no alert", file)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			assert.FileExists(t, filepath.Join(filepath.Dir(file), found[1]), "linked in %s", file)
		}
	}
}
