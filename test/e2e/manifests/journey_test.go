package manifests_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// samplePassword is what config/samples/service-peering.yaml sets.
const samplePassword = "change-me-please"

// TestTheJourneyOfAnInstallationByManifests runs its phases in order: each begins where the one before has ended.
func TestTheJourneyOfAnInstallationByManifests(t *testing.T) {
	w := newWorld(t)
	shown := w.newCertificate()
	if w.then.image == "" {
		t.Log("E2E_PREVIOUS is empty: the journey begins with this version, nothing is upgraded")
		w.then = w.now
	}
	w.Phase("the previous version is installed", func() { w.install(w.then) })
	w.Phase("gateways run", func() { w.startGateways(shown) })
	w.Phase("their REST interface lets the Secret's password in, and no other", func() { w.logIn(shown) })
	if w.then != w.now {
		w.Phase("the operator is upgraded", func() { w.upgrade(w.now) })
		w.Phase("it is set back to the previous version", func() { w.upgrade(w.then) })
		w.Phase("it is upgraded again", func() { w.upgrade(w.now) })
	}
	w.Phase("a lost gateway leaves no stale peer", func() { w.healPeering(shown) })
	w.Phase("published files of older versions are converted", w.convert)
	w.Phase("Prometheus scrapes every replica", w.scrape)
	w.Phase("another replica leads when the leader dies", w.failOver)
	w.Phase("the health check finds all well", w.checkHealth)
	w.Phase("the operator's roles are what it used", w.compareRights)
	w.Phase("the uninstallation leaves the gateways' data and nothing else", w.uninstall)
	t.Logf("phases:\n%s", w.Timings())
}

// startGateways applies three samples: one gateway, one on persistent volumes, three that are peers and show a certificate.
func (w *world) startGateways(shown certificate) {
	w.run("create", "namespace", shop)
	w.pipe(string(shown.key), "-n", shop, "create", "secret", "generic", "gateway-certificates",
		"--from-literal=tls.crt="+string(shown.cert), "--from-file=tls.key=/dev/stdin")
	w.pipe(w.sample("service-minimal.yaml", unchanged), "-n", shop, "apply", "-f", "-")
	w.pipe(w.sample("service-persistent.yaml", unchanged), "-n", shop, "apply", "-f", "-")
	w.pipe(w.sample("service-peering.yaml", func(spec map[string]any) {
		first := spec["domains"].([]any)[0].(map[string]any)
		first["certs"] = []any{map[string]any{"certType": "sharedcerts", "secret": "gateway-certificates"}}
	}), "-n", shop, "apply", "-f", "-")
	w.ready("gateway", 1)
	w.ready("editor", 1)
	w.ready("peers", 3)
	w.Eventually("the peers are linked", func() error { return w.linked(shown) })
}

// linked says what is wrong when the live gateways are not each other's only peers.
func (w *world) linked(shown certificate) error {
	addresses := strings.Fields(w.run("-n", shop, "get", "pods", "-l", "app.kubernetes.io/instance="+shop+"-peers", "-o", "jsonpath={.items[*].status.podIP}"))
	if len(addresses) != 3 {
		return fmt.Errorf("%d pods have an address", len(addresses))
	}
	for i := range 3 {
		found, err := w.links(shown, fmt.Sprintf("peers-%d", i))
		if err != nil {
			return err
		}
		if listed := slices.Sorted(maps.Keys(found)); !slices.Equal(listed, slices.Sorted(slices.Values(addresses))) {
			return fmt.Errorf("peers-%d lists %v, alive are %v", i, listed, addresses)
		}
		for address, state := range found {
			if !strings.EqualFold(state, "ok") {
				return fmt.Errorf("peers-%d: the link to %s is %s", i, address, state)
			}
		}
	}
	return nil
}

func (w *world) logIn(shown certificate) {
	const path = "/mgmt/status/shop/GatewayPeeringStatus"
	status, body := w.ask(shown, "peers-0", samplePassword, path)
	assert.Equal(w, http.StatusOK, status, "%s", body)
	status, _ = w.ask(shown, "peers-0", "guessed", path)
	assert.Equal(w, http.StatusUnauthorized, status)
	answer := w.run("-n", shop, "exec", "gateway-0", "--", "/bin/sh", "-c", "wget -q -O - http://peers-2.peers-headless:7879/")
	assert.Equal(w, "ok", answer, "the probe's answer, through the headless Service's DNS")
	files := w.run("-n", shop, "exec", "editor-0", "--", "/bin/sh", "-c", "ls /opt/ibm/datapower/drouter/config")
	assert.Contains(w, files, "auto-startup.cfg", "on the persistent volume")
}

// upgrade installs another version. What the two render differently is rolled out, one gateway after the other; nothing else is
// restarted, and nothing is lost.
func (w *world) upgrade(to tree) {
	before, revisions := w.gateways()
	w.install(to)
	w.Eventually("the operator has looked at all services", func() error {
		for _, service := range []string{"gateway", "editor", "peers"} {
			var found struct {
				Metadata struct{ Generation int }
				Status   struct {
					ObservedGeneration int
					Conditions         []struct{ Type, Status string }
				}
			}
			if err := json.Unmarshal([]byte(w.run("-n", shop, "get", "datapowerservice", service, "-o", "json")), &found); err != nil {
				return err
			}
			ready := slices.ContainsFunc(found.Status.Conditions, func(c struct{ Type, Status string }) bool { return c.Type == "Ready" && c.Status == "True" })
			if !ready {
				return fmt.Errorf("%s is not Ready", service)
			}
		}
		return nil
	})
	after, now := w.gateways()
	if maps.Equal(revisions, now) {
		assert.Equal(w, before, after, "gateways whose template is the same were restarted")
		return
	}
	w.Logf("the versions render other pods, which were rolled out: %v, then %v", revisions, now)
	assert.Equal(w, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
}

// healPeering takes away a gateway: the others list its address until the operator resets them.
func (w *world) healPeering(shown certificate) {
	w.becomes("True", "-n", shop, "get", "datapowermonitor", "peers", "-o", `jsonpath={.status.conditions[?(@.type=="PeeringHealthy")].status}`)
	gone := w.run("-n", shop, "get", "pod", "peers-1", "-o", "jsonpath={.status.podIP}")
	w.run("-n", shop, "delete", "pod", "peers-1")
	w.ready("peers", 3)
	w.Eventually("the peers are healed", func() error { return w.linked(shown) })
	again := w.run("-n", shop, "get", "pod", "peers-1", "-o", "jsonpath={.status.podIP}")
	require.NotEqual(w, gone, again, "the test wants another address")
	w.becomes("True", "-n", shop, "get", "datapowermonitor", "peers", "-o", `jsonpath={.status.conditions[?(@.type=="PeeringHealthy")].status}`)
	w.becomes("false false", "-n", shop, "get", "datapowermonitor", "peers", "-o", "jsonpath={.status.workPending} {.status.workInProgress}")
}

// convert asks for the same service in all versions, and applies one in the oldest.
func (w *world) convert() {
	for _, version := range []string{"v1beta1", "v1beta2", "v1beta3"} {
		name := w.run("-n", shop, "get", "datapowerservices."+version+".datapower.ibm.com", "peers", "-o", "jsonpath={.apiVersion} {.metadata.name}")
		assert.Equal(w, "datapower.ibm.com/"+version+" peers", name)
	}
	w.pipe(`apiVersion: datapower.ibm.com/v1beta1
kind: DataPowerService
metadata: {name: old}
spec:
  license: {accept: true, use: nonproduction}
  version: 10.6-lts
  replicas: 0
  users: [{name: admin, passwordSecret: peers-admin, accessLevel: privileged}]
`, "-n", shop, "apply", "-f", "-")
	w.becomes("0", "-n", shop, "get", "statefulset", "old", "-o", "jsonpath={.spec.replicas}")
	w.run("-n", shop, "delete", "datapowerservice", "old")
}

func (w *world) leader() (name, uid string) {
	w.Helper()
	w.Eventually("one pod is the leader", func() error {
		found := strings.Fields(w.run("-n", system, "get", "pods", "-l", "leader=true", "-o", "jsonpath={.items[*].metadata.name} {.items[*].metadata.uid}"))
		if len(found) != 2 {
			return fmt.Errorf("%d pods have the label leader=true: %v", len(found)/2, found)
		}
		name, uid = found[0], found[1]
		return nil
	})
	return name, uid
}

// failOver kills the leader's pod without notice, and sees another reconcile.
func (w *world) failOver() {
	before, _ := w.gateways()
	name, uid := w.leader()
	w.run("-n", system, "delete", "pod", name, "--grace-period=0", "--force")
	w.Eventually("another pod leads", func() error {
		if _, now := w.leader(); now == uid {
			return fmt.Errorf("it is still %s", name)
		}
		return nil
	})
	w.same(before)
	w.run("-n", shop, "delete", "service", "peers-headless")
	w.becomes("None", "-n", shop, "get", "service", "peers-headless", "-o", "jsonpath={.spec.clusterIP}")
	w.run("-n", system, "rollout", "status", "deployment/datapower-operator", "--timeout=240s")
}

// checkHealth runs the script for people. A new leader needs a moment until it says so.
func (w *world) checkHealth() {
	w.Eventually("hack/health-check.sh ends with 0", func() error {
		cmd := exec.Command(filepath.Join(w.now.root, "hack/health-check.sh"), system)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(w.kubectl)+":"+os.Getenv("PATH"))
		output, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	})
}

// scrape lets Prometheus, on the node's network, read both ports of all replicas.
func (w *world) scrape() {
	program, err := exec.LookPath("prometheus")
	require.NoError(w, err, "hack/e2e.sh installs it")
	p := w.startPrometheus(program)
	targets := strings.Fields(w.run("-n", system, "get", "pods", "-l", "app.kubernetes.io/name=datapower-operator", "-o", "jsonpath={.items[*].status.podIP}"))
	require.Len(w, targets, 2, "replicas of the operator")
	w.Eventually("all targets are up", func() error {
		up, err := p.query("sum(up)")
		if err == nil && up != "4" {
			err = fmt.Errorf("%s of 4 are: %s", up, p.problems())
		}
		return err
	})
	w.Eventually("the leader counts the services", func() error {
		found, err := p.query("sum(datapower_operator_resources{kind=\"DataPowerService\"})")
		if err == nil && found != "3" {
			err = fmt.Errorf("it counts %s, want 3", found)
		}
		return err
	})
}

// uninstall follows docs/install.md: the definitions while the operator runs, then the operator.
func (w *world) uninstall() {
	w.run("delete", "-k", filepath.Join(w.now.root, "config/crd"))
	w.pipe(w.manifests(w.now), "delete", "-f", "-")
	data := []string{ // a StatefulSet's claims outlive it: what users configured in the web interface is in them
		"PersistentVolumeClaim/" + shop + "/storage-opt-ibm-datapower-drouter-config-editor-0",
		"PersistentVolumeClaim/" + shop + "/storage-opt-ibm-datapower-drouter-local-editor-0",
	}
	w.Eventually("nothing but data is left", func() error {
		if left := w.remains(); !slices.Equal(left, data) {
			return fmt.Errorf("left are %s, want %s", strings.Join(left, ", "), strings.Join(data, ", "))
		}
		return nil
	})
	w.run("delete", "namespace", shop)
	w.run("delete", "clusterrolebinding", "scraper")
}

// remains lists the objects of all kinds whose names tell of the operator, and what is in the gateways' namespace but for what the
// samples brought.
func (w *world) remains() []string {
	w.Helper()
	left := []string{}
	for kind := range strings.FieldsSeq(w.run("api-resources", "--verbs=list,delete", "-o", "name")) {
		if strings.HasPrefix(kind, "events") {
			continue
		}
		output, err := w.command("get", kind, "-A", "-o", `jsonpath={range .items[*]}{.kind}{"/"}{.metadata.namespace}{"/"}{.metadata.name}{"\n"}{end}`).Output()
		require.NoError(w, err, kind)
		for name := range strings.FieldsSeq(string(output)) {
			user := slices.ContainsFunc([]string{"Secret", "ServiceAccount", "PersistentVolume", "ConfigMap"}, func(kind string) bool {
				return strings.HasPrefix(name, kind+"/")
			})
			if strings.Contains(name, "datapower") || strings.Contains(name, "/"+shop+"/") && !user {
				left = append(left, name)
			}
		}
	}
	slices.Sort(left)
	return left
}
