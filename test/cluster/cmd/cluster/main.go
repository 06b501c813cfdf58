// Command cluster runs a local Kubernetes cluster: control plane from Go modules, nodes simulated by kwok, no root needed; for root also
// a real node.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
	"github.com/datapower-operator/datapower-operator/test/cluster/node"
	"github.com/datapower-operator/datapower-operator/test/cluster/supervisor"
)

// Exit statuses; 3 is what `systemctl status` uses for "not running" too.
const (
	exitOK         = 0
	exitError      = 1
	exitUsage      = 2
	exitNotRunning = 3
)

const usage = `Usage: cluster COMMAND [flags]

Runs a local Kubernetes cluster: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, built from Go
modules, with nodes simulated by kwok. It needs Go and Linux, but no root and no containers. With --real-node it has
one node that runs pods, in namespaces of its own: that needs root and the Debian packages containerd, runc, iproute2,
iptables and containernetworking-plugins.

Commands:
  up      build the programs if need be, start the cluster, wait until it is ready
  down    stop the cluster and remove its state
  status  say whether the cluster runs (exit status 3 if not)
  load    give images to the real node: cluster load ARCHIVE... (tar in OCI layout, or of docker save)
  build   only build the programs

Flags:
%s
The environment variable ` + binaries.EnvDir + ` names a directory with ready-made programs to use instead of building
them. The state lives in .cluster of the repository; the administrator's kubeconfig is .cluster/kubeconfig.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	dir      string
	nodes    int
	realNode bool
	images   []string
	archives []string // of load
	auditLog bool
	stdout   io.Writer
	begin    time.Time
}

// run does what the arguments say and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == supervisor.Command {
		if err := supervisor.Supervise(args[1:]); err != nil {
			fmt.Fprintln(stderr, "error:", err)
			return exitError
		}
		return exitOK
	}
	if node.Handles(args) {
		fmt.Fprintln(stderr, "error:", node.Run(args))
		return exitError
	}
	o := options{stdout: stdout, begin: time.Now()}
	flags := pflag.NewFlagSet("cluster", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.dir, "dir", "", "directory of the cluster (default: .cluster in the repository)")
	flags.IntVar(&o.nodes, "nodes", cluster.DefaultNodes, fmt.Sprintf("number of simulated nodes, 0 to %d", cluster.MaxNodes))
	flags.BoolVar(&o.realNode, "real-node", false, "have a node that runs pods, instead of simulated ones unless --nodes is given too")
	flags.StringSliceVar(&o.images, "image", nil, "archive of an image that the real node has from the start; may be repeated")
	flags.BoolVar(&o.auditLog, "audit-log", false, "write an audit log with one line per request")
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) || (err == nil && flags.Arg(0) == "help") {
		fmt.Fprintf(stdout, usage, flags.FlagUsages())
		return exitOK
	}
	if err == nil {
		err = o.complete(flags)
	}
	if err == nil && (o.nodes < 0 || o.nodes > cluster.MaxNodes) {
		err = fmt.Errorf("invalid argument %d for --nodes: want 0 to %d", o.nodes, cluster.MaxNodes)
	}
	commands := map[string]func(context.Context, *options) (int, error){
		"up": up, "down": down, "status": status, "load": load, "build": build,
	}
	command, known := commands[flags.Arg(0)]
	if err == nil && !known {
		err = fmt.Errorf("unknown command %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n\n"+usage, err, flags.FlagUsages())
		return exitUsage
	}
	ctx, cancel := watchGoRun(ctx)
	defer cancel()
	code, err := command(ctx, &o)
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return exitError
	}
	return code
}

// complete checks the arguments and settles what depends on several flags.
func (o *options) complete(flags *pflag.FlagSet) error {
	if flags.Arg(0) == "load" {
		o.archives = flags.Args()[1:]
		if len(o.archives) == 0 {
			return errors.New("load wants the archives of images")
		}
	} else if flags.NArg() != 1 {
		return errors.New("want exactly one command")
	}
	if len(o.images) > 0 && !o.realNode {
		return errors.New("--image needs --real-node: simulated nodes run nothing")
	}
	if o.realNode && !flags.Changed("nodes") {
		o.nodes = 0
	}
	return nil
}

// sets are the programs that the cluster needs.
func (o *options) sets() []binaries.Set {
	if o.realNode {
		return binaries.RealNode()
	}
	return []binaries.Set{binaries.ControlPlane}
}

// progress prints a line with the time since the start.
func (o *options) progress(line string) {
	fmt.Fprintf(o.stdout, "[%3.0fs] %s\n", time.Since(o.begin).Seconds(), line)
}

// stateDir is the absolute path of the cluster's directory.
func (o *options) stateDir() (string, error) {
	if o.dir != "" {
		return filepath.Abs(o.dir)
	}
	root, err := binaries.RepositoryRoot(".")
	if err != nil {
		return "", err
	}
	return binaries.StateDir(root), nil
}

// inspect looks at the cluster and returns its directory, too.
func (o *options) inspect() (dir string, found supervisor.Status, err error) {
	if dir, err = o.stateDir(); err == nil {
		found, err = supervisor.Inspect(dir)
	}
	return dir, found, err
}

// programs returns the directory of the programs, after building them if need be.
func (o *options) programs(ctx context.Context) (string, error) {
	root, err := binaries.RepositoryRoot(".")
	if err != nil && os.Getenv(binaries.EnvDir) == "" {
		return "", err
	}
	return (&binaries.Builder{Root: root, Sets: o.sets(), Progress: o.progress}).Ensure(ctx)
}

func build(ctx context.Context, o *options) (int, error) {
	dir, err := o.programs(ctx)
	if err != nil {
		return exitError, err
	}
	fmt.Fprintf(o.stdout, "The programs are up to date in %s\n", dir)
	return exitOK, nil
}

func up(ctx context.Context, o *options) (int, error) {
	dir, err := o.stateDir()
	if err != nil {
		return exitError, err
	}
	if o.realNode {
		if err := node.Check(cluster.NodeIn(dir)); err != nil { // before minutes of building
			return exitError, err
		}
	}
	settings := supervisor.Settings{Dir: dir, Nodes: o.nodes, RealNode: o.realNode, AuditLog: o.auditLog}
	for _, image := range o.images {
		path, err := readable(image)
		if err != nil {
			return exitError, err
		}
		settings.Images = append(settings.Images, path)
	}
	state, existing, err := supervisor.Up(ctx, settings, o.programs, o.progress)
	if err != nil {
		return exitError, err
	}
	verb := fmt.Sprintf("is ready after %.1f seconds", time.Since(o.begin).Seconds())
	if existing {
		verb = "already runs"
	}
	fmt.Fprintf(o.stdout, "\nKubernetes %s %s: %s, %s\n\n", state.Version, verb, nodesOf(state), state.URL)
	fmt.Fprintf(o.stdout, "  export KUBECONFIG=%s\n", cluster.KubeconfigIn(dir))
	fmt.Fprintf(o.stdout, "  export PATH=%s:$PATH\n", state.BinDir)
	stop := "make cluster-down"
	if o.dir != "" {
		stop = "go run ./test/cluster/cmd/cluster down --dir " + dir
	}
	fmt.Fprintf(o.stdout, "  kubectl get nodes\n\nStop it with: %s\n", stop)
	return exitOK, nil
}

func nodesOf(state supervisor.State) string {
	if !state.RealNode {
		return fmt.Sprintf("%d simulated nodes", state.Nodes)
	}
	if state.Nodes == 0 {
		return "a real node"
	}
	return fmt.Sprintf("a real node and %d simulated ones", state.Nodes)
}

// readable returns the absolute path of a file that can be read.
func readable(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("archive of an image: %w", err)
	}
	absolute, err := filepath.Abs(path)
	return absolute, errors.Join(err, file.Close())
}

func load(ctx context.Context, o *options) (int, error) {
	dir, found, err := o.inspect()
	if err != nil {
		return exitError, err
	}
	if !found.Running || !found.State.RealNode {
		return exitError, errors.New("no cluster with a real node runs here: start one with --real-node")
	}
	printed, err := node.Load(ctx, cluster.NodeIn(dir), o.archives...)
	fmt.Fprint(o.stdout, printed)
	if err != nil {
		return exitError, err
	}
	return exitOK, nil
}

func down(ctx context.Context, o *options) (int, error) {
	dir, err := o.stateDir()
	if err != nil {
		return exitError, err
	}
	ran, err := supervisor.Down(ctx, dir, o.progress)
	if err != nil {
		return exitError, err
	}
	if ran {
		fmt.Fprintln(o.stdout, "The cluster is stopped.")
	} else {
		fmt.Fprintln(o.stdout, "No cluster runs.")
	}
	return exitOK, nil
}

func status(_ context.Context, o *options) (int, error) {
	dir, found, err := o.inspect()
	if err != nil {
		return exitError, err
	}
	if !found.Running {
		fmt.Fprintln(o.stdout, "No cluster runs.")
		if found.Failure != "" {
			fmt.Fprintf(o.stdout, "The last one failed: %s\n", found.Failure)
		}
		return exitNotRunning, nil
	}
	state := found.State
	if !state.Ready {
		fmt.Fprintln(o.stdout, "A cluster is starting.")
		return exitNotRunning, nil
	}
	fmt.Fprintf(o.stdout, "Kubernetes %s runs since %s: %s, %s\nKUBECONFIG=%s\n", state.Version,
		state.StartedAt.Format(time.DateTime), nodesOf(state), state.URL, cluster.KubeconfigIn(dir))
	if state.AuditLog != "" {
		fmt.Fprintf(o.stdout, "audit log: %s\n", state.AuditLog)
	}
	for _, component := range state.Components {
		fmt.Fprintf(o.stdout, "  %-24s process %-8d %s\n", component.Name, component.Process.PID, component.Log)
	}
	return exitOK, nil
}

// watchGoRun ends the context when this program was started by `go run` and that has died: `go run` passes Ctrl-C on, but when it is
// terminated by another signal, its program goes on as an orphan.
func watchGoRun(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	parent := os.Getppid()
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", parent))
	if err == nil && strings.TrimSpace(string(name)) == "go" {
		go func() {
			for os.Getppid() == parent {
				select {
				case <-ctx.Done():
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
			cancel(errors.New("`go run` was stopped"))
		}()
	}
	return ctx, func() { cancel(nil) }
}
