package observability_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prometheus is a server that scrapes all replicas every second.
type prometheus struct {
	url  string
	want int
}

// startPrometheus starts the one of the PATH; nil when there is none.
func startPrometheus(w *world, token string) *prometheus {
	w.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil
	}
	write := func(name, content string) string {
		path := filepath.Join(w.dir, name)
		require.NoError(w, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	var config strings.Builder
	fmt.Fprintf(&config, `global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: datapower-operator-metrics
    scheme: https
    authorization: {credentials_file: %s}
    tls_config: {ca_file: %s, server_name: %s}
    static_configs:
`, write("token", token), write("ca.crt", string(w.bundle)), serverName)
	for _, r := range w.all {
		fmt.Fprintf(&config, "      - {targets: [%q], labels: {namespace: %s, pod: %s, container: %s}}\n", r.address, system, r.pod, r.container)
	}
	p := &prometheus{want: len(w.all)}
	address := freeAddress(w.T)
	p.url = "http://" + address
	cmd := exec.Command(program, "--config.file="+write("prometheus.yml", config.String()), "--storage.tsdb.path="+filepath.Join(w.dir, "tsdb"),
		"--web.listen-address="+address, "--log.level=warn")
	log, err := os.Create(filepath.Join(w.dir, "prometheus.log"))
	require.NoError(w, err)
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(w, cmd.Start())
	w.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if w.Failed() {
			data, _ := os.ReadFile(log.Name())
			w.Logf("prometheus:\n%s", data[max(0, len(data)-3000):])
		}
	})
	return p
}

// ask returns the values of an instant query, and nil when there is no answer.
func (p *prometheus) ask(t *testing.T, query string) []string {
	t.Helper()
	response, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return nil
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil
	}
	var values []string
	for _, result := range answer.Data.Result {
		values = append(values, fmt.Sprint(result.Value[1]))
	}
	return values
}

func (p *prometheus) findsAllUp(t *testing.T) {
	p.need(t)
	require.Eventually(t, func() bool {
		return assert.ObjectsAreEqual([]string{fmt.Sprint(p.want)}, p.ask(t, "count(up == 1)"))
	}, patience, tick)
	assert.Empty(t, p.ask(t, "up == 0"), "no target is down")
	// As an alert about it is written.
	require.Eventually(t, func() bool {
		return assert.ObjectsAreEqual([]string{"1", "1"}, p.ask(t, `sum by (name) (leader_election_master_status)`))
	}, patience, tick)
	require.Eventually(t, func() bool {
		return assert.ObjectsAreEqual([]string{"2"}, p.ask(t, `sum(datapower_operator_resources{kind="DataPowerService"} * on (namespace, pod, container) group_left (replica_role) datapower_operator_replica_role{replica_role="leader"})`))
	}, patience, tick)
}

func (p *prometheus) sawNothingTwice(t *testing.T) {
	p.need(t)
	for _, query := range []string{
		`max_over_time(sum(datapower_operator_resources{kind="DataPowerService"})[30m:1s])`,
		`max_over_time(sum(datapower_operator_release_state{kind="DataPowerService"})[30m:1s])`,
	} {
		require.Eventually(t, func() bool { return assert.ObjectsAreEqual([]string{"2"}, p.ask(t, query)) }, patience, tick,
			"%s: %v", query, p.ask(t, query))
	}
	require.Eventually(t, func() bool { return assert.ObjectsAreEqual([]string{"2"}, p.ask(t, `count(up == 0)`)) }, patience, tick,
		"those that were ended")
}

func (p *prometheus) need(t *testing.T) {
	t.Helper()
	if p == nil {
		t.Skip("there is no prometheus in the PATH (Debian's package has it)")
	}
}
