package manifests_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/test/gateway"
)

// certificate is what all gateways show: names of pods behind the headless Service of the sample.
type certificate struct {
	cert, key []byte
	pool      *x509.CertPool
}

func (w *world) newCertificate() certificate {
	w.Helper()
	authority, err := gateway.NewAuthority()
	require.NoError(w, err)
	names := []string{"peers-headless." + shop + ".svc"}
	for i := range 3 {
		names = append(names, fmt.Sprintf("peers-%d.peers-headless.%s.svc", i, shop))
	}
	issued, err := authority.Issue(names...)
	require.NoError(w, err)
	key, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	require.NoError(w, err)
	pool := x509.NewCertPool()
	pool.AddCert(issued.Leaf)
	return certificate{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Leaf.Raw}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), pool: pool,
	}
}

// sample is a file of config/samples, with what a machine of two cores asks for: less CPU and memory.
func (w *world) sample(name string, more func(spec map[string]any)) string {
	w.Helper()
	text, err := os.ReadFile(filepath.Join(w.now.root, "config/samples", name))
	require.NoError(w, err)
	var out []string
	for part := range strings.SplitSeq(string(text), "\n---\n") {
		var object map[string]any
		require.NoError(w, yaml.Unmarshal([]byte(part), &object))
		if object["kind"] == "DataPowerService" {
			spec := object["spec"].(map[string]any)
			spec["resources"] = map[string]any{
				"requests": map[string]any{"cpu": "100m", "memory": "2Gi"}, "limits": map[string]any{"cpu": "500m", "memory": "2Gi"},
			}
			more(spec)
		}
		encoded, err := yaml.Marshal(object)
		require.NoError(w, err)
		out = append(out, string(encoded))
	}
	return strings.Join(out, "---\n")
}

func unchanged(map[string]any) {}

// ready waits until a service says so, and its StatefulSet and pods agree.
func (w *world) ready(service string, replicas int) {
	w.Helper()
	w.becomes("True", "-n", shop, "get", "datapowerservice", service, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	w.becomes(fmt.Sprint(replicas), "-n", shop, "get", "statefulset", service, "-o", "jsonpath={.status.readyReplicas}")
}

// forward makes a port of a pod reachable on this machine until the phase ends, and returns the address.
func (w *world) forward(pod string, port int) string {
	w.Helper()
	transport, upgrader, err := spdy.RoundTripperFor(w.config)
	require.NoError(w, err)
	server, err := url.Parse(w.config.Host)
	require.NoError(w, err)
	server.Path = fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/portforward", shop, pod)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, server),
		[]string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	require.NoError(w, err)
	failed := make(chan error, 1)
	go func() { failed <- forwarder.ForwardPorts() }()
	w.Cleanup(func() { close(stop) })
	select {
	case <-ready:
	case err := <-failed:
		require.NoError(w, err, "forward port %d of pod %s", port, pod)
	}
	ports, err := forwarder.GetPorts()
	require.NoError(w, err)
	return fmt.Sprintf("127.0.0.1:%d", ports[0].Local)
}

// ask calls the REST management interface of a pod with a password, and returns the status and the body.
func (w *world) ask(c certificate, pod, password, path string) (int, []byte) {
	w.Helper()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: c.pool, ServerName: "peers-headless." + shop + ".svc", MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+w.forward(pod, 5554)+path, nil)
	require.NoError(w, err)
	request.SetBasicAuth("admin", password)
	response, err := client.Do(request)
	require.NoError(w, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(w, err)
	return response.StatusCode, body
}

// links are the addresses that a gateway lists in its peering, with the state of the link to each.
func (w *world) links(c certificate, pod string) (map[string]string, error) {
	w.Helper()
	status, body := w.ask(c, pod, samplePassword, "/mgmt/status/shop/GatewayPeeringStatus")
	if status != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d: %s", pod, status, body)
	}
	type row struct{ Address, LinkStatus string }
	var answer struct{ GatewayPeeringStatus json.RawMessage }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	var rows []row
	if json.Unmarshal(answer.GatewayPeeringStatus, &rows) != nil {
		var one row // a single row is no list
		if err := json.Unmarshal(answer.GatewayPeeringStatus, &one); err != nil {
			return nil, errors.Join(err, fmt.Errorf("%s", body))
		}
		rows = []row{one}
	}
	found := map[string]string{}
	for _, r := range rows {
		found[r.Address] = r.LinkStatus
	}
	return found, nil
}
