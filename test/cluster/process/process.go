// Package process starts child processes that cannot outlive the program that started them, and identifies processes so that a
// recycled process ID is never mistaken for the process that once had it. It works on Linux only.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// ErrLauncherClosed is returned by Launcher.Start after Launcher.Close.
var ErrLauncherClosed = errors.New("the launcher is closed")

// Spec says what to run.
type Spec struct {
	// Name is what messages call the process, for example "kube-apiserver".
	Name string
	// Path is the absolute path of the program.
	Path string
	// Args are the arguments after the program's name.
	Args []string
	// Env is the whole environment; nothing is inherited.
	Env []string
	// Dir is the working directory.
	Dir string
	// LogPath is the file that standard output and standard error are appended to; it is created with mode 0600.
	LogPath string
}

// Process is a child started by a Launcher.
type Process struct {
	name    string
	logPath string
	cmd     *exec.Cmd
	done    chan struct{}
	err     error
}

// Launcher starts children whose parent-death signal is SIGKILL. Linux sends that signal when the thread that forked ends, not when
// the process ends, so all children are forked from one thread that lives until Close. When the program dies in whatever way, even
// by SIGKILL, the kernel ends that thread and with it every child.
type Launcher struct {
	requests chan startRequest
	closing  chan struct{}
	ended    chan struct{}
	close    sync.Once
}

type startRequest struct {
	cmd   *exec.Cmd
	reply chan error
}

// NewLauncher starts the launcher's thread. The caller must call Close when all children are gone.
func NewLauncher() *Launcher {
	l := &Launcher{requests: make(chan startRequest), closing: make(chan struct{}), ended: make(chan struct{})}
	go l.run()
	return l
}

// run forks on one operating system thread until Close. The goroutine ends without unlocking its thread, so the runtime ends the thread.
func (l *Launcher) run() {
	defer close(l.ended)
	runtime.LockOSThread()
	for {
		select {
		case request := <-l.requests:
			request.reply <- request.cmd.Start()
		case <-l.closing:
			return
		}
	}
}

// Close ends the launcher's thread and waits for that. Children that still run get SIGKILL from the kernel in most cases; stop them
// first. Close may be called more than once.
func (l *Launcher) Close() {
	l.close.Do(func() { close(l.closing) })
	<-l.ended
}

// Start runs the program in its own process group, so that a Ctrl-C in the terminal reaches only this program, which then stops its
// children in the right order.
func (l *Launcher) Start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(spec.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}

	request := startRequest{cmd: cmd, reply: make(chan error, 1)}
	select {
	case l.requests <- request:
	case <-l.ended:
		return nil, fmt.Errorf("start %s: %w", spec.Name, ErrLauncherClosed)
	}
	if err := <-request.reply; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	p := &Process{name: spec.Name, logPath: spec.LogPath, cmd: cmd, done: make(chan struct{})}
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	defer close(p.done)
	if err := p.cmd.Wait(); err != nil {
		p.err = fmt.Errorf("%s ended: %w", p.name, err)
		return
	}
	p.err = fmt.Errorf("%s ended: exit status 0", p.name)
}

// Name is the name given in the Spec.
func (p *Process) Name() string { return p.name }

// PID is the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// LogPath is the file that holds what the process printed.
func (p *Process) LogPath() string { return p.logPath }

// Done is closed when the process has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended ("kube-apiserver ended: exit status 1"). It is nil while the process runs; the programs started
// here are servers, so every end, also one with status 0, is reported.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop sends SIGTERM, waits up to grace for the process to end, then sends SIGKILL and waits for the end. It reports whether
// SIGTERM was enough. Stopping a process that has ended does nothing.
func (p *Process) Stop(grace time.Duration) bool {
	// A failed signal means that the process has already ended, which the wait below sees.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		return false
	}
}
