package observability

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kubectl stands in for the real one: it answers what the health check asks for, and forwards every port to the address in
// $FORWARD. It never runs anything in a pod.
const kubectl = `#!/bin/sh
shift 2 # -n NAMESPACE
case "$1 $2" in
"get deployment") echo "$COUNTS" ;;
"get pods") printf '%b' "$PODS" ;;
"get lease") [ "$HOLDER" = - ] || echo "$HOLDER" ;;
port-forward*) echo "Forwarding from $FORWARD -> ${3#:}"; exec sleep 60 ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
`

func TestTheHealthCheckLooksAtEveryPodAndBothLeaders(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s", program)
		}
	}
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "kubectl"), []byte(kubectl), 0o700))
	const two = `operator-a Running \noperator-b Running \n`
	for name, tc := range map[string]struct {
		counts, pods, holder string
		failing              string // the path that does not answer 200
		want                 []string
		code                 int
	}{
		"all is well": {counts: "2 2", pods: two, holder: "operator-b_1", want: []string{
			"ok      2 of 2 replicas are ready", "ok      operator-a: port 8081 /healthz", "ok      operator-b: port 8082 /readyz",
			"ok      operator-b holds the Lease datapower-helm-operator", "ok      operator-b holds the Lease datapower-sidecar", "the operator is healthy"}},
		"a probe fails": {counts: "2 2", pods: two, holder: "operator-b_1", failing: "/readyz", code: 1, want: []string{
			"NOT OK  operator-a: port 8081 /readyz", "NOT OK  operator-b: port 8082 /readyz", "ok      operator-a: port 8081 /healthz", "4 problems"}},
		"nobody leads": {counts: "2 2", pods: two, holder: "-", code: 1, want: []string{"NOT OK  nobody leads: the Lease datapower-sidecar has no holder"}},
		"the leader is gone": {counts: "2 2", pods: two, holder: "operator-z_1", code: 1,
			want: []string{"NOT OK  the Lease datapower-sidecar is held by operator-z_1, which is no pod of the operator"}},
		"one is not ready": {counts: "2 1", pods: `operator-a Running \noperator-b Pending \n`, holder: "operator-a_1", code: 1,
			want: []string{"NOT OK  1 of 2 replicas are ready", "NOT OK  operator-b: phase Pending", "ok      operator-a: port 8082 /readyz"}},
		"there is none":            {counts: "2", holder: "-", code: 1, want: []string{"NOT OK  0 of 2 replicas are ready", "NOT OK  there is no pod"}},
		"one that ends is left be": {counts: "1 1", pods: `operator-a Running \noperator-b Running 2026-01-01T00:00:00Z\n`, holder: "operator-a_1", want: []string{"the operator is healthy"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == tc.failing {
					w.WriteHeader(http.StatusInternalServerError)
				}
			}))
			defer server.Close()
			cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(root, "hack/health-check.sh"))
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "COUNTS="+tc.counts, "PODS="+tc.pods, "HOLDER="+tc.holder,
				"FORWARD="+strings.TrimPrefix(server.URL, "http://"))
			out, err := cmd.CombinedOutput()
			if tc.code == 0 {
				assert.NoError(t, err, string(out))
				assert.NotContains(t, string(out), "NOT OK")
			} else {
				assert.EqualError(t, err, fmt.Sprintf("exit status %d", tc.code), string(out))
			}
			for _, want := range tc.want {
				assert.Contains(t, string(out), want)
			}
		})
	}
}
