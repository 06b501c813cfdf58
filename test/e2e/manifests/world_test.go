package manifests_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
	"github.com/datapower-operator/datapower-operator/test/e2e/journey"
)

// system is the operator's namespace, shop that of the gateways.
const system, shop = "datapower-system", "shop"

// tree is a checkout of the operator's repository, and the name of the image that was built of it.
type tree struct{ root, image string }

// world is the cluster, seen through kubectl.
type world struct {
	*journey.Journey
	config    *rest.Config
	kubectl   string
	now, then tree
}

func newWorld(t *testing.T) *world {
	t.Helper()
	begun, kubeconfig := journey.New(t)
	root, err := binaries.RepositoryRoot(".")
	require.NoError(t, err)
	programs, err := binaries.Find(binaries.ControlPlane)
	require.NoError(t, err)
	w := &world{
		Journey: begun, kubectl: filepath.Join(programs, "kubectl"),
		now:  tree{root, os.Getenv("E2E_IMAGE")},
		then: tree{os.Getenv("E2E_PREVIOUS"), os.Getenv("E2E_PREVIOUS_IMAGE")},
	}
	w.Diagnose = w.diagnose
	require.NotEmpty(t, w.now.image, "E2E_IMAGE names the operator's image")
	w.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	return w
}

// diagnose prints what a person would look at first.
func (w *world) diagnose() {
	for _, command := range []string{
		"get pods -A -o wide", "get datapowerservices,datapowermonitors -A -o wide", "get events -A --sort-by=.lastTimestamp",
		"-n " + system + " logs --prefix --tail=40 --all-containers -l app.kubernetes.io/name=datapower-operator",
	} {
		output, _ := w.command(strings.Fields(command)...).CombinedOutput()
		w.Logf("$ kubectl %s\n%s", command, output)
	}
}

func (w *world) command(args ...string) *exec.Cmd { return exec.Command(w.kubectl, args...) }

// run calls kubectl, which must succeed, and returns what it printed.
func (w *world) run(args ...string) string {
	w.Helper()
	return w.pipe("", args...)
}

// pipe is run with a standard input.
func (w *world) pipe(input string, args ...string) string {
	w.Helper()
	cmd := w.command(args...)
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &complaints
	output, err := cmd.Output()
	require.NoError(w, err, "kubectl %s: %s", strings.Join(args, " "), complaints.String())
	return strings.TrimSpace(string(output))
}

// becomes waits until kubectl prints the text.
func (w *world) becomes(want string, args ...string) {
	w.Helper()
	w.Eventually("kubectl "+strings.Join(args, " "), func() error {
		output, err := w.command(args...).CombinedOutput()
		if got := strings.TrimSpace(string(output)); err != nil || got != want {
			return fmt.Errorf("it prints %q, want %q", got, want)
		}
		return nil
	})
}

// install applies the manifests of a tree as `make deploy` does, and waits for the rollout.
func (w *world) install(from tree) {
	w.Helper()
	w.run("apply", "--server-side", "-k", filepath.Join(from.root, "config/crd"))
	w.pipe(w.manifests(from), "apply", "--server-side", "-f", "-")
	w.run("-n", system, "rollout", "status", "deployment/datapower-operator", "--timeout=240s")
	// The nodes learn some moments after the rollout where the webhooks' Service leads: docs/install.md says so.
	w.Eventually("the webhooks answer", func() error {
		output, err := w.command("apply", "--dry-run=server", "-f", filepath.Join(w.now.root, "config/samples/service-minimal.yaml")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	})
}

func (w *world) manifests(from tree) string {
	w.Helper()
	cmd := exec.Command(filepath.Join(from.root, "hack/manifests.sh"))
	cmd.Env = append(os.Environ(), "IMAGE="+from.image, "KUBECTL="+w.kubectl, "NAMESPACE="+system)
	output, err := cmd.Output()
	require.NoError(w, err, "hack/manifests.sh of %s", from.root)
	return string(output)
}

// pod is what must not change without a reason: another UID is another pod, a restart another process.
type pod struct {
	uid      string
	restarts int
}

// gateways are the gateways' pods by name, with the revision of their templates.
func (w *world) gateways() (map[string]pod, map[string]string) {
	w.Helper()
	var list struct {
		Items []struct {
			Metadata struct {
				Name, UID string
				Labels    map[string]string
			}
			Status struct {
				ContainerStatuses []struct{ RestartCount int }
			}
		}
	}
	require.NoError(w, json.Unmarshal([]byte(w.run("-n", shop, "get", "pods", "-o", "json")), &list))
	pods, revisions := map[string]pod{}, map[string]string{}
	for _, item := range list.Items {
		one := pod{uid: item.Metadata.UID}
		for _, status := range item.Status.ContainerStatuses {
			one.restarts += status.RestartCount
		}
		pods[item.Metadata.Name] = one
		revisions[item.Metadata.Name] = item.Metadata.Labels["controller-revision-hash"]
	}
	return pods, revisions
}

// same requires that no gateway was touched.
func (w *world) same(before map[string]pod) {
	w.Helper()
	after, _ := w.gateways()
	require.True(w, maps.Equal(before, after), "gateways were restarted without a reason: before %v, after %v", before, after)
}
