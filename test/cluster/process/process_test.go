package process_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

// helperEnv makes this test binary start a child, print its process ID and wait to be killed.
const helperEnv = "PROCESS_TEST_HELPER_LOG"

func TestMain(m *testing.M) {
	if log := os.Getenv(helperEnv); log != "" {
		os.Exit(helper(log))
	}
	goleak.VerifyTestMain(m)
}

func helper(log string) int {
	launcher := process.NewLauncher()
	defer launcher.Close()
	child, err := launcher.Start(process.Spec{Name: "sleep", Path: "/bin/sleep", Args: []string{"1000"}, LogPath: log})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(child.PID())
	<-child.Done()
	return 0
}

func newLauncher(t *testing.T) *process.Launcher {
	t.Helper()
	launcher := process.NewLauncher()
	t.Cleanup(launcher.Close)
	return launcher
}

func shell(t *testing.T, script string) process.Spec {
	t.Helper()
	return process.Spec{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script},
		Env: []string{"PATH=" + os.Getenv("PATH")}, LogPath: filepath.Join(t.TempDir(), "log"),
	}
}

// awaitLog waits until the process has printed the text.
func awaitLog(t *testing.T, p *process.Process, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(process.Tail(p.LogPath(), 100), text) }, 30*time.Second, 10*time.Millisecond)
}

func TestAProcessThatEndsOnItsOwnSaysHow(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"with an error":      {"echo no luck >&2; exit 3", "script ended: exit status 3"},
		"without error":      {"echo no luck", "script ended: exit status 0"},
		"killed by a signal": {"echo no luck; kill -9 $$", "script ended: signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newLauncher(t).Start(shell(t, test.script))
			require.NoError(t, err)
			<-p.Done()
			require.EqualError(t, p.Err(), test.want)
			assert.Equal(t, "no luck", process.Tail(p.LogPath(), 10))
		})
	}
}

func TestARunningProcessHasNoError(t *testing.T) {
	p, err := newLauncher(t).Start(shell(t, "exec sleep 1000"))
	require.NoError(t, err)
	assert.NoError(t, p.Err())
	assert.True(t, p.Stop(time.Minute), "sleep ends at SIGTERM")
	assert.EqualError(t, p.Err(), "script ended: signal: terminated")
	assert.True(t, p.Stop(time.Minute), "a second stop finds it ended")
}

func TestAProcessThatIgnoresSIGTERMIsKilled(t *testing.T) {
	p, err := newLauncher(t).Start(shell(t, "trap '' TERM; echo armed; while :; do sleep 1; done"))
	require.NoError(t, err)
	awaitLog(t, p, "armed")
	assert.False(t, p.Stop(time.Millisecond))
	assert.EqualError(t, p.Err(), "script ended: signal: killed")
}

func TestTheEnvironmentIsNotInherited(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.invalid")
	spec := shell(t, "env")
	p, err := newLauncher(t).Start(spec)
	require.NoError(t, err)
	<-p.Done()
	assert.NotContains(t, process.Tail(p.LogPath(), 1000), "HTTPS_PROXY")
}

func TestAMissingProgramIsAnError(t *testing.T) {
	spec := shell(t, "")
	spec.Path = "/nonexistent/program"
	_, err := newLauncher(t).Start(spec)
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "start script")
}

func TestAClosedLauncherStartsNothing(t *testing.T) {
	launcher := process.NewLauncher()
	launcher.Close()
	launcher.Close()
	_, err := launcher.Start(shell(t, "exit 0"))
	require.ErrorIs(t, err, process.ErrLauncherClosed)
}

func TestAChildSurvivesTheThreadOfTheCallerOfStart(t *testing.T) {
	launcher := newLauncher(t)
	started := make(chan *process.Process)
	threadGone := make(chan int, 1)
	go func() {
		runtime.LockOSThread() // ends with the goroutine
		threadGone <- syscall.Gettid()
		p, err := launcher.Start(shell(t, "exec sleep 1000"))
		assert.NoError(t, err)
		started <- p
	}()
	thread := <-threadGone
	p := <-started
	require.NotNil(t, p)
	require.Eventually(t, func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		return os.IsNotExist(err)
	}, 30*time.Second, 10*time.Millisecond)
	assert.NoError(t, p.Err())
	identity, err := process.Identify(p.PID())
	require.NoError(t, err)
	assert.True(t, identity.Running())
	p.Stop(time.Minute)
}

func TestChildrenDieWithTheirProgramEvenByKill(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), helperEnv+"="+filepath.Join(t.TempDir(), "log"))
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err, "the helper said: %s", line)
	child, err := process.Identify(pid)
	require.NoError(t, err)
	require.NoError(t, command.Process.Kill())
	require.Error(t, command.Wait())
	require.Eventually(t, func() bool { return !child.Running() }, 30*time.Second, 10*time.Millisecond)
}

func TestTailReturnsTheLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var long strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	for name, test := range map[string]struct {
		content string
		lines   int
		want    string
	}{
		"of a long file":              {long.String(), 2, "line 19998\nline 19999"},
		"of a shorter file":           {"a\nb\n", 5, "a\nb"},
		"without a final newline":     {"a\nb", 1, "b"},
		"of an empty file":            {"", 3, ""},
		"without the blank last ones": {"a\n\n\n", 1, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, []byte(test.content), 0o600))
			assert.Equal(t, test.want, process.Tail(path, test.lines))
		})
	}
	assert.Contains(t, process.Tail(filepath.Join(t.TempDir(), "none"), 3), "(no log: ")
}
