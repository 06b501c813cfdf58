package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/datapower-operator/datapower-operator/test/cluster/node"
	"github.com/datapower-operator/datapower-operator/test/cluster/pki"
	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

const (
	// pollInterval is the time between two looks at something that is not ready yet.
	pollInterval = 50 * time.Millisecond
	// probeTimeout bounds one look.
	probeTimeout = 5 * time.Second
	// noteInterval is the time after which a wait reports that it still waits, and for what.
	noteInterval = 10 * time.Second
)

// probe looks once; nil means ready, an error says what is missing.
type probe func(context.Context) error

// httpsProbe succeeds when a GET of url answers with status 200. It ignores the proxies of the environment.
func httpsProbe(url string, ca []byte, client *pki.Pair) (probe, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the certificate authority cannot be read")
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if client != nil {
		cert, err := tls.X509KeyPair(client.Cert, client.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	httpClient := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("probe: %w", err)
		}
		response, err := httpClient.Do(request)
		if err != nil {
			return fmt.Errorf("probe: %w", err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode == http.StatusOK {
			return nil
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		if err != nil {
			return fmt.Errorf("probe: status %d: %w", response.StatusCode, err)
		}
		return fmt.Errorf("probe: status %d: %s", response.StatusCode, failedChecks(string(body)))
	}, nil
}

// failedChecks shortens the answer of /readyz, which lists every check on its own line, to the lines of failed checks.
func failedChecks(body string) string {
	var failed []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "[-]") {
			failed = append(failed, strings.TrimSpace(line))
		}
	}
	if failed == nil {
		return strings.TrimSpace(body)
	}
	return strings.Join(failed, "; ")
}

// await polls until the probe succeeds, and reports progress. It gives up when ctx ends, which is also what happens when any component
// dies. The process whose readiness is awaited may be nil; its log goes into the error when time runs out.
func (c *Cluster) await(ctx context.Context, what string, p *process.Process, look probe) error {
	begin := time.Now()
	note := time.NewTicker(noteInterval)
	defer note.Stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	last := errors.New("not looked yet")
	for {
		err := lookOnce(ctx, look)
		if err == nil {
			c.options.Progress(fmt.Sprintf("%s (%.1fs)", what, time.Since(begin).Seconds()))
			return nil
		}
		if ctx.Err() == nil {
			last = err // the error of a look that was cut short says nothing but the reason for that
		}
		select {
		case <-ctx.Done():
			return c.notReady(what, context.Cause(ctx), last, p)
		case <-note.C:
			c.options.Progress(fmt.Sprintf("waiting until %s (%.0fs): %v", what, time.Since(begin).Seconds(), last))
		case <-poll.C:
		}
	}
}

func lookOnce(ctx context.Context, look probe) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return look(ctx)
}

// notReady explains a wait that was given up: the cause, what was missing last and, unless the cause already shows a log, the log.
func (c *Cluster) notReady(what string, cause, last error, p *process.Process) error {
	if p == nil || c.Err() != nil {
		return fmt.Errorf("waiting until %s: %w (last: %v)", what, cause, last)
	}
	return fmt.Errorf("waiting until %s: %w (last: %v); the log %s ends with:\n%s", what, cause, last, p.LogPath(),
		process.Tail(p.LogPath(), tailLines))
}

// addContent creates the StorageClasses and the nodes.
func (c *Cluster) addContent(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	for _, name := range storageClasses {
		if _, err := client.StorageV1().StorageClasses().Create(ctx, newStorageClass(name), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create the StorageClass %s: %w", name, errors.Join(err, context.Cause(ctx)))
		}
	}
	for i := 1; i <= c.options.Nodes; i++ {
		if _, err := client.CoreV1().Nodes().Create(ctx, newNode(i, c.version), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create node %d: %w", i, errors.Join(err, context.Cause(ctx)))
		}
	}
	if c.options.RealNode != nil {
		return addDNS(ctx, client)
	}
	return nil
}

// awaitContent waits for what pods need: the ServiceAccount that admission gives them, and nodes that take them.
func (c *Cluster) awaitContent(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	err = c.await(ctx, "ServiceAccount default/default exists", c.process(controllerManager), func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(corev1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return errors.New("kube-controller-manager has not made it yet")
		}
		return err
	})
	if err != nil {
		return err
	}
	want, what, by := c.options.Nodes, fmt.Sprintf("%d simulated nodes are Ready", c.options.Nodes), c.process(kwok)
	if c.options.RealNode != nil {
		want, what, by = want+1, "the real node is Ready", c.process(node.Command)
	}
	if want == 0 {
		return nil
	}
	return c.await(ctx, what, by, func(ctx context.Context) error {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(nodes.Items) != want {
			return fmt.Errorf("%d nodes exist", len(nodes.Items))
		}
		for i := range nodes.Items {
			if reason := unreadyNode(&nodes.Items[i]); reason != "" {
				return errors.New(reason)
			}
		}
		return nil
	})
}

// process returns the component's process, nil when it was not started.
func (c *Cluster) process(name string) *process.Process {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, p := range c.processes {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// writeKubeconfig publishes the administrator's kubeconfig in one step, as the last thing: who sees it has a ready cluster.
func (c *Cluster) writeKubeconfig(context.Context) error {
	data, err := c.creds.kubeconfig(c.config.Host, adminUser, []string{groupMasters}, time.Now())
	if err != nil {
		return err
	}
	path := c.layout.kubeconfig()
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}
