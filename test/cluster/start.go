package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
	"github.com/datapower-operator/datapower-operator/test/cluster/node"
	"github.com/datapower-operator/datapower-operator/test/cluster/process"
	"github.com/datapower-operator/datapower-operator/test/cluster/provisioner"
)

// startTimeout ends a start that hangs. A start takes seconds; on a machine that many tests share it takes longer.
const startTimeout = 3 * time.Minute

// ErrOptions says that the Options make no sense.
var ErrOptions = errors.New("invalid cluster options")

// Start starts a cluster and returns when pods can be created: the API server is ready, the ServiceAccount default/default exists and
// all nodes take pods. The context bounds the start only; the cluster runs until Stop. When the start fails, everything is stopped
// again, and the error says which component did not make it and what it printed last.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	c, err := newCluster(options)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the cluster did not start within %s", startTimeout))
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	started := make(chan struct{})
	go func() {
		defer close(started)
		select {
		case <-c.failed:
			fail(c.Err())
		case <-ctx.Done():
		}
	}()
	err = c.start(ctx)
	fail(nil)
	<-started
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// newCluster checks the options and makes the directories, ports and certificates; it starts nothing but the launcher's thread.
func newCluster(options Options) (*Cluster, error) {
	if options.Nodes < 0 || options.Nodes > MaxNodes {
		return nil, fmt.Errorf("%w: %d nodes, want 0 to %d", ErrOptions, options.Nodes, MaxNodes)
	}
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	if options.BinDir == "" {
		sets := []binaries.Set{binaries.ControlPlane}
		if options.RealNode != nil {
			sets = binaries.RealNode()
		}
		found, err := binaries.Find(sets...)
		if err != nil {
			return nil, err
		}
		options.BinDir = found
	}
	binDir, err := filepath.Abs(options.BinDir)
	if err != nil {
		return nil, fmt.Errorf("directory of the programs: %w", err)
	}
	options.BinDir = binDir
	c := &Cluster{
		options: options, tempDir: options.Dir == "", failed: make(chan struct{}),
		launcher: process.NewLauncher(), stopProvisioner: func() {},
	}
	if err := c.prepare(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// prepare makes everything that the components find when they start.
func (c *Cluster) prepare() (err error) {
	if err := c.prepareDir(); err != nil {
		return err
	}
	now := time.Now()
	if c.options.RealNode != nil {
		if err := node.Check(c.layout.node()); err != nil {
			return err
		}
	}
	if c.creds, err = newCredentials(c.layout, now); err != nil {
		return err
	}
	if c.ports, c.held, err = reservePorts(); err != nil {
		return err
	}
	url := localURL(c.ports.api)
	if c.config, err = c.creds.restConfig(url, adminUser, []string{groupMasters}, now); err != nil {
		return err
	}
	nodeURL := "https://" + net.JoinHostPort(advertiseAddress, strconv.Itoa(c.ports.api))
	return c.creds.writeComponentKubeconfigs(c.layout, url, nodeURL, now)
}

// prepareDir makes the cluster's directory, without anything of an earlier cluster.
func (c *Cluster) prepareDir() error {
	dir := c.options.Dir
	if c.tempDir {
		temp, err := os.MkdirTemp("", "datapower-cluster-")
		if err != nil {
			return fmt.Errorf("make the cluster's directory: %w", err)
		}
		dir = temp
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("the cluster's directory: %w", err)
	}
	c.layout = layout{dir: dir}
	if err := RemoveState(dir); err != nil {
		return err
	}
	for _, d := range c.layout.directories() {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make the cluster's directory: %w", err)
		}
	}
	stages, err := kwokConfig()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(c.layout.run(kwokConfigFile), stages, 0o600),
		os.WriteFile(c.layout.run(egressFile), egressConfig(c.nodeSettings().EgressSocket()), 0o600),
		os.WriteFile(c.layout.run(auditPolicyFile), []byte(auditPolicy), 0o600))
}

// start brings the components up in the order in which they need each other: kube-controller-manager ends when it starts before the
// API server has made its RBAC roles, which is what /readyz waits for.
func (c *Cluster) start(ctx context.Context) error {
	steps := []func(context.Context) error{
		c.startEtcd, c.startAPIServer, c.startControllers, c.startNode, c.addContent, c.awaitContent, c.writeKubeconfig,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) startEtcd(ctx context.Context) error {
	p, err := c.launch(etcd, etcdArgs(c.layout, c.ports))
	if err != nil {
		return err
	}
	probe, err := httpsProbe(localURL(c.ports.etcdClient)+"/health", c.creds.etcd.Cert, &c.creds.etcdClient)
	if err != nil {
		return err
	}
	return c.await(ctx, etcd+" is healthy", p, probe)
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	p, err := c.launch(kubeAPIServer, apiServerArgs(c.layout, c.ports, c.options))
	if err != nil {
		return err
	}
	probe, err := httpsProbe(c.config.Host+"/readyz", c.creds.cluster.Cert, nil)
	if err != nil {
		return err
	}
	if err := c.await(ctx, kubeAPIServer+" is ready", p, probe); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	c.version = version.GitVersion
	return nil
}

// startControllers starts what needs the API server, all at once.
func (c *Cluster) startControllers(ctx context.Context) error {
	manager, err := c.launch(controllerManager, controllerManagerArgs(c.layout, c.ports, c.options))
	if err != nil {
		return err
	}
	scheduler, err := c.launch(kubeScheduler, schedulerArgs(c.layout, c.ports))
	if err != nil {
		return err
	}
	if c.options.Nodes > 0 {
		if _, err := c.launch(kwok, kwokArgs(c.layout)); err != nil {
			return err
		}
	}
	if err := c.startProvisioner(); err != nil {
		return err
	}
	for _, waiting := range []struct {
		process *process.Process
		port    int
	}{{manager, c.ports.controllerManager}, {scheduler, c.ports.scheduler}} {
		probe, err := httpsProbe(localURL(waiting.port)+"/healthz", c.creds.cluster.Cert, nil)
		if err != nil {
			return err
		}
		if err := c.await(ctx, waiting.process.Name()+" is healthy", waiting.process, probe); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) startProvisioner() error {
	config, err := c.creds.restConfig(c.config.Host, provisionerUser, []string{groupMasters}, time.Now())
	if err != nil {
		return err
	}
	volumes := ""
	if c.options.RealNode != nil {
		volumes = c.layout.volumes()
	}
	stop, err := startProvisioner(config, volumes)
	if err != nil {
		return err
	}
	c.stopProvisioner = stop
	return nil
}

// startNode starts the real node, if one is wanted. That it is Ready is awaited with the other nodes.
func (c *Cluster) startNode(context.Context) error {
	if c.options.RealNode == nil {
		return nil
	}
	arguments, err := c.nodeSettings().Arguments()
	if err != nil {
		return err
	}
	spec := componentSpec(c.layout, "", node.Command, arguments)
	spec.Path = c.options.RealNode.Program
	_, err = c.launchSpec(spec)
	return err
}

// startProvisioner runs the volume provisioner, with a directory for volumes or none, until the returned function is called, which waits for its end.
func startProvisioner(config *rest.Config, volumes string) (stop func(), err error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the client of the volume provisioner: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { provisioner.Run(ctx, client, volumes) })
	return func() {
		cancel()
		running.Wait()
	}, nil
}

// launch starts a component and watches it for the rest of its life.
func (c *Cluster) launch(name string, args []string) (*process.Process, error) {
	return c.launchSpec(componentSpec(c.layout, c.options.BinDir, name, args))
}

func (c *Cluster) launchSpec(spec process.Spec) (*process.Process, error) {
	p, err := c.launcher.Start(spec)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	c.processes = append(c.processes, p)
	c.mutex.Unlock()
	c.watchers.Go(func() {
		<-p.Done()
		c.ended(p)
	})
	return p, nil
}

// ended records the first component that ended although nobody stopped it.
func (c *Cluster) ended(p *process.Process) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.stopping || c.failure != nil {
		return
	}
	c.failure = fmt.Errorf("%w; its log %s ends with:\n%s", p.Err(), p.LogPath(), process.Tail(p.LogPath(), tailLines))
	close(c.failed)
}
