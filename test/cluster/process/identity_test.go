package process

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// stat is the line of proc(5)'s form for a process with the name and start time; the numbers of other fields tell where they are.
func stat(name, state string, startTicks uint64) string {
	return fmt.Sprintf("4 (%s) %s 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119 120 121 %d 123 124 125",
		name, state, startTicks)
}

func TestStartTimeIsReadBehindAnyProgramName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(0, 15, 15).Draw(t, "name")
		want := rapid.Uint64().Draw(t, "ticks")
		state, ticks, err := parseStat([]byte(stat(name, "S", want)))
		require.NoError(t, err)
		assert.Equal(t, want, ticks)
		assert.Equal(t, byte('S'), state)
	})
}

func TestANameThatLooksLikeFieldsDoesNotConfuse(t *testing.T) {
	state, ticks, err := parseStat([]byte(stat("x) R 1 (y) Z 2", "S", 77)))
	require.NoError(t, err)
	assert.Equal(t, uint64(77), ticks)
	assert.Equal(t, byte('S'), state)
}

func TestBrokenStatLinesAreErrors(t *testing.T) {
	for name, line := range map[string]string{
		"empty":             "",
		"no name":           "4 sleep S 1 2",
		"too few fields":    "4 (sleep) S 1 2",
		"no number as time": strings.Replace(stat("sleep", "S", math.MaxUint64), "18446744073709551615", "soon", 1),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parseStat([]byte(line))
			assert.Error(t, err)
		})
	}
}

func TestThisProcessHasAnIdentity(t *testing.T) {
	self, err := Identify(os.Getpid())
	require.NoError(t, err)
	assert.Equal(t, os.Getpid(), self.PID)
	assert.NotZero(t, self.StartTicks)
	assert.Len(t, self.BootID, 36)
	assert.True(t, self.Running())
	assert.NoError(t, self.Signal(syscall.Signal(0)))
}

func TestARecycledProcessIDIsAnotherProcess(t *testing.T) {
	self, err := Identify(os.Getpid())
	require.NoError(t, err)
	for name, change := range map[string]func(*Identity){
		"that started at another time": func(id *Identity) { id.StartTicks-- },
		"that ran before a restart":    func(id *Identity) { id.BootID = "00000000-0000-0000-0000-000000000000" },
		"whose number nobody has now":  func(id *Identity) { id.PID = math.MaxInt32 },
	} {
		t.Run(name, func(t *testing.T) {
			earlier := self
			change(&earlier)
			assert.False(t, earlier.Running())
			assert.ErrorIs(t, earlier.Signal(syscall.SIGKILL), ErrNotRunning) // would end this test otherwise
		})
	}
}

func TestAZombieDoesNotRun(t *testing.T) {
	child := exec.Command("/bin/sleep", "1000")
	require.NoError(t, child.Start())
	identity, err := Identify(child.Process.Pid)
	require.NoError(t, err)
	require.True(t, identity.Running())
	require.NoError(t, child.Process.Kill()) // nobody waits for it yet
	require.Eventually(t, func() bool { return !identity.Running() }, 30*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, identity.Signal(syscall.SIGKILL), ErrNotRunning)
	require.Error(t, child.Wait())
}
