// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheWatchdogSaysWhenTheProbePortFallsSilentAndAnswersAgain runs the script with a start program that waits, and
// answers for the gateway. The watchdog outlives the start program here, while in a container it ends with it.
func TestTheWatchdogSaysWhenTheProbePortFallsSilentAndAnswersAgain(t *testing.T) {
	_, noCurl := exec.LookPath("curl")
	_, noWget := exec.LookPath("wget")
	if noCurl != nil && noWget != nil {
		t.Skip("this machine has neither curl nor wget")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	c := newContainer(t, shells["dash"], fmt.Sprintf("healthCheck: {probe: {port: %s}, watchdog: {enabled: true}}", port), adminSecret)
	soft := c.path("/opt/datapower-operator/init/health.soft-timeout")
	require.NoError(t, os.Remove(soft))
	require.NoError(t, os.WriteFile(soft, []byte("1"), 0o644))
	output := filepath.Join(t.TempDir(), "output")
	startInBackground(t, c, output)
	said := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool {
			printed, err := os.ReadFile(output)
			return err == nil && string(printed) == text
		}, 30*time.Second, 50*time.Millisecond, "want %q", text)
	}

	require.NoError(t, listener.Close())
	silence := "datapower-operator: warning: the health check on port " + port + " has not answered for 1 seconds\n"
	said(silence)
	listener, err = net.Listen("tcp", address)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	said(silence + "datapower-operator: the health check on port " + port + " answers again\n")
}

// startInBackground runs the init script with a start program that ends with the test, together with what it left
// running.
func startInBackground(t *testing.T, c *container, output string) {
	t.Helper()
	file, err := os.Create(output)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	command := exec.Command("dash", c.path(c.command[1]), "sleep", "60")
	command.Stdout, command.Stderr = file, file
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Env = append(os.Environ(), "DRROOT="+c.path(drouter), "SECUREROOT="+c.path(secure),
		"INITROOT="+c.path("/opt/datapower-operator"), "WATCH_PERIOD=0.1", "http_proxy=http://127.0.0.1:1")
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
	})
}
