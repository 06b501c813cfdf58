// Command gateway runs stand-ins for DataPower Gateways. It is a test program and not part of the product.
//
// As one gateway in a container it reads the gateway's files and opens its real ports; the chart's init script starts it
// like the real one. As a fleet it stands in for the gateways of all pods of a cluster with simulated nodes and prints the
// address of the proxy that reaches them, for HTTPS_PROXY:
//
//	gateway --root=/opt/ibm/datapower --service=gw-headless
//	gateway --fleet --kubeconfig=... --proxy=127.0.0.1:3128 --control=127.0.0.1:5599
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/config"
)

// options are the program's flags.
type options struct {
	fleet                              bool
	kubeconfig, namespace, proxy       string
	root, address, bind, name, service string
	peers                              []string
	control, certificate               string
	tlsCert, tlsKey                    string
	settings                           gateway.Settings
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run() error {
	o, err := parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.fleet {
		return runFleet(ctx, o)
	}
	return runOne(ctx, o)
}

func parse(arguments []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("gateway", pflag.ContinueOnError)
	flags.BoolVar(&o.fleet, "fleet", false, "stand in for the gateways of all pods of a cluster")
	flags.StringVar(&o.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig of the fleet's cluster; empty means the pod's service account")
	flags.StringVar(&o.namespace, "namespace", "", "the fleet's namespace; empty means all")
	flags.StringVar(&o.proxy, "proxy", "127.0.0.1:0", "address of the fleet's CONNECT proxy")
	flags.StringVar(&o.root, "root", "/opt/ibm/datapower", "folder with the gateway's files")
	flags.StringVar(&o.address, "address", os.Getenv("POD_IP"), "the gateway's own address; empty means the first of this machine that is no loopback address")
	flags.StringVar(&o.bind, "bind", "", "address to open the gateway's ports on; empty means all")
	flags.StringVar(&o.name, "name", cmp.Or(os.Getenv("HOSTNAME"), "gateway"), "the gateway's name in the request log")
	flags.StringVar(&o.service, "service", "", "headless Service whose addresses are the other gateways")
	flags.StringSliceVar(&o.peers, "peer", nil, "addresses of the other gateways, in place of a service")
	flags.StringVar(&o.control, "control", "", "address of the control API; empty means none")
	flags.StringVar(&o.certificate, "certificate", "", "file that gets the certificate of the fleet's gateways, for monitors to trust; empty means none")
	flags.StringVar(&o.tlsCert, "tls-cert", "", "file with the one gateway's certificate; empty means one that it signs itself")
	flags.StringVar(&o.tlsKey, "tls-key", "", "file with the key of --tls-cert")
	flags.StringVar(&o.settings.ResetAction, "reset-action", gateway.DefaultResetAction, "name of the action that resets a peering; - for none")
	flags.StringVar(&o.settings.SwitchPrimaryAction, "switch-primary-action", "", "name of the action that makes this member the primary")
	flags.StringVar(&o.settings.Firmware, "firmware", gateway.DefaultFirmware, "firmware version to tell")
	flags.BoolVar(&o.settings.PortsInStatus, "ports-in-status", false, "tell ports and priority in the peering status, as newer firmware does")
	err := flags.Parse(arguments)
	return o, err
}

func runFleet(ctx context.Context, o options) (err error) {
	restConfig, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return fmt.Errorf("making a client of the cluster: %w", err)
	}
	fleet, err := gateway.StartFleet(ctx, gateway.FleetOptions{
		Client: client, Namespace: o.namespace, Proxy: o.proxy, Settings: o.settings,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fleet.Stop()) }()
	if o.certificate != "" {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: fleet.Host().Certificate().Raw})
		if err := os.WriteFile(o.certificate, text, 0o644); err != nil {
			return fmt.Errorf("writing the certificate: %w", err)
		}
	}
	fmt.Println("HTTPS_PROXY=" + fleet.ProxyURL().String())
	return serveControl(ctx, o.control, fleet)
}

// one is a single gateway for the control API.
type one struct {
	host     *gateway.Host
	instance *gateway.Instance
}

// Instances implements [gateway.Controlled].
func (o one) Instances() []*gateway.Instance { return []*gateway.Instance{o.instance} }

// Requests implements [gateway.Controlled].
func (o one) Requests() *gateway.RequestLog { return o.host.Requests() }

func runOne(ctx context.Context, o options) (err error) {
	address, err := ownAddress(o.address)
	if err != nil {
		return err
	}
	files, err := config.ReadDir(o.root)
	if err != nil {
		return err
	}
	host, err := gateway.NewHost()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	instance := host.NewInstance(gateway.InstanceOptions{
		Name: o.name, Address: address, Files: files, Settings: o.settings, Certificate: o.ownCertificate(),
		Network: gateway.HostNetwork{Service: o.service, Static: o.peers},
	})
	listeners, err := gateway.Listen(instance, o.bind)
	if err != nil {
		instance.Close()
		return err
	}
	defer func() { err = errors.Join(err, listeners.Close()) }()
	defer instance.Close()
	fmt.Println("gateway", o.name, "at", address, "listens on", instance.Ports())
	return serveControl(ctx, o.control, one{host, instance})
}

// ownCertificate reads the gateway's certificate when it is first needed; nil means that it has none of its own.
func (o options) ownCertificate() func() (tls.Certificate, error) {
	if o.tlsCert == "" {
		return nil
	}
	return func() (tls.Certificate, error) { return tls.LoadX509KeyPair(o.tlsCert, o.tlsKey) }
}

// ownAddress returns the given address, or the first of this machine that others could reach.
func ownAddress(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("finding the own address: %w", err)
	}
	for _, candidate := range addresses {
		if network, is := candidate.(*net.IPNet); is && network.IP.IsGlobalUnicast() {
			return network.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no address that others could reach; give --address")
}

// serveControl serves the control API, when there is an address for it, until the program is told to end.
func serveControl(ctx context.Context, address string, controlled gateway.Controlled) error {
	if address == "" {
		<-ctx.Done()
		return nil
	}
	server := &http.Server{Addr: address, Handler: gateway.Control(controlled), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving the control API: %w", err)
	case <-ctx.Done():
		return errors.Join(server.Close())
	}
}
