package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	containerdTimeout = time.Minute
	containerdTick    = 100 * time.Millisecond
)

// sysctls are settings that a kubelet insists on and that belong to the whole machine: it is shown files with the wanted values instead.
var sysctls = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// initialise is the first process of the namespaces. It prepares what they see, starts the node's programs and then waits for the end
// of the first of them: when this process returns, the kernel ends all others.
func (s Settings) initialise() error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"write the node's configuration", s.writeConfig},
		{"mount the node's file systems", s.mount},
		{"set up the node's network", s.network},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	if err := s.serve(); err != nil {
		return err
	}
	// Until containerd has its images, nothing is started whose orphans this process would have to collect.
	runtime, err := s.start("containerd", "containerd", "--config", s.path("containerd.toml"))
	if err != nil {
		return err
	}
	if err := s.awaitContainerd(); err != nil {
		return err
	}
	if err := s.importImages(); err != nil {
		return err
	}
	programs := map[int]string{runtime: "containerd"}
	for _, program := range [][]string{
		{"kubelet", "--config=" + s.path("kubelet.yaml"), "--kubeconfig=" + s.Kubeconfigs["kubelet"], "--root-dir=/var/lib/kubelet",
			"--hostname-override=" + Name, "--node-ip=" + Address},
		{"kube-proxy", "--config=" + s.path("kube-proxy.yaml")},
		{"coredns", "-conf", s.path("Corefile")},
	} {
		pid, err := s.start(program[0], filepath.Join(s.BinDir, program[0]), program[1:]...)
		if err != nil {
			return err
		}
		programs[pid] = program[0]
	}
	return s.reap(programs)
}

// mount gives the namespaces their own /proc, /run, cgroups and the directories that the programs keep state in.
func (s Settings) mount() error {
	if err := unix.Sethostname([]byte(Name)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	// Nothing that is mounted from here on reaches the machine; among the node's own mounts, volumes must propagate into containers.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make / private: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make / shared: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	if err := mountCgroups(); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("/run: %w", err)
	}
	for own, seen := range map[string]string{"varlib": "/var/lib", "varlog": "/var/log"} {
		if err := os.MkdirAll(s.path(own), 0o755); err != nil {
			return err
		}
		if err := unix.Mount(s.path(own), seen, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", seen, err)
		}
	}
	// The machine's name servers are out of reach: an image that is missing fails at once, not after a timeout.
	if err := unix.Mount(s.path("resolv.conf"), "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("/etc/resolv.conf: %w", err)
	}
	for name, value := range sysctls {
		file := s.path("sysctl", strings.ReplaceAll(name, "/", "_"))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
			return err
		}
		if err := unix.Mount(file, "/proc/sys/"+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("sysctl %s: %w", name, err)
		}
	}
	return nil
}

// mountCgroups shows each hierarchy as if the node's own cgroup were its root.
func mountCgroups() error {
	current, err := cgroupsOf("/proc/self/cgroup")
	if err != nil {
		return err
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("/sys: %w", err)
	}
	if err := unix.Mount("tmpfs", cgroupRoot, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("%s: %w", cgroupRoot, err)
	}
	for _, controller := range controllers {
		if _, ok := current[controller]; !ok {
			continue
		}
		options := controller
		if strings.HasPrefix(controller, "name=") {
			options = "none," + controller
		}
		target := filepath.Join(cgroupRoot, strings.TrimPrefix(controller, "name="))
		if err := os.Mkdir(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", target, "cgroup", 0, options); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	return nil
}

// network makes the node's interface. A default route must exist for connections to Service addresses to be routed at all, even
// though kube-proxy sends them elsewhere.
func (s Settings) network() error {
	for _, command := range []string{
		"link set lo up",
		"link add node0 type veth peer name node0p",
		"link set node0p up",
		"addr add " + Address + "/24 dev node0",
		"addr add " + s.AdvertiseAddress + "/32 dev node0",
		"link set node0 up",
		"route add default dev node0 src " + Address,
	} {
		if output, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, strings.TrimSpace(string(output)))
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// serve joins the namespaces to the API server, both ways.
func (s Settings) serve() error {
	_, port, err := net.SplitHostPort(s.APIServer)
	if err != nil {
		return fmt.Errorf("address of the API server: %w", err)
	}
	toAPIServer, err := net.Listen("tcp", net.JoinHostPort(s.AdvertiseAddress, port))
	if err != nil {
		return fmt.Errorf("listen for the node's programs: %w", err)
	}
	go relay(toAPIServer, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.apiSocket())
	})
	fromAPIServer, err := net.Listen("unix", s.EgressSocket())
	if err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	go func() { fmt.Fprintln(os.Stderr, "egress:", serveEgress(fromAPIServer)) }()
	return nil
}

// start starts a program of the node and returns its process ID; reap collects it.
func (s Settings) start(name, path string, args ...string) (pid int, err error) {
	log, err := os.OpenFile(s.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("open the log of %s: %w", name, err)
	}
	command := exec.Command(path, args...)
	command.Stdout, command.Stderr = log, log
	err = command.Start()
	if err := errors.Join(err, log.Close()); err != nil {
		return 0, fmt.Errorf("start %s: %w", name, err)
	}
	return command.Process.Pid, command.Process.Release()
}

func (s Settings) awaitContainerd() error {
	for deadline := time.Now().Add(containerdTimeout); ; {
		output, err := exec.Command("ctr", "--address", s.ContainerdSocket(), "version").CombinedOutput()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("containerd does not answer: %w: %s (log: %s)", err, strings.TrimSpace(string(output)), s.log("containerd"))
		}
		time.Sleep(containerdTick)
	}
}

// importImages loads the image of sandboxes and those of the settings.
func (s Settings) importImages() error {
	archive, err := pauseArchive(filepath.Join(s.BinDir, "pause"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path("pause.tar"), archive, 0o600); err != nil {
		return fmt.Errorf("write the image of pause: %w", err)
	}
	for _, image := range append([]string{s.path("pause.tar")}, s.Images...) {
		if output, err := exec.Command("ctr", importArguments(s.ContainerdSocket(), image)...).CombinedOutput(); err != nil {
			return fmt.Errorf("import the image %s: %w: %s", image, err, strings.TrimSpace(string(output)))
		}
	}
	return nil
}

// reap collects ended processes, as the first process of a namespace must, until one of the programs is among them.
func (s Settings) reap(programs map[int]string) error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for the node's programs: %w", err)
		}
		if name, ok := programs[pid]; ok {
			return fmt.Errorf("%s ended: exit status %d, signal %d; its log: %s", name, status.ExitStatus(), status.Signal(), s.log(name))
		}
	}
}
