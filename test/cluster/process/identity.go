package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ErrNotRunning says that no process with the wanted identity runs.
var ErrNotRunning = errors.New("process is not running")

// Identity names one process for all time: process IDs are reused, so the start time (clock ticks since boot, field 22 of
// /proc/PID/stat, see proc(5)) and the boot that it belongs to are part of it.
type Identity struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"startTicks"`
	BootID     string `json:"bootID"`
}

// Identify returns the identity of the running process pid. It returns ErrNotRunning when there is none or it is a zombie.
func Identify(pid int) (Identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Identity{}, fmt.Errorf("read the boot ID: %w", err)
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return Identity{}, fmt.Errorf("process %d: %w", pid, ErrNotRunning)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	state, ticks, err := parseStat(stat)
	if err != nil {
		return Identity{}, fmt.Errorf("state of process %d: %w", pid, err)
	}
	if state == 'Z' || state == 'X' {
		return Identity{}, fmt.Errorf("process %d has ended: %w", pid, ErrNotRunning)
	}
	return Identity{PID: pid, StartTicks: ticks, BootID: strings.TrimSpace(string(boot))}, nil
}

// parseStat returns the state letter (field 3) and the start time (field 22) of a /proc/PID/stat line. Field 2, the program's name
// in parentheses, may hold spaces and parentheses itself, so counting starts behind the last closing one.
func parseStat(stat []byte) (state byte, startTicks uint64, err error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, 0, errors.New("no program name in the stat line")
	}
	fields := bytes.Fields(stat[end+1:]) // fields[0] is field 3
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("stat line has %d fields after the program name, want 20 or more", len(fields))
	}
	startTicks, err = strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("start time: %w", err)
	}
	return fields[0][0], startTicks, nil
}

// Running reports whether exactly this process still runs.
func (id Identity) Running() bool {
	now, err := Identify(id.PID)
	return err == nil && now == id
}

// Signal sends the signal to exactly this process and never to one that got the same ID later: os.FindProcess holds a pidfd, so
// what is verified after it is what is signalled. It returns ErrNotRunning when the process is gone.
func (id Identity) Signal(signal syscall.Signal) error {
	handle, err := os.FindProcess(id.PID)
	if err != nil {
		return fmt.Errorf("process %d: %w", id.PID, err)
	}
	defer func() { _ = handle.Release() }()
	if !id.Running() {
		return fmt.Errorf("process %d: %w", id.PID, ErrNotRunning)
	}
	if err := handle.Signal(signal); err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("process %d: %w", id.PID, ErrNotRunning)
		}
		return fmt.Errorf("signal process %d: %w", id.PID, err)
	}
	return nil
}
