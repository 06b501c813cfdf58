package manifests_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/node"
)

// prometheus is a server in the node's network, as one in a pod would be.
type prometheus struct {
	*world
	client *http.Client
}

const prometheusAddress = node.Address + ":9099"

// startPrometheus starts it with what the ServiceMonitor says: both ports, the Service's name in the certificate, the CA of the
// operator's Secret, and the token of an account that may read metrics.
func (w *world) startPrometheus(program string) *prometheus {
	w.Helper()
	dir := w.TempDir()
	w.pipe(`apiVersion: v1
kind: ServiceAccount
metadata: {name: scraper, namespace: `+shop+`}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scraper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: datapower-operator-metrics-reader}
subjects: [{kind: ServiceAccount, name: scraper, namespace: `+shop+`}]
`, "apply", "-f", "-")
	ca, err := base64.StdEncoding.DecodeString(w.run("-n", system, "get", "secret", "datapower-operator-ca", "-o", `jsonpath={.data.tls\.crt}`))
	require.NoError(w, err)
	write := func(name, text string) {
		require.NoError(w, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("ca.crt", string(ca))
	write("token", w.run("-n", shop, "create", "token", "scraper"))
	var targets []string
	for address := range strings.FieldsSeq(w.run("-n", system, "get", "endpoints", "datapower-operator-metrics", "-o", "jsonpath={.subsets[*].addresses[*].ip}")) {
		for _, port := range []string{"8443", "8444"} {
			targets = append(targets, fmt.Sprintf("%q", net.JoinHostPort(address, port)))
		}
	}
	write("prometheus.yml", `global: {scrape_interval: 1s}
scrape_configs:
  - job_name: operator
    scheme: https
    authorization: {credentials_file: token}
    tls_config: {ca_file: ca.crt, server_name: datapower-operator-metrics.`+system+`.svc}
    static_configs: [{targets: [`+strings.Join(targets, ", ")+`]}]
`)
	state := filepath.Dir(os.Getenv("KUBECONFIG"))
	cmd := exec.Command("nsenter", "--net=/proc/"+w.nodeProcess(state)+"/ns/net", program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+prometheusAddress, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(w, cmd.Start())
	w.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		return node.Dial(ctx, cluster.NodeIn(state), address)
	}
	return &prometheus{world: w, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial}}}
}

// nodeProcess is the ID of a process in the node's network.
func (w *world) nodeProcess(state string) string {
	w.Helper()
	id, err := node.Process(cluster.NodeIn(state))
	require.NoError(w, err)
	return fmt.Sprint(id)
}

func (p *prometheus) get(path string, into any) error {
	response, err := p.client.Get("http://" + prometheusAddress + path)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return json.NewDecoder(response.Body).Decode(into)
}

// query returns the value of an expression that has one.
func (p *prometheus) query(expression string) (string, error) {
	var answer struct {
		Data struct {
			Result []struct{ Value []any }
		}
	}
	if err := p.get("/api/v1/query?query="+url.QueryEscape(expression), &answer); err != nil {
		return "", err
	}
	if len(answer.Data.Result) != 1 {
		return "", fmt.Errorf("%s has %d values", expression, len(answer.Data.Result))
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1]), nil
}

// problems are what the targets that are down complain of.
func (p *prometheus) problems() string {
	var answer struct {
		Data struct {
			ActiveTargets []struct{ ScrapeURL, LastError string }
		}
	}
	if err := p.get("/api/v1/targets", &answer); err != nil {
		return err.Error()
	}
	return fmt.Sprint(answer.Data.ActiveTargets)
}
