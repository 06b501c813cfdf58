package observability_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// prometheus is a server that scrapes the replicas every second and judges by the rules that are shipped.
type prometheus struct {
	*world
	url     string
	scraped []*replica
	// also is a CA that is trusted beside the operator's.
	also []byte
	// ending tells that programs that end by themselves stay so.
	ending bool
}

// Jobs as the ServiceMonitor and the PodMonitor of config/prometheus make them: the Service's name, and the PodMonitor's.
const (
	operatorJob   = "datapower-operator-metrics"
	conversionJob = system + "/datapower-operator-conversion-webhook"
)

// startPrometheus starts the one of the PATH for all replicas; the test is skipped when there is none.
func startPrometheus(w *world, token, conversion string) *prometheus {
	w.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		w.Skip("there is no prometheus in the PATH (Debian's package has it)")
	}
	p := &prometheus{world: w}
	p.trusted()
	p.targets(w.all...)
	p.write("token", []byte(token))
	p.write("rules.yml", p.rules())
	p.write("prometheus.yml", fmt.Appendf(nil, `global: {scrape_interval: 1s, scrape_timeout: 1s}
rule_files: [rules.yml]
scrape_configs:
  - job_name: %s
    scheme: https
    honor_labels: true
    authorization: {credentials_file: token}
    tls_config: {ca_file: ca.crt, server_name: %s}
    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]
  - job_name: %s
    static_configs: [{targets: [%s], labels: {namespace: %s, pod: conversion-0, container: conversion-webhook}}]
`, operatorJob, serverName, conversionJob, conversion, system))
	address := freeAddress(w.T)
	p.url = "http://" + address
	cmd := exec.Command(program, "--config.file="+filepath.Join(w.dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(w.dir, "tsdb"),
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

// write replaces one of its files.
func (p *prometheus) write(name string, content []byte) {
	p.Helper()
	path := filepath.Join(p.dir, name)
	require.NoError(p, os.WriteFile(path+".new", content, 0o600))
	require.NoError(p, os.Rename(path+".new", path))
}

// trusted takes over the bundle of the world.
func (p *prometheus) trusted() { p.write("ca.crt", append(slices.Clone(p.bundle), p.also...)) }

// targets are what it scrapes from now on.
func (p *prometheus) targets(all ...*replica) {
	p.Helper()
	type target struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	var file []target
	for _, r := range all {
		file = append(file, target{[]string{r.address}, map[string]string{"namespace": system, "pod": r.pod, "container": r.container}})
	}
	content, err := json.Marshal(file)
	require.NoError(p, err)
	p.write("targets.json", content)
	p.scraped = all
}

// rules are those that are shipped, hurried.
func (p *prometheus) rules() []byte {
	p.Helper()
	content, err := yaml.Marshal(hurried(p, shippedRules(p)))
	require.NoError(p, err)
	return content
}

// sample is one element of an answer: labels and a value.
type sample struct {
	labels map[string]string
	value  string
}

var errNoAnswer = errors.New("no answer of Prometheus")

// get asks the API and decodes its data.
func (p *prometheus) get(path string, query url.Values, into any) error {
	response, err := http.Get(p.url + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer := struct {
		Error string `json:"error"`
		Data  any    `json:"data"`
	}{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("%w: %s", errNoAnswer, answer.Error)
	}
	return nil
}

// query asks an instant query.
func (p *prometheus) query(query string) ([]sample, error) {
	var data struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Value  [2]any            `json:"value"`
		} `json:"result"`
	}
	if err := p.get("query", url.Values{"query": {query}}, &data); err != nil {
		return nil, err
	}
	samples := []sample{}
	for _, result := range data.Result {
		samples = append(samples, sample{result.Metric, fmt.Sprint(result.Value[1])})
	}
	return samples, nil
}

// ask is the values of an instant query; an error when there is no answer.
func (p *prometheus) ask(query string) ([]string, error) {
	samples, err := p.query(query)
	var values []string
	for _, s := range samples {
		values = append(values, s.value)
	}
	return values, err
}

// until waits until a query has these values.
func (p *prometheus) until(query string, want ...string) {
	p.Helper()
	var got []string
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(tick) {
		p.revive()
		if got, err = p.ask(query); err == nil && strings.Join(got, " ") == strings.Join(want, " ") {
			return
		}
	}
	require.Fail(p, "Prometheus does not come to say what it should", "%s: want %v, got %v %v", query, want, got, err)
}

// over is a range that begins at a time, for a query.
func over(since time.Time) string { return fmt.Sprintf("%ds", int(time.Since(since).Seconds())+1) }

// names are all metrics that it has ever stored.
func (p *prometheus) names() map[string]bool {
	p.Helper()
	var all []string
	require.NoError(p, p.get("label/__name__/values", nil, &all))
	names := map[string]bool{}
	for _, name := range all {
		names[name] = true
	}
	return names
}
