package binaries

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// reportInterval is the longest silence while something is built.
	reportInterval = 10 * time.Second
	// killDelay is how long an interrupted go command gets to remove its temporary files.
	killDelay = 5 * time.Second
	// errorLines is how much of a failed build's output an error shows.
	errorLines = 20
)

// kubernetesModule is the module of Kubernetes' own programs.
const kubernetesModule = "k8s.io/kubernetes"

// tags are those of Kubernetes' own release builds (hack/lib/golang.sh).
const tags = "-tags=grpcnotrace,notest,selinux"

// buildFlags are the flags of `go build`. The Kubernetes version goes into the programs the way Kubernetes' own build does it
// (hack/lib/version.sh); commit and date of the release are not known here. etcd and kwok carry their versions in their sources.
func buildFlags(kubernetesVersion string) []string {
	major, minor := majorMinor(kubernetesVersion)
	link := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, setting := range [][2]string{
			{"gitVersion", kubernetesVersion}, {"gitMajor", major}, {"gitMinor", minor}, {"gitTreeState", "clean"},
			{"gitCommit", strings.Repeat("0", 40)}, {"buildDate", "1970-01-01T00:00:00Z"},
		} {
			link = append(link, "-X", pkg+"."+setting[0]+"="+setting[1])
		}
	}
	return []string{"-trimpath", tags, "-ldflags=" + strings.Join(link, " ")}
}

// majorMinor splits "v1.36.3" into "1" and "36"; what is missing is "".
func majorMinor(version string) (major, minor string) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 {
		return parts[0], ""
	}
	return parts[0], parts[1]
}

// command prepares a go command in the set's module, with the caller's environment. When ctx ends or this program dies, the
// command gets SIGINT, which lets Go remove its temporary files. The latter is bound to the thread that starts the command: callers
// lock theirs until the command has ended.
func (b *Builder) command(ctx context.Context, set Set, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(b.Root, set.dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = killDelay
	return cmd
}

// run runs a go command that only answers a question and returns what it prints.
func (b *Builder) run(ctx context.Context, set Set, args ...string) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := b.command(ctx, set, args...)
	var output, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &complaints
	if err := b.whileReporting("go "+strings.Join(args[:2], " "), cmd.Run); err != nil {
		return nil, commandError(ctx, args, err, complaints.String())
	}
	return output.Bytes(), nil
}

// whileReporting runs work, which says nothing itself, and reports that it still runs.
func (b *Builder) whileReporting(what string, work func() error) error {
	begin, done := time.Now(), make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() {
		tick := time.NewTicker(reportInterval)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				b.Progress(fmt.Sprintf("%s: %s", what, time.Since(begin).Round(time.Second)))
			}
		}
	})
	err := work()
	close(done)
	reporter.Wait()
	return err
}

// countPackages says of how many packages the program consists.
func (b *Builder) countPackages(ctx context.Context, set Set, p program) (int, error) {
	output, err := b.run(ctx, set, "list", "-deps", tags, p.pkg)
	return bytes.Count(output, []byte("\n")), err
}

// compile runs `go build -v`, which prints the path of each package as it compiles it, and reports how far it is. Packages that are
// in Go's build cache are not printed, so the count may end below the total.
func (b *Builder) compile(ctx context.Context, set Set, args []string, name string, total int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := b.command(ctx, set, args...)
	output, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build %s: %w", name, err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w", name, err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(output)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		_, _ = io.Copy(io.Discard, output) // after an overlong line, so that the command is not blocked
	}()
	printed := b.report(lines, name, total, begin)
	if err := cmd.Wait(); err != nil {
		return commandError(ctx, args[:1], fmt.Errorf("%s: %w", name, err), strings.Join(printed, "\n"))
	}
	b.Progress(fmt.Sprintf("built %s (%s)", name, time.Since(begin).Round(time.Second)))
	return nil
}

// report reads the lines until they end and returns the last of them.
func (b *Builder) report(lines <-chan string, name string, total int, begin time.Time) []string {
	tick := time.NewTicker(reportInterval)
	defer tick.Stop()
	compiled := 0
	var last []string
	for {
		select {
		case line, more := <-lines:
			if !more {
				return last
			}
			compiled++
			last = append(last, line)
			if len(last) > errorLines {
				last = last[1:]
			}
		case <-tick.C:
			b.Progress(progressLine(name, compiled, total, time.Since(begin)))
		}
	}
}

func progressLine(name string, compiled, total int, elapsed time.Duration) string {
	if compiled == 0 {
		return fmt.Sprintf("building %s: %s", name, elapsed.Round(time.Second))
	}
	return fmt.Sprintf("building %s: %d of at most %d packages compiled, %s", name, compiled, total, elapsed.Round(time.Second))
}

// commandError explains a failed go command by the end of what it printed, or by the reason for which it was stopped.
func commandError(ctx context.Context, args []string, err error, output string) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("go %s was stopped: %w", args[0], cause)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("go %s: %w; install Go, see go.mod for the version", args[0], err)
	}
	return fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(output))
}
